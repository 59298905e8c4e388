"""What functions of other libraries compute, as a spec and a mapping onto it that was searched for.

It stands on the tolerance and the judgement, and calls a library in a process of its own. It must not know a library:
how one is called is data of the room ``impls``, and what was found is data of the room ``conformance``.
"""
