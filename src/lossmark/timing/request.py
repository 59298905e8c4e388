"""What a benchmark is asked to time, as ``lossmark bench`` reads it from its options."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from ..sandbox.target import Target
from ..specification.loss import Loss
from .bench import bench, candidates_of
from .grid import Group, grid
from .row import BenchRow

FULL_TERMS = (30, 60.0)
QUICK_TERMS = (6, 4.0)
"""The most rounds of a group, and the seconds after which it is given no further one."""


@dataclass(frozen=True)
class BenchRequest:
    """What is to be timed: these losses of these implementations; what is left empty is not limited."""

    losses: Sequence[Loss]
    targets: Sequence[Target]
    sizes: Sequence[tuple[int, int]] = ()
    """Batch and dimensions."""
    dtypes: Sequence[str] = ()
    modes: Sequence[str] = ()
    passes: str | None = None
    """``fwd`` or ``fwd+bwd`` only."""
    allocator: str | None = None
    """Only under this policy of the allocator."""
    device: str = "cpu"
    full: bool = False
    """Every size, dtype and pass, with more rounds."""

    @property
    def frameworks(self) -> set[str]:
        """The frameworks of the implementations."""
        return {target.reference.framework for target in self.targets}

    def groups(self, done: Collection[tuple[object, ...]] = ()) -> list[Group]:
        """What is timed together, without the groups whose keys are ``done``."""
        return [
            group
            for group in grid(self.losses, self.sizes, self.dtypes, self.full, self.device)
            if self.passes in (None, group.passes)
            and self.allocator in (None, group.allocator)
            and group.key not in done
        ]

    def measured(self, groups: Sequence[Group]) -> Iterator[list[BenchRow]]:
        """The rows of each group in turn; raises :class:`LossmarkError` if no implementation has any of the modes."""
        rounds, seconds = FULL_TERMS if self.full else QUICK_TERMS
        return bench(groups, candidates_of(self.targets, self.modes), rounds, seconds)
