"""Golden cases as files that need no engine: inputs, exact values, and all that conforms, for readers in any language.

Stands on the specification and the tolerance. Knows no implementation, and judges nothing: readers of the files do.
"""
