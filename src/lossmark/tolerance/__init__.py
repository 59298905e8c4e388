"""What conforms, derived from the formula and the dtype.

Stands on the specification and the readings. Knows no implementation: the bound is the same for all.
"""
