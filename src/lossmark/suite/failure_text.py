"""Telling a person what a failure is: the case, what was got and expected, the bound and where it comes from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..checks.run import Run
from ..dtypes import DTYPES, DType
from ..results.cell import Cell
from ..specification.hexfloat import canonical
from ..specification.loss import Loss
from .suite import Suite


def failure(run: Run, suite: Suite, wrong: Sequence[Cell]) -> str:
    """The text of a failed run."""
    case = suite.prepared(run).case
    lines = [
        f"{run.target.name} ({run.target.reference.framework}, {run.mode}, {run.device}, {run.dtype}) "
        f"does not conform to {run.loss.id} on {run.case.id}",
        f"  loss     {run.loss.model.formula.loss}" + _terms(run),
    ]
    if case.why:
        lines.append(f"  case     {case.why}")
    lines += [f"  {name:8} {shown(array)}" for name, array in case.inputs.items()]
    if case.params:
        lines.append("  params   " + ", ".join(f"{name}={value!r}" for name, value in case.params.items()))
    for cell in wrong:
        used = "" if cell.budget_used is None else f" (uses {cell.budget_used:.3g} of its bound)"
        lines.append(f"  {cell.verdict.upper():5} {cell.check}: {cell.detail}{used}")
    lines.append(
        f"  bound    {derivation(run.loss, DTYPES[run.dtype])}. lossmark explain {run.case.id} shows it term by term"
    )
    if run.target.reference.source:
        lines.append(f"  repeat   {run.command}")
    return "\n".join(lines)


def _terms(run: Run) -> str:
    terms = run.loss.model.formula.where
    return " where " + ", ".join(f"{name} = {text}" for name, text in terms.items()) if terms else ""


def shown(array: np.ndarray) -> str:
    """Shape and numbers, in decimal and hex, of a small array."""
    if array.size > 24:
        return f"{list(array.shape)}, seeded" if array.ndim else str(array)
    flat = ", ".join(f"{x:g} ({canonical(float(x))})" for x in array.ravel()[:24])
    return f"{list(array.shape)}: {flat}"


def derivation(loss: Loss, dtype: DType) -> str:
    """In one line, where a bound comes from."""
    return (
        f"running error of the formula in {dtype.name}: u = 2^-{dtype.p} per rounding, sums in any order with "
        f"a = 2^-{dtype.accumulator_p}, 0 where every step is exact; "
        f"the largest over {1 + len(loss.model.formula.associations)} equal evaluations"
    )
