"""``lossmark certify --check``: golden values computed again, laws held to the golden cases, unused flags named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flint import arb

from ..formula.tree import topological
from ..readings import exact
from ..readings.balls import Real, lift
from ..readings.convention import IEEE
from ..specification.case import Case
from ..specification.edges import edges
from ..specification.laws import Law
from ..specification.loss import Loss
from .certified import Certified, certified, known, scalars
from .coverage import empty_boxes
from .flaw import Flaw
from .generated import generated
from .ids import gone
from .write import is_canonical


def verify(losses: Sequence[Loss], folder: Path, *, own: bool) -> list[Flaw]:
    """Everything that is wrong with the specs of a folder.

    Of lossmark's ``own`` specs also the edges that no case covers, ids that are gone, and generated files that are not
    up to date.
    """
    flaws = [flaw for loss in losses for flaw in check(loss)]
    if own:
        flaws += [*empty_boxes(losses, edges(folder)), *gone(losses, folder)]
        for path, text in generated(losses, folder).items():
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                flaws.append(Flaw(str(path), "is not up to date, run: lossmark certify"))
    return flaws


def check(loss: Loss) -> Iterator[Flaw]:
    """Every golden number that differs, every unused flag, a non-canonical file."""
    used = set()
    for case in loss.cases:
        used |= set(case.flags)
        if case.error is None:
            yield from _differences(case, certified(loss, case))
    for index, law in enumerate(loss.laws):
        place = str(loss.document.place(("properties", index)))
        yield from (Flaw(place, what) for what in _broken(loss, law))
    for flag in loss.model.flags:
        if flag not in used:
            yield Flaw(str(loss.document.place(("flags", flag))), f"unused flag {flag!r}")
    if not is_canonical(loss.document):
        yield Flaw(loss.document.file, "not in canonical form, run: lossmark certify")


def _broken(loss: Loss, law: Law) -> Iterator[str]:
    """The first golden case that a law does not hold for, in ball arithmetic; or that it speaks of none."""
    spoken = False
    for case in (case.certifiable for case in loss.cases):
        finite = all(bool((abs(array) < 2.0**20).all()) for array in case.inputs.values())
        if case.error is not None or not finite:
            continue
        width = case.shape[1:]
        changed = law.changed(case, loss.params(case.params), np.resize([0.5, -1.25, 2.0], width))
        if changed is None:
            continue
        spoken = True
        tree = loss.gradients(case.params).formula.loss
        axes = loss.gradients(case.params).formula.axes
        numbers = {name: x for name, x in loss.params(case.params).items() if not isinstance(x, str)}
        leaves = {name: exact.single(lift(x), axes) for name, x in numbers.items()}
        leaves["loss"] = known(loss, case, IEEE)[tree]
        claims = exact.evaluate(topological([law.relation]), leaves, IEEE, axes)[law.relation]
        found = scalars(loss, changed, known(loss, changed, IEEE)[tree])
        for row, (after, claimed) in enumerate(zip(found, scalars(loss, case, claims), strict=True)):
            if not _holds(after, claimed, law.at_least):
                yield f"does not hold for {case.id}, example {row}: the loss becomes {after}, not {claimed}"
                return
    if not spoken:
        yield "speaks of no golden case"


def _holds(found: Real, claimed: Real, at_least: bool) -> bool:
    x, y = arb(found), arb(claimed)
    return bool(x.overlaps(y)) or (at_least and bool(x > y))


def _differences(case: Case, truth: Certified) -> Iterator[Flaw]:
    assert case.golden is not None
    written = case.golden.expect.model_dump()
    for key, right in (("value", truth.value), ("mean", truth.mean), ("grad", truth.grad)):
        if written[key] is None:
            yield Flaw(case.id, f"expect.{key} is missing, run: lossmark certify")
        elif written[key] != right:
            path, found, expected = _first(written[key], right, f"expect.{key}")
            yield Flaw(case.id, f"{path} is {found}, certified is {expected}")


def _first(found: Any, right: Any, path: str) -> tuple[str, Any, Any]:
    """Where two nested structures first differ."""
    if isinstance(found, dict) and isinstance(right, dict) and found.keys() == right.keys():
        key = next(key for key in right if found[key] != right[key])
        return _first(found[key], right[key], f"{path}.{key}")
    if isinstance(found, list) and isinstance(right, list) and len(found) == len(right):
        index = next(i for i, (x, y) in enumerate(zip(found, right, strict=True)) if x != y)
        return _first(found[index], right[index], f"{path}[{index}]")
    return path, found, right
