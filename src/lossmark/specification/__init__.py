"""What a loss is, from its file to a ``Loss`` with its cases, families and laws.

Stands on the formula language and the readings. Knows no implementation, and certifies nothing.
"""
