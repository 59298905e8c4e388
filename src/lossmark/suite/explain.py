"""``lossmark explain``: one golden case told in full."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from flint import arb

from ..dtypes import DTYPES, DType
from ..errors import LossmarkError
from ..golden.certified import known, scalars
from ..readings.balls import Real
from ..readings.convention import IEEE
from ..readings.infix import infix
from ..readings.precision import working_precision
from ..sandbox.messages import Failure, Returned
from ..specification.case import Case
from ..specification.hexfloat import canonical
from ..specification.library import losses
from ..specification.loss import Loss
from ..tolerance import expected as tolerance
from .plan import Choice, plan
from .suite import Suite

DIGITS = 30


def explain(case_id: str, dtype_name: str) -> str:
    """The text about a golden case; raises :class:`LossmarkError` for an unknown case or dtype."""
    loss = losses().get(case_id.partition("/")[0])
    case = loss.case(case_id) if loss else None
    if loss is None or case is None:
        known = ", ".join(case.id for case in loss.cases) if loss else ", ".join(losses())
        raise LossmarkError(f"no golden case {case_id!r} (known: {known})")
    if dtype_name not in DTYPES:
        raise LossmarkError(f"unknown dtype {dtype_name!r}, expected one of {', '.join(DTYPES)}")
    dtype = DTYPES[dtype_name]
    lines = [*_statement(loss, case)]
    if case.error:
        return "\n".join([*lines, f"expected: refused with {case.error}"])
    lines += [*_exact(loss, case), *_bound(loss, case, dtype), *_frameworks(loss, case, dtype)]
    return "\n".join(lines)


def _statement(loss: Loss, case: Case) -> Iterator[str]:
    yield f"{case.id}: {loss.model.title}"
    yield f"  loss = {loss.model.formula.loss}"
    for name, text in loss.model.formula.where.items():
        yield f"    {name} = {text}"
    yield f"  {case.why}"
    for flag in case.flags:
        yield f"  {flag}: {loss.model.flags[flag]}"
    yield "  parameters: " + ", ".join(f"{name}={value!r}" for name, value in loss.params(case.params).items())
    for axis, counts in case.certifiable.counts.items():
        yield f"  the entries along {axis} occur {', '.join(map(str, counts))} times"
    for name, array in case.certifiable.inputs.items():
        yield f"  {name} {list(array.shape)}:"
        for row in array.reshape(-1, array.shape[-1] if array.ndim > 1 else 1):
            yield "    " + "  ".join(f"{x:g} ({canonical(float(x))})" for x in row)


def _digits(x: Real) -> str:
    return x.str(DIGITS, radius=False) if isinstance(x, arb) else str(x)


def _exact(loss: Loss, case: Case) -> Iterator[str]:
    with working_precision(256):
        found = known(loss, case.certifiable, IEEE)
    yield f"exact value to {DIGITS} digits:"
    for index, value in enumerate(scalars(loss, case, found[loss.gradients(case.params).formula.loss])):
        yield f"  [{index}] {_digits(value)}"


def _bound(loss: Loss, case: Case, dtype: DType) -> Iterator[str]:
    yield f"bound in {dtype.name} (u = 2^-{dtype.p}, sums accumulate with 2^-{dtype.accumulator_p}):"
    if dtype.name not in case.dtypes:
        yield f"  the case is not for {dtype.name}, but for {', '.join(case.dtypes)}"
        return
    names = {node: name for name, node in loss.gradients(case.params).formula.named}
    for node, bounded in tolerance.derivation(loss, case, dtype):
        if node.op in ("const", "param", "input"):
            continue
        worst = int(abs(bounded.e).reshape(len(bounded.e), -1).max(axis=1).argmax())
        e = float(bounded.e[worst].max())
        v = float(bounded.v.hi[worst].flat[0])
        yield f"  {infix(node, names, grouped=True):58} value {v:<24.17g} error at most {e:.4g}"
    result = tolerance.derived(loss, case, dtype)
    for index, (v, e) in enumerate(zip(result.exact.ravel(), result.bound.ravel(), strict=True)):
        yield f"  [{index}] {float(v)!r} ± {float(e):.4g}"
    yield from _below_normal(loss, case, dtype)


def _below_normal(loss: Loss, case: Case, dtype: DType) -> Iterator[str]:
    """How much of each gradient is so small that it is judged by what underflow may lose, and by that alone."""
    gradients = tolerance.expected(loss, case, dtype, np.ones(case.batch)).gradients["sum"]
    for name, accepted in gradients.items():
        size = np.abs(accepted.exact)
        few = np.count_nonzero((size > 0) & (size < dtype.smallest_normal))
        if few:
            yield f"  {few} of {size.size} elements of the gradient by {name} may be flushed to zero: they are below"
            yield f"    the smallest normal number, {dtype.smallest_normal:.3g}"


def _frameworks(loss: Loss, case: Case, dtype: DType) -> Iterator[str]:
    yield f"values of the frameworks in {dtype.name}:"
    runs = plan(losses(), Choice(losses=(loss.id,), dtypes=(dtype.name,), case=case.id, modes=("eager",), full=True))
    suite = Suite(runs)
    exact = tolerance.derived(loss, case, dtype)
    try:
        for run in runs:
            if run.reason:
                yield f"  {run.target.name:11} not run: {run.reason}"
                continue
            judged = suite.judged(run)
            if isinstance(judged, Failure):
                yield f"  {run.target.name:11} error {judged}"
                continue
            cell = judged.value()
            yield f"  {run.target.name:11} {cell.verdict} {cell.detail}"
            outcome = judged.answer.values.get("none")
            if isinstance(outcome, Returned) and outcome.array is not None:
                for index, got in enumerate(outcome.array.astype(float)):
                    v, e = float(exact.exact[index]), float(exact.bound[index])
                    ulp = abs(got - v) / float(dtype.ulp(exact.exact[index : index + 1])[0])
                    used = "" if e == 0 else f", {abs(got - v) / e:.3g} of the bound"
                    yield f"    [{index}] {float(got)!r} ({canonical(float(got))})  {ulp:.3g} ulp{used}"
    finally:
        suite.close()
