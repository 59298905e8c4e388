"""Values certified in ball arithmetic, written into spec files, and what they cover.

Stands on the specification and the exact reading. Knows no tolerance and no implementation.
"""
