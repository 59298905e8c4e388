"""Golden values: computed as balls of real numbers and rounded to float64 with certainty.

A number is certified when both ends of its ball round to the same float64; until they do, the working precision is
raised, and a number that never settles is refused rather than guessed. At a kink the gradient is the set between its
two ends; where infinities occur, 0·∞ is NaN in IEEE arithmetic and 0 in the limit, and both are written.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from flint import arb

from ..formula.tree import Node
from ..readings import exact, rounding
from ..readings.balls import lift
from ..readings.convention import IEEE, LIMIT, OTHER_SIDE, Convention
from ..readings.exact import Value
from ..specification import hexfloat as numbers
from ..specification.case import Case
from ..specification.loss import Loss


@dataclass(frozen=True)
class Certified:
    """The certified results of one case. A leaf is the text or mapping that the spec file holds."""

    value: list[Any]
    mean: Any
    grad: dict[str, list[Any]]


def rows(loss: Loss, case: Case, convention: Convention) -> list[dict[Node, Value]]:
    """The exact value of every node of the formula and its gradient (cotangent 1), example by example."""
    gradients = loss.gradients(case.params)
    shared: dict[str, Value] = {"seed": arb(1)}
    shared |= {k: lift(v) for k, v in loss.params(case.params).items() if not isinstance(v, str)}
    width = case.shape[1] if len(case.shape) == 2 else 1
    result = []
    for index in range(case.batch):
        leaves = dict(shared)
        for name, array in case.inputs.items():
            row = array[index]
            leaves[name] = [lift(float(x)) for x in row] if array.ndim == 2 else lift(float(row))
        result.append(exact.evaluate(gradients.order, leaves, convention, width))
    return result


def certified(loss: Loss, case: Case) -> Certified:
    """Certified per-example values, their mean, and the gradient of their sum.

    Raises :class:`lossmark.errors.CertificationError` for a number that cannot be rounded with certainty.
    """
    finite = all(math.isfinite(x) for array in case.inputs.values() for x in array.ravel().tolist())
    plain = rounding.settle(lambda: _rounded(loss, case, IEEE), case.id)
    tie = rounding.settle(lambda: _rounded(loss, case, OTHER_SIDE), case.id)
    limit = plain if finite else rounding.settle(lambda: _rounded(loss, case, LIMIT), case.id)
    value = [_either(a, b) for a, b in zip(plain[0], limit[0], strict=True)]
    grad = {name: _merge(plain[2][name], tie[2][name], limit[2][name]) for name in loss.gradient_of}
    return Certified(value, _either(plain[1], limit[1]), grad)


_Rounded = tuple[list[float], float, dict[str, list[Any]]]


def _rounded(loss: Loss, case: Case, convention: Convention) -> _Rounded:
    """Per-example values, mean and gradients as float64; raises ``Undecided`` at too low a precision."""
    gradients = loss.gradients(case.params)
    known = rows(loss, case, convention)
    losses = [row[gradients.formula.loss] for row in known]
    assert not any(isinstance(x, list) for x in losses)
    scalars: list[Any] = list(losses)
    mean = exact.div(exact.total(scalars), arb(len(scalars)))
    grad = {name: [_round(row[tree], case, name) for row in known] for name, tree in gradients.trees[0].items()}
    return [rounding.round_to_double(x) for x in scalars], rounding.round_to_double(mean), grad


def _round(x: Value, case: Case, name: str) -> Any:
    width = case.inputs[name].shape[1:]
    if isinstance(x, list):
        return [rounding.round_to_double(item) for item in x]
    return [rounding.round_to_double(x)] * width[0] if width else rounding.round_to_double(x)


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
