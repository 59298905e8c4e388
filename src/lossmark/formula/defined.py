"""Functions that a parameter chooses the meaning of, each meaning written in the formula language itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Definition:
    """A function of vectors over D: its expression over ``arguments`` for each choice of a ``parameter``."""

    parameter: str
    arguments: tuple[str, ...]
    bodies: Mapping[str, str]


DEFINED: Mapping[str, Definition] = {
    "sim": Definition("similarity", ("x", "y"), {"dot": "dot(x, y)", "cosine": "dot(x, y)/max(norm(x)*norm(y), 1e-8)"}),
}
"""By name. A spec that calls ``sim(x, y)`` has a parameter ``similarity`` whose choices are among these."""
OWN, SWAP, OVER = "own", "swap", "over"
PAIRS: Mapping[str, str] = {OWN: "own(x)", SWAP: "swap(x)", OVER: "over(x, J)"}
"""What concerns pairs of examples, and how a formula calls it.

The entry of an example with itself among those with all examples; both exchanged; an input of the other example.
"""
