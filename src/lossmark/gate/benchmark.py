"""A benchmark of a gate: what is timed and weighed on both sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..sandbox.target import Target
from ..specification.library import losses
from ..timing.exercise import Exercise
from .sides import Side


@dataclass(frozen=True)
class Benchmark:
    """What is timed and weighed: one loss of one implementation in one mode at one size, float32."""

    impl: str
    loss: str
    mode: str
    size: tuple[int, int]
    passes: str

    @property
    def name(self) -> str:
        """What names it in the outcome: ``loss/impl/mode/BxD/passes``."""
        return f"{self.loss}/{self.impl}/{self.mode}/{self.size[0]}x{self.size[1]}/{self.passes}"

    def exercise(self) -> Exercise:
        """The inputs, the same for both sides, and what is expected."""
        return Exercise(losses()[self.loss], self.size, backward=self.passes == "fwd+bwd")


Entrants = Callable[[str], tuple[tuple[Side, Target], tuple[Side, Target]]]
"""The base's and the head's implementation of a name."""
