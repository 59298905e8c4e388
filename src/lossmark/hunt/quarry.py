"""What is hunted: one implementation of a loss, in a dtype and a mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..adapters.installed import lacking, runtime
from ..checks.prepared import Prepared, Unsupported
from ..checks.run import Run
from ..dtypes import DTYPES
from ..errors import LossmarkError
from ..sandbox.target import Target
from ..specification.case import Case
from ..specification.loss import Loss
from ..suite.plan import Choice, check

HUNTED = ("value", "gradient")
"""The checks whose numbers are held to a bound."""


@dataclass(frozen=True)
class Quarry:
    """One implementation of a loss in one dtype and mode; both of the checks :data:`HUNTED` are searched at once."""

    target: Target
    loss: str
    dtype: str
    mode: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Names it in a file: implementation, loss, dtype, mode."""
        return self.target.name, self.loss, self.dtype, self.mode

    @property
    def starts_slowly(self) -> bool:
        """Whether a shape or a parameter that is new takes long, so that all calls have to be alike."""
        return self.target.mode(self.mode).starts_slowly

    def run(self, loss: Loss) -> Run:
        """The run whose checks are asked; its case is the loss's host case, in the place of those that are tried."""
        return Run(self.target, loss, loss.host, "cpu", self.dtype, self.mode, HUNTED)

    def takes(self, loss: Loss, case: Case) -> bool:
        """Whether the function can be called with what a case gives."""
        try:
            Prepared(self.run(loss), case, DTYPES[self.dtype]).params  # noqa: B018 (raises where it cannot)
        except Unsupported:
            return False
        return True


def quarries(losses: Mapping[str, Loss], choice: Choice) -> list[Quarry]:
    """Everything that the choice selects, implementation by implementation.

    Raises :class:`LossmarkError` for what it names and nobody knows or has, and if nothing is left.
    """
    check(losses, choice)
    found: list[Quarry] = []
    for target in choice.targets:
        reason = lacking(target.reference.framework)
        if reason:
            if choice.impls:
                raise LossmarkError(f"{target.name}: {reason}")
            continue
        known = [mode.name for mode in runtime(target.reference.framework).modes]
        modes = [name for name in choice.modes or target.modes if name in known]
        for loss in choice.losses or losses:
            if target.has(losses[loss]):
                dtypes = [name for name in choice.dtypes or DTYPES if target.dtypes is None or name in target.dtypes]
                found += [Quarry(target, loss, dtype, mode) for dtype in dtypes for mode in modes]
    if not found:
        raise LossmarkError("nothing to hunt: no implementation that is named has that loss, dtype and mode")
    return found
