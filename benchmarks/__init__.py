"""How fast is an implementation? The catalogue for pytest-benchmark, and the quick timing of ``lossmark run``."""
