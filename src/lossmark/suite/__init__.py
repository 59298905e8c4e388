"""A run of conformance: planned, prepared, answered, judged, recorded.

Stands on the checks and the sandbox. Knows neither times nor what else a gate compares.
"""
