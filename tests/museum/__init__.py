"""Defects that were reported to public trackers, as losses of our own: ``lossmark mutants --museum``.

``catalogue.yaml`` says of each where and when it was reported, what it was, and how it comes into one of the losses.
The code is written here from the description; the parts of a loss that are right come from ``tests/mutants/common.py``.
"""
