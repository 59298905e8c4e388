"""The language: a text becomes a tree of operations, and the trees of its gradients.

Stands on the error types alone. Knows no numbers: what a tree means is left to the readings.
"""
