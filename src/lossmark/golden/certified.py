"""Golden values: computed as balls of real numbers, rounded to float64 with certainty, written into the spec files.

A number is certified when both ends of its ball round to the same float64; until they do, the working precision is
raised, and a number that never settles is refused rather than guessed. At a kink the gradient is the set between its
two ends; where infinities occur, 0·∞ is NaN in IEEE arithmetic and 0 in the limit, and both are written.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flint import arb
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from ..formula.tree import Node, topological
from ..readings import exact, rounding
from ..readings.balls import lift
from ..readings.convention import IEEE, LIMIT, OTHER_SIDE, Convention
from ..readings.exact import Value
from ..specification import document as yaml
from ..specification import hexfloat as numbers
from ..specification.laws import Law
from ..specification.loss import Case, Loss

Leaf = tuple[float, ...]
"""The ends of a set (two different floats), or a single float."""


@dataclass(frozen=True)
class Certified:
    """The certified results of one case. A leaf is the text or mapping that the spec file holds."""

    value: list[Any]
    mean: Any
    grad: dict[str, list[Any]]


@dataclass(frozen=True)
class Finding:
    """Something that ``certify --check`` objects to."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


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


def check(loss: Loss) -> Iterator[Finding]:
    """Every golden number that differs, every unused flag, a non-canonical file."""
    used = set()
    for case in loss.cases:
        used |= set(case.flags)
        if case.error is None:
            yield from _differences(case, certified(loss, case))
    for index, law in enumerate(loss.laws):
        place = str(loss.document.place(("properties", index)))
        yield from (Finding(place, what) for what in _broken(loss, law))
    for flag in loss.model.flags:
        if flag not in used:
            yield Finding(str(loss.document.place(("flags", flag))), f"unused flag {flag!r}")
    if yaml.dump(yaml.editable(loss.document.text)) != loss.document.text or not _canonical(loss.document.data):
        yield Finding(loss.document.file, "not in canonical form, run: lossmark certify")


def _broken(loss: Loss, law: Law) -> Iterator[str]:
    """The first golden case that a law does not hold for, in ball arithmetic; or that it speaks of none."""
    spoken = False
    for case in loss.cases:
        finite = all(bool((abs(array) < 2.0**20).all()) for array in case.inputs.values())
        if case.error is not None or not finite:
            continue
        width = case.shape[1:]
        changed = law.changed(case, loss.params(case.params), np.resize([0.5, -1.25, 2.0], width))
        if changed is None:
            continue
        spoken = True
        tree = loss.gradients(case.params).formula.loss
        leaves = {name: lift(x) for name, x in loss.params(case.params).items() if not isinstance(x, str)}
        for row, (before, after) in enumerate(zip(rows(loss, case, IEEE), rows(loss, changed, IEEE), strict=True)):
            order = topological([law.relation])
            claimed = exact.evaluate(order, {**leaves, "loss": before[tree]}, IEEE, 1)[law.relation]
            if not _holds(after[tree], claimed, law.at_least):
                yield f"does not hold for {case.id}, example {row}: the loss becomes {after[tree]}, not {claimed}"
                return
    if not spoken:
        yield "speaks of no golden case"


def _holds(found: Value, claimed: Value, at_least: bool) -> bool:
    assert not isinstance(found, list)
    assert not isinstance(claimed, list)
    x, y = arb(found), arb(claimed)
    return bool(x.overlaps(y)) or (at_least and bool(x > y))


def _differences(case: Case, truth: Certified) -> Iterator[Finding]:
    assert case.golden is not None
    written = case.golden.expect.model_dump()
    for key, right in (("value", truth.value), ("mean", truth.mean), ("grad", truth.grad)):
        if written[key] is None:
            yield Finding(case.id, f"expect.{key} is missing, run: lossmark certify")
        elif written[key] != right:
            path, found, expected = _first(written[key], right, f"expect.{key}")
            yield Finding(case.id, f"{path} is {found}, certified is {expected}")


def _first(found: Any, right: Any, path: str) -> tuple[str, Any, Any]:
    """Where two nested structures first differ."""
    if isinstance(found, dict) and isinstance(right, dict) and found.keys() == right.keys():
        key = next(key for key in right if found[key] != right[key])
        return _first(found[key], right[key], f"{path}.{key}")
    if isinstance(found, list) and isinstance(right, list) and len(found) == len(right):
        index = next(i for i, (x, y) in enumerate(zip(found, right, strict=True)) if x != y)
        return _first(found[index], right[index], f"{path}[{index}]")
    return path, found, right


def _canonical(data: Any) -> bool:
    """Whether every hex float is written in its canonical form."""
    if isinstance(data, dict):
        return all(map(_canonical, data.values()))
    if isinstance(data, list):
        return all(map(_canonical, data))
    if isinstance(data, str) and data.lstrip("-").startswith("0x"):
        try:
            return numbers.canonical(numbers.parse(data)) == data
        except ValueError:
            return True
    return True


def write(loss: Loss) -> bool:
    """Bring the spec file to its certified, canonical text; returns whether it changed."""
    data = yaml.editable(loss.document.text)
    _canonicalise(data)
    for case in loss.cases:
        if case.error is None:
            entry = next(item for item in data["cases"] if item["id"] == case.id)
            truth = certified(loss, case)
            right = {"value": truth.value, "mean": truth.mean, "grad": truth.grad}
            if entry.get("expect") != right:
                entry["expect"] = _styled(right, 0)
    text = yaml.dump(data)
    if text == loss.document.text:
        return False
    Path(loss.document.file).write_text(text, encoding="utf-8")
    return True


def _canonicalise(data: Any) -> None:
    items: Any = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in list(items):
        if isinstance(value, str):
            if not _canonical(str(value)):
                data[key] = DoubleQuotedScalarString(numbers.canonical(numbers.parse(str(value))))
        else:
            _canonicalise(value)


def _styled(data: Any, depth: int) -> Any:
    """Numbers in quoted flow lists, the keys above them in blocks."""
    if isinstance(data, Mapping):
        block = CommentedMap({key: _styled(value, depth + 1) for key, value in data.items()})
        if depth > 1 or "between" in data or "one_of" in data:
            block.fa.set_flow_style()
        if depth == 1 and not ("between" in data or "one_of" in data):
            block.fa.set_block_style()
        return block
    if isinstance(data, list):
        sequence = CommentedSeq(_styled(value, depth + 1) for value in data)
        sequence.fa.set_flow_style()
        return sequence
    return DoubleQuotedScalarString(data)
