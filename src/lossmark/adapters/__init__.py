"""Code under test as the engine sees it: an implementation, of a framework, in a mode.

Stands on the error types, and finds frameworks in the folders of ``lossmark.impls`` by name. Knows no loss: what an
implementation is held to is not its concern.
"""
