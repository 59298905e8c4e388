"""Right implementations by another hand: written from the contract alone, as different as people write these losses.

Whoever wrote them had not read ``tests/right``, lossmark's own implementations, or the rules of the bound, so that none
is right because it looks like ours. A module ``<framework>_<what>.py`` holds an ``Implementation`` for each way, a
module ``shared_<framework>.py`` what they share.
"""
