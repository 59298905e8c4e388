"""The search for the worst inputs: those that take most of a bound, and those that are furthest off in ulp.

Stands on the suite's processes and on the checks, which judge what it finds. Knows no command line.
"""
