"""Golden values: computed as balls of real numbers and rounded to float64 with certainty.

A number is certified when both ends of its ball round to the same float64; until they do, the working precision is
raised, and a number that never settles is refused rather than guessed. At a kink the gradient is the set between its
two ends; where infinities occur, 0·∞ is NaN in IEEE arithmetic and 0 in the limit, and both are written.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb

from ..formula.tree import BATCH, Node, place_of
from ..readings import exact, rounding
from ..readings.balls import Real, lift
from ..readings.convention import IEEE, LIMIT, OTHER_SIDE, Convention
from ..readings.exact import Exact
from ..readings.exact_scalars import div
from ..readings.exact_vectors import total
from ..readings.layout import taken_out
from ..specification import hexfloat as numbers
from ..specification.case import Case
from ..specification.loss import Loss
from ..specification.masks import without_masked


@dataclass(frozen=True)
class Certified:
    """The certified results of one case. A leaf is the text or mapping that the spec file holds."""

    value: list[Any]
    mean: Any
    grad: dict[str, Any]


def known(loss: Loss, case: Case, convention: Convention) -> dict[Node, Exact]:
    """The exact value of every node of the formula and its gradient (cotangent 1), for all examples of a case."""
    case = loss.without_uncounted(without_masked(loss.inputs, case))
    gradients = loss.gradients(case.params)
    axes = gradients.formula.axes
    leaves = {"seed": exact.single(arb(1), axes)}
    leaves |= {k: exact.single(lift(v), axes) for k, v in loss.params(case.params).items() if not isinstance(v, str)}
    leaves |= {item.name: exact.lifted(case.inputs[item.name], item.axes, axes) for item in loss.inputs}
    for axis, size in {**case.sizes, **dict.fromkeys(gradients.formula.again, case.batch)}.items():
        leaves[place_of(axis)] = exact.lifted(np.arange(size, dtype=np.float64), (axis,), axes)
    return exact.evaluate(gradients.order, leaves, convention, axes, case.counts)


def scalars(loss: Loss, case: Case, found: Exact) -> list[Real]:
    """A number of each example, from what :func:`known` has of a node with no axis but the batch."""
    return list(taken_out(found, (BATCH,), loss.gradients(case.params).formula.axes, {BATCH: case.batch}))


def certified(loss: Loss, case: Case) -> Certified:
    """Certified per-example values, their mean, and the gradient of their sum.

    Raises :class:`lossmark.errors.CertificationError` for a number that cannot be rounded with certainty.
    """
    case = case.certifiable
    finite = all(math.isfinite(x) for array in case.inputs.values() for x in array.ravel().tolist())
    plain = rounding.settle(lambda: _rounded(loss, case, IEEE), case.id)
    tie = rounding.settle(lambda: _rounded(loss, case, OTHER_SIDE), case.id)
    limit = plain if finite else rounding.settle(lambda: _rounded(loss, case, LIMIT), case.id)
    value = [_either(a, b) for a, b in zip(plain[0], limit[0], strict=True)]
    grad = {name: _merge(plain[2][name], tie[2][name], limit[2][name]) for name in loss.gradient_of}
    return Certified(value, _either(plain[1], limit[1]), grad)


_Rounded = tuple[list[float], float, dict[str, Any]]


def _rounded(loss: Loss, case: Case, convention: Convention) -> _Rounded:
    """Per-example values, mean and gradients as float64; raises ``Undecided`` at too low a precision."""
    gradients = loss.gradients(case.params)
    found = known(loss, case, convention)
    each = scalars(loss, case, found[gradients.formula.loss])
    divisor = gradients.formula.divisor
    counts = [arb(1)] * len(each) if divisor is None else scalars(loss, case, found[divisor])
    mean = div(total(each), total(counts))
    grad = {}
    for item in loss.inputs:
        if item.name in gradients.trees[0]:
            sizes = dict(zip(item.axes, case.inputs[item.name].shape, strict=True))
            slopes = taken_out(found[gradients.trees[0][item.name]], item.axes, gradients.formula.axes, sizes)
            grad[item.name] = np.asarray(np.frompyfunc(rounding.round_to_double, 1, 1)(slopes), object).tolist()
    return [rounding.round_to_double(x) for x in each], rounding.round_to_double(mean), grad


def _merge(plain: Any, tie: Any, limit: Any) -> Any:
    if isinstance(plain, list):
        return [_merge(*parts) for parts in zip(plain, tie, limit, strict=True)]
    if plain != tie and not math.isnan(plain) and not math.isnan(tie):
        low, high = sorted((plain, tie))
        return {"between": [numbers.canonical(low), numbers.canonical(high)]}
    return _either(plain, limit)


def _either(plain: float, limit: float) -> Any:
    texts = [numbers.canonical(plain), numbers.canonical(limit)]
    return texts[0] if texts[0] == texts[1] else {"one_of": texts}
