"""Pieces of the page on tolerances: the units, and an example that the engine works through term by term."""

from collections.abc import Iterator

import numpy as np

from lossmark.dtypes import BFLOAT16, DTYPES, FLOAT32, DType
from lossmark.readings.arithmetic import ULPS
from lossmark.readings.infix import infix
from lossmark.readings.page import mathml
from lossmark.specification.case import Case
from lossmark.specification.library import losses
from lossmark.specification.loss import Loss
from lossmark.tolerance.expected import derivation, derived

from .markdown import code, escaped, table

FIRST, SECOND = ("bpr/worked", FLOAT32), ("bpr/generic-unit", BFLOAT16)


def pages() -> dict[str, str]:
    """The pieces that the page on tolerances includes."""
    rows = [
        (code(dtype.name), f"2⁻{_raised(dtype.p)}", f"2⁻{_raised(dtype.accumulator_p)}", f"{dtype.smallest_normal:.3g}")
        for dtype in DTYPES.values()
    ]
    units = table(("dtype", "unit roundoff u", "of the accumulator, a", "smallest normal number"), rows)
    loss = losses()["bpr"]
    worked = "\n".join([*_exact(loss), *_rounded(loss)])
    return {"explanation/_units.md": units, "explanation/_worked.md": worked}


def _exact(loss: Loss) -> Iterator[str]:
    case, dtype = _case(loss, FIRST[0]), FIRST[1]
    yield f"## Worked through: {case.id}\n\n{mathml(loss.gradients({}).formula.loss)}\n\n{escaped(case.why)}\n"
    yield from _terms(loss, case, dtype)
    yield (
        "The inputs are small dyadic numbers. Every product, sum and difference is exact in every dtype, so they add "
        f"no error at all. Only softplus rounds: it is granted {ULPS['softplus']:g} units in the last place, and "
        "that is the whole tolerance.\n"
    )


def _rounded(loss: Loss) -> Iterator[str]:
    case, dtype = _case(loss, SECOND[0]), SECOND[1]
    yield f"## The same formula where it rounds: {case.id}\n"
    yield f"{escaped(case.why)} Shown is the example that may be off by most.\n"
    yield from _terms(loss, case, dtype)
    yield (
        "Each inner product rounds its products and sums. The difference adds both errors and rounds once more. "
        "softplus passes on as much of that as its slope lets through, and adds the ulp granted.\n"
    )


def _case(loss: Loss, name: str) -> Case:
    case = loss.case(name)
    if case is None:
        raise ValueError(f"the page on tolerances shows {name}, which {loss.id} has not")
    return case


def _terms(loss: Loss, case: Case, dtype: DType) -> Iterator[str]:
    """A table of the terms of one example, each with its exact value and the largest error it may have."""
    total = derived(loss, case, dtype)
    row = int(total.bound.argmax())
    names = {node: name for name, node in loss.gradients(case.params).formula.named}
    rows = []
    for node, bounded in derivation(loss, case, dtype):
        if node.args:
            v, e = float(bounded.v.hi[row].max()), float(bounded.e[row].max())
            rows.append((code(infix(node, names)), f"{v:.17g}", *_error(v, e, dtype)))
    v, e = float(total.exact[row]), float(total.bound[row])
    rows.append(("tolerance, over all equal evaluations", f"{v:.17g}", *_error(v, e, dtype)))
    yield f"In {dtype.name}:\n"
    yield table(("term", "exact value v", "error e, at most", "e in ulp of v"), rows)


def _error(v: float, e: float, dtype: DType) -> tuple[str, str]:
    return f"{e:.3g}", f"{e / float(dtype.ulp(np.array([v]))[0]):.3g}"


def _raised(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
