"""Wrong implementations, each in a way that libraries and people go wrong. All must be killed: ``lossmark mutants``.

``catalogue.yaml`` says of each what it is, its formula where it has one, and where it is equivalent to the spec.
``common`` holds the parts that are written once for all frameworks; the other modules, one per framework, bind the
implementations.
"""
