"""A run: the cells of one case of one implementation in one setting, and how a cell of it is written."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..adapters.deviation import Deviation
from ..adapters.registry import Reference
from ..results.cell import Cell, Verdict
from ..sandbox.json_lines import Declined
from ..sandbox.messages import Failure
from ..sandbox.target import Target
from ..specification.case import Planned
from ..specification.loss import Loss


@dataclass(frozen=True)
class Run:
    """The cells of one case in one setting. ``case`` is a golden case, or one to be made in ``dtype``."""

    target: Target
    loss: Loss
    case: Planned
    device: str
    dtype: str
    mode: str
    checks: tuple[str, ...]
    reason: str = ""
    """Why the run cannot be made (its cells are then ``not-run``)."""
    full: bool = False

    @property
    def id(self) -> str:
        """The name of its pytest item: case, implementation, device, dtype and mode."""
        return f"{self.case.id}-{self.target.name}-{self.device}-{self.dtype}-{self.mode}"

    @property
    def deviation(self) -> Deviation | None:
        """The difference from the spec that the implementation declares."""
        return self.target.deviations.get(self.loss.id)

    @property
    def scale(self) -> float:
        """The declared factor on the spec's loss."""
        return 1.0 if self.deviation is None else self.deviation.scale

    @property
    def large(self) -> bool:
        """Whether the case has more than 65,536 numbers per input."""
        return math.prod(self.case.shape) > 1 << 16

    @property
    def slopes(self) -> tuple[str, ...]:
        """The reductions whose gradient is checked.

        The gradient of ``sum`` is that of ``none`` with weights 1. For lossmark's own implementations it is left to
        ``--full`` where it costs most: where every program is compiled, and at a million elements. A gradient written
        by hand takes no weights.
        """
        costly = self.large or self.target.mode(self.mode).compiles
        reductions = ["none", "sum", "mean"]
        if self.target.reference.own and costly and not self.full:
            reductions.remove("sum")
        if not (self.target.autodiff or self.target.remote):
            reductions.remove("none")
        return tuple(reductions)

    @property
    def command(self) -> str:
        """The command that repeats just these cells."""
        text = repeat(self.target.reference, self.case.id, self.device, self.dtype, self.mode)
        return f"{text} --full" if self.full else text


def repeat(reference: Reference, case: str, device: str, dtype: str, mode: str) -> str:
    """The command that runs one case of one implementation, quoted for a shell."""
    words = ["pytest", "conformance", *reference.options, "--case", case, "--device", device]
    return shlex.join([*words, "--dtype", dtype, "--mode", mode])


def failed(run: Run, check: str, failure: Failure) -> Cell:
    """The cell of a check whose call gave no result.

    It is ``not-run`` where a compiled mode fell back, ``unsupported`` where a program says that it is, else ``error``.
    """
    if isinstance(failure, Declined):
        return cell(run, check, "unsupported", str(failure))
    verdict: Verdict = "not-run" if failure.kind == "fell back" else "error"
    return cell(run, check, verdict, f"{run.target.name}: {failure}" if verdict == "error" else str(failure))


def cell(
    run: Run,
    check: str,
    verdict: Verdict,
    detail: str = "",
    ulp: float | None = None,
    used: float | None = None,
    *,
    grades: Sequence[str] = (),
    worst: Mapping[str, Any] | None = None,
) -> Cell:
    """One cell of a run; without a detail of its own it tells its grades there too."""
    target = run.target.reference
    told = detail or "; ".join(f"grade: {grade}" for grade in grades)
    return Cell(
        target.name, target.framework, run.device, run.dtype, run.mode, run.loss.id, run.case.id, check,
        verdict, ulp, used, told[:1000], "; ".join(grades), worst,
    )  # fmt: skip
