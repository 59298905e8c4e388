"""``lossmark vectors``: a file for each loss, with every golden case and all that conforms in each dtype."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..checks.judgement import loose, part_room
from ..checks.kinks import separate
from ..checks.ordinary import TOO_LOOSE
from ..dtypes import BFLOAT16, DTYPES, F64, FLOAT64, DType
from ..specification.case import Case
from ..specification.hexfloat import canonical
from ..specification.loss import Loss
from ..tolerance.acceptance import Expected
from ..tolerance.expected import expected_of_many
from ..version import __version__
from .allowed import allowed, kinked, texts, undecided
from .exact_results import ExactResults
from .schema import FORMAT, schema_text

SCHEMA_FILE = "schema.json"
STRUCTURED = "a long axis that repeats few entries in a seeded order: it takes lossmark to expand it"
TANGLED = "several kinks of one example share several elements: which slopes conform takes a linear program"


def write_vectors(folder: Path, losses: Sequence[Loss], dtypes: Sequence[str]) -> Iterator[Path]:
    """Write the schema, and the file of each loss in these dtypes; gives the paths as they are written.

    Raises :class:`CertificationError` for a case that is not certified.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SCHEMA_FILE).write_text(schema_text(), encoding="utf-8")
    for loss in losses:
        path = folder / f"{loss.id}.json"
        path.write_text(_text(vectors_of(loss, dtypes)), encoding="utf-8")
        yield path


def _text(record: Mapping[str, Any]) -> str:
    """The record as JSON, each case on a line of its own."""
    cases = ",\n".join(json.dumps(case, ensure_ascii=False) for case in record["cases"])
    around = json.dumps({**record, "cases": []}, indent=1, ensure_ascii=False)
    return around.replace('"cases": []', f'"cases": [\n{cases}\n ]', 1) + "\n"


def vectors_of(loss: Loss, dtypes: Sequence[str]) -> dict[str, Any]:
    """The vectors of a loss in these dtypes, as :class:`~.schema.VectorFile` describes them.

    Raises :class:`CertificationError` for a case that is not certified.
    """
    whole = [case for case in loss.cases if case.few is None and case.error is None]
    weights = {case.id: _weights(case) for case in whole}
    wide = _expected(loss, whole, FLOAT64, weights)
    exact = {case.id: ExactResults.of(case, wide[case.id]) for case in whole}
    read = {
        name: _expected(loss, [case for case in whole if name in case.dtypes], DTYPES[name], weights) for name in dtypes
    }
    tangled = {case for found in read.values() for case, truth in found.items() if not _separate(truth)}
    why = {case.id: STRUCTURED for case in loss.cases if case.few is not None} | dict.fromkeys(tangled, TANGLED)
    cases = []
    for case in loss.cases:
        if case.id not in why:
            record = _case(loss, case)
            if case.error is None:
                found = {name: truths[case.id] for name, truths in read.items() if case.id in truths}
                record |= _results(exact[case.id], found, weights[case.id])
            cases.append(record)
    left_out = [{"id": case.id, "since": _since(case), "why": why[case.id]} for case in loss.cases if case.id in why]
    return {**_head(loss, dtypes), "cases": cases, "left_out": left_out}


def _weights(case: Case) -> F64:
    """Random weights ``[B]`` of the examples' losses, between 1/2 and 2 and numbers of every dtype."""
    seed = int.from_bytes(hashlib.sha256(case.id.encode()).digest()[:4])
    return BFLOAT16.round(np.random.default_rng(seed).uniform(0.5, 2.0, case.batch))


def _expected(loss: Loss, cases: Sequence[Case], dtype: DType, weights: Mapping[str, F64]) -> dict[str, Expected]:
    found = expected_of_many(loss, cases, dtype, [weights[case.id] for case in cases])
    return {case.id: truth for case, truth in zip(cases, found, strict=True)}


def _separate(truth: Expected) -> bool:
    return all(kink is None or separate(kink) for kink in truth.kinks.values())


def _head(loss: Loss, dtypes: Sequence[str]) -> dict[str, Any]:
    """What the file says of the loss."""
    model = loss.model
    formula: dict[str, Any] = {"where": model.formula.where, "loss": model.formula.loss}
    if model.reduction is not None:
        formula["mean"] = model.reduction.mean
    return {
        "$schema": SCHEMA_FILE, "format": FORMAT, "lossmark": __version__, "loss": loss.id, "title": model.title,
        "since": model.since, "summary": model.summary, "formula": formula, "inputs": list(_inputs(loss)),
        "params": {name: _parameter(loss, name) for name in model.params}, "flags": model.flags,
        "dtypes": {name: {"room": canonical(part_room(DTYPES[name]))} for name in dtypes},
    }  # fmt: skip


def _inputs(loss: Loss) -> Iterator[dict[str, Any]]:
    for item in loss.inputs:
        model = loss.model.inputs[item.name]
        record: dict[str, Any] = {
            "name": item.name, "dims": list(item.dims), "kind": model.kind, "label": item.label,
            "gradient": item.name in loss.gradient_of, "meaning": model.meaning,
        }  # fmt: skip
        if item.ignore:
            record["ignored_by"] = item.ignore
        if item.optional is not None:
            record["default"] = canonical(item.optional)
        yield record


def _parameter(loss: Loss, name: str) -> dict[str, Any]:
    model = loss.model.params[name]
    record: dict[str, Any] = {"default": _given(loss, {})[name]}
    if model.at_least is not None:
        record["at_least"] = model.at_least
    return record if model.choices is None else record | {"choices": model.choices}


def _given(loss: Loss, params: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters as a file has them: choices as they are, integers as such, other numbers as hex floats."""
    called = loss.called(loss.params(params))
    return {name: canonical(value) if isinstance(value, float) else value for name, value in called.items()}


def _since(case: Case) -> str:
    assert case.golden is not None
    return case.golden.since


def _case(loss: Loss, case: Case) -> dict[str, Any]:
    """What the file says of a case beside its results."""
    given = {name: value for name, value in _given(loss, case.params).items() if name in case.params}
    inputs = {name: _array(array, name in case.integer) for name, array in case.inputs.items()}
    record: dict[str, Any] = {
        "id": case.id, "since": _since(case), "flags": list(case.flags), "why": case.why, "params": given,
        "inputs": {name: array for name, array in inputs.items() if name not in case.absent},
        "dtypes": list(case.dtypes),
    }  # fmt: skip
    return record if case.error is None else record | {"refused": case.error}


def _array(array: F64, integer: bool) -> dict[str, Any]:
    data = [int(number) for number in array.ravel()] if integer else texts(array)
    return {"shape": list(array.shape), "data": data}


def _results(exact: ExactResults, truths: Mapping[str, Expected], weights: F64) -> dict[str, Any]:
    """What a case expects, and what it allows in each dtype."""
    found = {name: _allowed_in(exact, truth, DTYPES[name]) for name, truth in truths.items()}
    return {"expected": {"weights": texts(weights), **exact.record()}, "allowed": found}


def _allowed_in(exact: ExactResults, truth: Expected, dtype: DType) -> dict[str, Any]:
    """What a case allows in one dtype, but for what its bound says too little about."""
    value: dict[str, Any] = {}
    gradient: dict[str, Any] = {}
    for reduction, number in truth.values.items():
        unjudged = loose([number], dtype)
        value[reduction] = {"unjudged": TOO_LOOSE} if unjudged else allowed(number, exact.value[reduction])
    for reduction, slopes in truth.gradients.items():
        if loose(list(slopes.values()), dtype):
            gradient[reduction] = {"unjudged": TOO_LOOSE}
            continue
        kink = truth.kinks[reduction]
        found = {
            name: allowed(slope, exact.gradient[reduction][name], undecided(kink, name, slope.shape))
            for name, slope in slopes.items()
        }
        gradient[reduction] = {"gradient": found}
        if kink is not None:
            gradient[reduction]["kinks"] = kinked(kink, slopes, dtype)
    return {"value": value, "gradient": gradient}
