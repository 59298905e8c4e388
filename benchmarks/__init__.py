"""How fast is an implementation? The catalogue for pytest-benchmark, and the short benchmark of ``lossmark run``."""
