"""The text of a failure: which element, how far off, how far is allowed and why, and what it looks like."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..checks.judgement import Worst
from ..dtypes import DType
from ..formula.tree import BATCH
from ..readings.infix import infix
from ..suite.failure_text import derivation as in_one_line
from ..tolerance.expected import derivation
from .judged import VALUE, NonConformity, PartFinding
from .lookalikes import LARGEST_SCENE, looks_like, scene
from .trial import RowNumbers, Trial

EXAMPLE = re.compile(r"example (\d+)")
ILL_CONDITIONED = 2.0**-7
"""From this share of a value on that one rounding of the inputs may change, the data are to blame for lost digits."""
NUMBERS_SHOWN = 6
"""So many numbers of an input are shown."""


def told(trial: Trial, found: NonConformity) -> tuple[str, Mapping[str, Any] | None]:
    """The text about the worst of what does not conform, and its worst element."""
    first = found.wrong[0]
    worst = first.judgement.worst
    loss, about = trial.given.loss, dict[str, str]()
    name = worst.label.partition(" by ")[2] if worst else ""
    what = "the value" if first.kind == VALUE else f"the gradient by {name}" if name else "the gradient"
    lines = [f"{loss.id} does not conform: {what} under {trial.reduction!r} is wrong"]
    record = None
    if worst is None or first.judgement.note.endswith("at its kink"):
        about["why"] = EXAMPLE.sub(lambda words: f"example {_row(first, int(words[1]))}", first.judgement.note)
    else:
        index = _index(trial, first, worst, name)
        record = worst.record() | {"index": list(index), "ulp": worst.ulp}
        about |= _numbers(worst, index, first.dtype, name)
    seen = scene(trial, found.results, first)
    about["formula"] = _formula(trial)
    about |= _bound(trial, first, worst)
    about["condition"] = _condition(found.condition, first.dtype)
    about["looks like"] = looks_like(trial, first, seen)
    about["inputs"] = _inputs(trial, _rows(trial, first, worst))
    lines += [f"  {head:10} {line}".rstrip() for head, text in about.items() for head, line in _hung(head, text)]
    return "\n".join(lines), record


def _hung(head: str, text: str) -> Iterator[tuple[str, str]]:
    """The lines of a text, of which the first has the head; none of an empty one."""
    for number, line in enumerate(text.splitlines()):
        yield ("" if number else head), line


def _row(wrong: PartFinding, row: int) -> int:
    return row if wrong.rows is None else int(wrong.rows[row])


def _index(trial: Trial, wrong: PartFinding, worst: Worst, name: str) -> tuple[int, ...]:
    """The worst element as an index into the caller's tensor."""
    common = any(item.name == name and item.shared for item in trial.given.loss.inputs)
    if not worst.index or wrong.rows is None or common:
        return worst.index
    leading = np.unravel_index(int(wrong.rows[worst.index[0]]), trial.given.leading)
    return (*map(int, leading), *worst.index[1:])


def _numbers(worst: Worst, index: tuple[int, ...], dtype: DType, name: str) -> dict[str, str]:
    """Where the worst element is, what was got and expected there, and how far apart these are."""
    at = f"{name or 'got'}{list(index)}: " if index else ""
    found = {
        "got": f"{at}{worst.got!r} ({worst.got.hex()})",
        "expected": f"{worst.expected!r} ({worst.expected.hex()})",
    }
    error = abs(worst.got - worst.expected)
    if math.isfinite(error):
        times = f"the error is {error / worst.bound:.3g} times that" if worst.bound else "every step is exact here"
        found["off by"] = f"{error:.3g}, {worst.ulp:.3g} ulp of {dtype.name}"
        found["allowed"] = f"{worst.bound:.3g}: {times}"
    return found


def _formula(trial: Trial) -> str:
    model = trial.given.loss.model.formula
    terms = ", ".join(f"{name} = {text}" for name, text in model.where.items())
    return model.loss + (f" where {terms}" if terms else "")


def _rows(trial: Trial, wrong: PartFinding, worst: Worst | None) -> RowNumbers:
    """The example that the worst element is of, where it is of one."""
    if wrong.rows is None or worst is None or not worst.index or trial.given.loss.coupled:
        return np.zeros(0, np.intp)
    return np.atleast_1d(wrong.rows[worst.index[0]])


def _bound(trial: Trial, wrong: PartFinding, worst: Worst | None) -> dict[str, str]:
    """How the bound came about: the rule, and the formula's terms with their errors for the example that is shown."""
    given, text = trial.given, in_one_line(trial.given.loss, wrong.dtype)
    if wrong.kind == VALUE and trial.rows is not None and trial.reduction != "none":
        text += f"\nthe mean of {len(trial.rows)} rows that were read, for each of {given.batch}"
    rows = _rows(trial, wrong, worst)
    whole = np.arange(given.batch)
    if not given.batch or (rows.size == 0 and (given.size > LARGEST_SCENE or trial.rows is not None)):
        return {"bound": text}
    case = given.part(rows if rows.size else whole)
    names = {node: name for name, node in given.loss.gradients(given.params).formula.named}
    for node, bounded in derivation(given.loss, given.loss.without_uncounted(case), wrong.dtype):
        root = node is given.loss.gradients(given.params).formula.loss
        if not node.args or not (root or node in names):
            continue
        e = np.broadcast_to(bounded.e, bounded.v.hi.shape)
        at = np.unravel_index(int(np.argmax(e)), e.shape)
        of = "the loss" if root else names[node]
        written = infix(node, {other: name for other, name in names.items() if other is not node})
        text += f"\n{of:10} {float(bounded.v.hi[at]):<13.6g} off by at most {float(e[at]):.3g}: {written}"
    return {"bound": text}


def _condition(condition: float | None, dtype: DType) -> str:
    if condition is None:
        return ""
    moved = condition * dtype.u
    blame = "the data are ill-conditioned" if moved > ILL_CONDITIONED else "the data are not to blame"
    return f"{condition:.3g}: one rounding of the inputs may change the value by {moved:.2g} of itself; {blame}"


def _inputs(trial: Trial, rows: RowNumbers) -> str:
    """What the call was made with, of the example that is shown."""
    given = trial.given
    lines = []
    for item in given.loss.inputs:
        if item.name not in given.arrays:
            continue
        array = given.arrays[item.name]
        text = f"{item.name} {array.dtype} {list(array.shape)}"
        if rows.size and BATCH in item.dims:
            numbers = given.numbers(item.name, rows)[0].reshape(-1)
            more = ", …" if numbers.size > NUMBERS_SHOWN else ""
            text += f", here {', '.join(f'{x:.9g}' for x in numbers[:NUMBERS_SHOWN])}{more}"
        lines.append(text)
    params = ", ".join(f"{name}={value!r}" for name, value in given.loss.called(given.params).items())
    return "\n".join([*lines, *([params] if params else [])])
