"""What came back of a trial, held to what conforms by the judge of the suite: part by part, each in its own format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks.judgement import Judgement, extent, judge, slopes, too_wide
from ..dtypes import DTYPES, F64, DType
from ..tolerance.acceptance import Acceptance, Expected, concatenated
from ..tolerance.in_parts import InParts
from .conformity import Allowance, Conformity, NonConforming
from .tensors import array_of
from .trial import RowNumbers, Trial

GotArray = NDArray[Any]
VALUE, GRADIENT = "value", "gradient"
CONDITIONED = 1 << 20
"""Of so many numbers, at most, gradients are read for the condition alone."""
ACCURATE = "accurate"
"""The grade of what conforms by no lower standard."""


@dataclass(frozen=True)
class PartFinding:
    """What was found of the value, or of the gradients, in some rows; ``rows`` is None where there are no rows.

    ``numbers`` were held to bounds, for ``free`` any number conforms; ``extents`` tell whether bounds are too wide.
    """

    kind: str
    judgement: Judgement
    dtype: DType
    rows: RowNumbers | None
    numbers: int
    free: int
    extents: tuple[tuple[float, float], ...]


@dataclass
class FormatFindings:
    """All findings of a trial in one format, and the condition of the rows that were read."""

    found: list[PartFinding] = field(default_factory=list)
    condition: float | None = None
    unread: int = 0
    """Numbers of rows that were left out, and values that cannot be told."""


@dataclass(frozen=True)
class CameBack:
    """What came back, as arrays with the batch in one axis: the value, and gradients by name of input."""

    value: GotArray
    grads: Mapping[str, GotArray]
    format: DType
    """That of the value."""
    formats: Mapping[str, DType]
    """Those of the gradients."""


@dataclass(frozen=True)
class NonConformity:
    """What does not conform: the results, the findings that are ``wrong``, the furthest first, and the condition."""

    results: CameBack
    wrong: Sequence[PartFinding]
    condition: float | None


def judged(trial: Trial, got: Any, grads: Mapping[str, Any] | None) -> Conformity | NonConformity:
    """What the results conform by, or what does not; raises :class:`NonConforming` for a shape or a dtype."""
    results = _results(trial, got, grads or {})
    findings = _findings(trial, results, textbook=False)
    wrong = _wrong(findings)
    if wrong and trial.given.loss.gradients(trial.given.params).textbook is not None:
        findings = _findings(trial, results, textbook=True)
        wrong = _wrong(findings)
    condition = next((each.condition for each in findings if each.condition is not None), None)
    return NonConformity(results, wrong, condition) if wrong else _conformity(findings, condition)


def _results(trial: Trial, got: Any, grads: Mapping[str, Any]) -> CameBack:
    """The results as arrays; raises :class:`NonConforming` for a shape or a dtype that none of them may have."""
    given = trial.given
    shape = given.leading if trial.reduction == "none" else ()
    value, name = _checked(trial, "got", got, shape)
    arrays, formats = {}, {}
    for each, x in grads.items():
        like = given.arrays[each]
        array, dtype = _checked(trial, f"the gradient by {each}", np.zeros(like.shape) if x is None else x, like.shape)
        shared = next(item.shared for item in given.loss.inputs if item.name == each)
        beside = array.shape if shared else (given.batch, *array.shape[len(given.leading) :])
        arrays[each] = array.reshape(beside)
        formats[each] = trial.format(given.dtype.name if x is None else dtype)
    flat = value.reshape(given.batch) if shape else value
    return CameBack(flat, arrays, trial.format(name), formats)


def _checked(trial: Trial, name: str, x: Any, shape: tuple[int, ...]) -> tuple[GotArray, str]:
    """The numbers of a result, and the name of its dtype; that of the inputs for a Python number."""
    array, inputs = array_of(name, x), trial.given.dtype
    loss, reduction = trial.given.loss.id, trial.reduction
    if array.shape != shape:
        text = f"{loss} ({reduction}): {name} has shape {list(array.shape)}, expected {list(shape)}"
        raise NonConforming(text)
    found = inputs.name if isinstance(x, bool | int | float) else array.dtype.newbyteorder("=").name
    fits = found in DTYPES and DTYPES[found].p >= inputs.p and DTYPES[found].emax >= inputs.emax
    if not fits:
        text = f"{loss} ({reduction}): {name} has dtype {found}, expected {inputs.name} as the inputs have, or a wider"
        raise NonConforming(f"{text} one")
    return array, found


def _findings(trial: Trial, results: CameBack, *, textbook: bool) -> list[FormatFindings]:
    """What is found in each format that results are judged in."""
    if not trial.given.batch:
        return [_of_nothing(results)]
    formats = dict.fromkeys([results.format, *results.formats.values()])
    return [_in_format(trial, results, dtype, textbook=textbook) for dtype in formats]


def _of_nothing(results: CameBack) -> FormatFindings:
    """An empty batch costs 0, and nothing is moved by it."""
    found = []
    for label, array in (("the value of an empty batch", results.value), *results.grads.items()):
        nothing = Acceptance(exact=np.zeros(array.shape), exact_low=None, bound=np.zeros(array.shape))
        judgement = judge(array, nothing, results.format, label)
        found.append(PartFinding(VALUE, judgement, results.format, None, array.size, 0, ((0.0, 0.0),)))
    return FormatFindings(found)


def _in_format(trial: Trial, results: CameBack, dtype: DType, *, textbook: bool) -> FormatFindings:
    """The results of one format, held to what conforms in it."""
    given = trial.given
    wanted = [name for name in results.grads if results.formats[name] == dtype]
    read = given.loss.gradient_of if trial.rows is None and given.size <= CONDITIONED else wanted
    how = trial.reading(dtype, read, textbook=textbook)
    found, examples, moved = FormatFindings(), [], 0.0
    for rows, case, part in trial.parts(how):
        examples.append(part.example)
        moved += trial.moved(how, case, part)
        if wanted:
            here = {name: results.grads[name] for name in wanted}
            here = {name: array[rows] if case.by_example(name) else array for name, array in here.items()}
            found.found.append(_gradient(trial, how, here, part.truth, rows))
            found.unread -= sum(array.size for array in here.values())
    found.unread += sum(results.grads[name].size for name in wanted)
    if how.wrt:
        found.condition = trial.condition(how, moved, examples)
    if dtype == results.format:
        _add_value(found, trial, how, results.value, examples)
    return found


def _gradient(
    trial: Trial, how: InParts, got: Mapping[str, GotArray], truth: Expected, rows: RowNumbers
) -> PartFinding:
    """The gradients of some rows, by all inputs together: one choice of slopes must explain them."""
    reduction, dtype = trial.reduction, how.dtype
    accepted = {name: truth.gradients[reduction][name] for name in got}
    judgement = slopes(got, accepted, truth.kinks[reduction], dtype, reduction)
    free = sum(map(_free, accepted.values()))
    numbers = sum(part.exact.size for part in accepted.values()) - free
    extents = tuple(extent(part, dtype) for part in accepted.values())
    return PartFinding(GRADIENT, judgement, dtype, rows, numbers, free, extents)


def _add_value(
    found: FormatFindings, trial: Trial, how: InParts, got: GotArray, examples: Sequence[Acceptance]
) -> None:
    """Hold the value to what it may be."""
    accepted = trial.value(how, examples)
    if accepted is None:
        found.unread += 1
        return
    rows = None
    if trial.reduction == "none":
        rows = np.arange(trial.given.batch) if trial.rows is None else trial.rows
        got, all_of_them = got[rows], got.size
        found.unread += all_of_them - got.size
    judgement = judge(got, accepted, how.dtype, trial.reduction)
    free = _free(accepted)
    size = accepted.exact.size
    found.found.append(
        PartFinding(VALUE, judgement, how.dtype, rows, size - free, free, (extent(accepted, how.dtype),))
    )


def _free(accepted: Acceptance) -> int:
    """For how many elements any number conforms."""
    anything = np.isinf(accepted.bound) & np.isfinite(accepted.exact)
    return int(np.count_nonzero(anything if accepted.unspecified is None else anything | accepted.unspecified))


def _groups(findings: Sequence[FormatFindings]) -> Iterator[tuple[list[PartFinding], bool]]:
    """The findings of the value and of the gradients, and whether their bounds are too wide to say anything."""
    for each in findings:
        for kind in (VALUE, GRADIENT):
            group = [one for one in each.found if one.kind == kind]
            if group:
                yield group, too_wide([extent for one in group for extent in one.extents])


def _wrong(findings: Sequence[FormatFindings]) -> list[PartFinding]:
    """What does not conform, the furthest first."""
    found = [one for group, loose in _groups(findings) if not loose for one in group if not one.judgement.ok]
    return sorted(found, key=lambda one: -one.judgement.budget_used)


def _conformity(findings: Sequence[FormatFindings], condition: float | None) -> Conformity:
    told = [one for group, loose in _groups(findings) if not loose for one in group]
    every = [one for group, _ in _groups(findings) for one in group]
    ulps = [one.judgement.error_ulp for one in told if one.judgement.error_ulp is not None and one.numbers]
    numbers = sum(one.numbers for one in told)
    return Conformity(
        budget_used=max((one.judgement.budget_used for one in told), default=0.0),
        error_ulp=max(ulps, default=None),
        condition=condition,
        judged=numbers,
        unjudged=sum(one.numbers + one.free for one in every) - numbers + sum(each.unread for each in findings),
        grade=next((one.judgement.grade for one in told if one.judgement.grade), ACCURATE),
    )


def allowed(trial: Trial, dtype: str | None) -> Allowance:
    """The exact value and gradients of a trial with their bounds, for results of a dtype (None: that of the inputs)."""
    given = trial.given
    form = trial.format(dtype or given.dtype.name)
    shape = given.leading if trial.rows is None else (len(trial.rows),)
    common = [item.name for item in given.loss.inputs if item.shared]
    names = [name for name in given.loss.gradient_of if trial.rows is None or name not in common]
    if not given.batch:
        shapes = {name: given.arrays[name].shape for name in names}
        grads = {name: Allowance(np.zeros(shape), np.zeros(shape)) for name, shape in shapes.items()}
        value = np.zeros(shape if trial.reduction == "none" else ())
        return Allowance(value, value.copy(), grads, trial.rows)
    how = trial.reading(form, names)
    parts = [part for _, _, part in trial.parts(how)]
    accepted = trial.value(how, [part.example for part in parts])
    if accepted is None:
        accepted = Acceptance(exact=np.array(np.nan), exact_low=None, bound=np.array(np.inf))
    grads = {}
    for name in names:
        whole = concatenated([part.truth.gradients[trial.reduction][name] for part in parts])
        beside = given.arrays[name].shape[len(given.leading) :]
        grads[name] = _allowance(whole, given.arrays[name].shape if name in common else (*shape, *beside))
    return _allowance(accepted, shape if trial.reduction == "none" else (), grads, trial.rows)


def _allowance(
    accepted: Acceptance,
    shape: tuple[int, ...],
    grads: Mapping[str, Allowance] | None = None,
    rows: RowNumbers | None = None,
) -> Allowance:
    free = np.zeros(accepted.shape, bool) if accepted.unspecified is None else accepted.unspecified
    width: F64 = np.where(free, np.inf, accepted.bound)
    return Allowance(accepted.exact.reshape(shape), width.reshape(shape), grads or {}, rows)
