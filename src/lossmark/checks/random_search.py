"""Random search for inputs on which an implementation breaks a law of its loss, or the loss itself.

Hypothesis draws a batch and a law that the spec declares. The implementation is held to the spec on the batch and on
the batch changed by the law: two conforming results obey the law, because the spec does (``lossmark certify`` has shown
that), so that no tolerance but the derived one is needed. What fails is made as simple as it gets.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.reporting import with_reporter

from ..dtypes import F64, DType
from ..golden.counterexample import Counterexample
from ..specification.case import Case
from ..specification.inputs import searched
from ..specification.laws import Law
from .prepared import Prepared
from .run import Run

EXAMPLES = {"own": 5, "guest": 25, "full": 200}
SHRINKS = 120
"""Trials after the first failure; then what has been found so far is simple enough."""

Wrong = Callable[[Case], str]


class _Broken(AssertionError):  # noqa: N818 (an outcome, not an error)
    """What fails, with the case that shows it."""

    def __init__(self, case: Case, detail: str):
        super().__init__(detail)
        self.case, self.detail = case, detail


def search(prepared: Prepared, wrong: Wrong) -> Counterexample | None:
    """The simplest failure that is found; ``wrong(case)`` says what is wrong with the results, if anything."""
    run, host, dtype = prepared.run, prepared.case, prepared.dtype
    examples = EXAMPLES["full" if run.full else "own" if run.target.reference.own else "guest"]
    fails: dict[str, str] = {}
    trials = 0

    def fail_at(case: Case, label: str) -> None:
        nonlocal trials
        if not fails or trials < SHRINKS:
            trials += bool(fails)
            detail = wrong(case)
            if detail:
                fails[case.id] = f"{label}{detail}"
        if case.id in fails:
            raise _Broken(case, fails[case.id])

    @settings(
        max_examples=examples, derandomize=True, database=None, deadline=None, report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip
    @given(_batches(run, host, dtype), st.sampled_from([None, *run.loss.laws]), _shifts(host))
    def hold(case: Case, law: Law | None, shift: F64) -> None:
        fail_at(case, "")
        changed = None if law is None else law.changed(case, run.loss.params(case.params), shift)
        if law is not None and changed is not None and _fits(run, changed, dtype):
            fail_at(changed, f"property {law.id} ({law.why}): ")

    try:
        with with_reporter(lambda text: None):
            hold()
    except _Broken as broken:
        return Counterexample(broken.case, run.target.name, run.dtype, broken.detail)
    return None


def _fits(run: Run, case: Case, dtype: DType) -> bool:
    """Whether the dtype has the changed numbers and the function the changed parameters."""
    taken = all(run.target.takes(run.loss, name) for name in case.params)
    return taken and all(bool(dtype.holds(array).all()) for array in case.inputs.values())


def _batches(run: Run, host: Case, dtype: DType) -> st.SearchStrategy[Case]:
    """Batches of the host case's shape, whose programs are there already."""
    arrays: dict[str, st.SearchStrategy[Any]] = {}
    for item in run.loss.inputs:
        if item.name in host.absent:
            arrays[item.name] = st.just(host.inputs[item.name])
            continue
        numbers = searched(run.loss, item, dtype, host.sizes.get(item.index, 0))
        shape = host.inputs[item.name].shape
        size = int(np.prod(shape))
        places = st.lists(st.integers(0, len(numbers) - 1), min_size=size, max_size=size)
        arrays[item.name] = places.map(functools.partial(_shaped, np.array(numbers), shape))

    def case(inputs: Mapping[str, F64]) -> Case:
        content = hashlib.sha256(b"".join(array.tobytes() for array in inputs.values())).hexdigest()
        return replace(host, id=f"{run.loss.id}/drawn-{content[:16]}", inputs=inputs, golden=None)

    return st.fixed_dictionaries(arrays).map(case)


def _shaped(numbers: F64, shape: tuple[int, ...], places: list[int]) -> F64:
    return np.asarray(numbers[places].reshape(shape))


def _shifts(host: Case) -> st.SearchStrategy[F64]:
    return st.lists(st.integers(-16, 16).map(lambda k: k / 4), min_size=host.width, max_size=host.width).map(np.array)
