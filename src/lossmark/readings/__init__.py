"""What a tree means: exact, wide, bound, cost, page, infix. One module per reading, one rule per operation.

Stands on the formula language and the number formats. Knows no spec file and no case.
"""
