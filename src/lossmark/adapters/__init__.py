"""Code under test as the engine sees it: an implementation, of a framework, in a mode.

Stands on the error types and on ``rooms``. Knows no loss: what an implementation is held to is not its concern.
"""
