"""Losses of other people's libraries, one module each, held against the specs and timed beside lossmark's own.

Each is registered by name under the entry-point group ``lossmark.implementations``. What a library is called with is
the least that gives the spec's arguments; a formula that its library cannot be installed for is written out as coded.
pytorch-metric-learning has no contrastive loss and no triplet loss of the specs: its first is not squared, of
normalised embeddings, and a mean over non-zero terms only; its second is clamped.
"""
