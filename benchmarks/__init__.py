"""How fast is an implementation? For now a quick timing for the report of ``lossmark run``."""
