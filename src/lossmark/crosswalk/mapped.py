"""A spec as some transformations make it: what a call gets for a case, and what is right for that."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..dtypes import F64, DType, inside
from ..formula.rewritten import rewritten
from ..specification.case import Case
from ..specification.formulas import formulas
from ..specification.loss import Loss
from ..specification.model import Association, SpecModel
from ..tolerance.acceptance import Acceptance, Expected
from ..tolerance.expected import count_of, derived, expected
from .transformations import Handed, Transformation

LARGEST_CASE = 1 << 12
"""Cases with more numbers in an input are left out: the search makes many calls of each."""


@dataclass(frozen=True)
class MappedCall:
    """What a function is called with: arrays by name of input, and parameters."""

    arrays: Mapping[str, Handed]
    params: Mapping[str, float | str | int]


class Mapped:
    """A loss under transformations, for a call that takes the inputs and parameters ``taken``.

    Raises :class:`SpecError` where the transformations make a formula that cannot be read.
    """

    def __init__(self, loss: Loss, taken: frozenset[str], chosen: Sequence[Transformation]):
        self.chosen = tuple(chosen)
        self._spec, self._taken = loss, taken
        self.loss = _changed(loss, tuple(each for each in self.chosen if each.rewrites))
        self.reduction = next((each.reduction for each in self.chosen if each.reduction), "mean")
        self.formed = any(each.forms for each in self.chosen)
        """Whether the call gets an input as a function of the spec's."""
        self._truths: dict[tuple[str, str, str], Expected] = {}

    @property
    def words(self) -> tuple[str, ...]:
        """The transformations in words."""
        return tuple(each.words for each in self.chosen)

    def case(self, case: Case, dtype: DType) -> Case | None:
        """The case that is right for what the call gets; None where the call cannot be made.

        That is so where the case gives a value to a parameter or an optional input that the call does not take.
        """
        fixed = {name: x for each in self.chosen for name, x in each.fixed.items()}
        meant = {name: fixed.get(name, default) for name, default in self._spec.params({}).items()}
        given = {**meant, **case.params}
        optional = {item.name for item in self._spec.inputs if item.optional is not None}
        if any(given[name] != meant[name] for name in given.keys() - self._taken - self._spec.integers):
            return None
        if (optional - case.absent) - self._taken or max(x.size for x in case.inputs.values()) > LARGEST_CASE:
            return None
        if self._spec.integers - self._taken and self._spec.uncounted(case).any():
            return None
        inputs = dict(case.inputs)
        for each in self.chosen:
            for name, value in each.labels.items():
                inputs[name] = np.full_like(inputs[name], value)
            for name, (form, _) in each.forms.items():
                with np.errstate(all="ignore"):
                    inputs[name] = dtype.round(form(inputs[name]))
        return replace(case, inputs=inputs, params=given)

    def call(self, case: Case, dtype: DType) -> MappedCall | None:
        """What the function gets for a case of :meth:`case`; None where it cannot be had, or not in the dtype."""
        arrays: dict[str, Handed] = dict(case.inputs)
        for each in self.chosen:
            for name, hand in each.handed.items():
                given = hand(case.inputs[name], case.sizes)
                if given is None:
                    return None
                arrays[name] = given
            if each.exchanged:
                first, second = each.exchanged
                arrays[first], arrays[second] = arrays[second], arrays[first]
        found = {}
        for item in self._spec.inputs:
            array = arrays[item.name]
            if item.name not in self._taken or item.name in case.absent:
                continue
            whole = item.label in ("index", "class") and array.shape == case.inputs[item.name].shape
            held = array.astype(np.int64 if whole else dtype.numpy)
            if item.label and not np.array_equal(held.astype(np.float64), array, equal_nan=True):
                return None
            found[item.name] = held
        params = {name: x for name, x in self._spec.called(case.params).items() if name in self._taken}
        return MappedCall(found, params)

    def origin(self, name: str) -> str:
        """The input of the spec that the argument of this name is, where two have changed places."""
        for each in self.chosen:
            if each.exchanged and name in each.exchanged:
                return next(other for other in each.exchanged if other != name)
        return name

    def factor(self, case: Case) -> float:
        """How many times the loss of the transformed formula a result is."""
        return math.prod(each.factor(case.params, case.sizes) for each in self.chosen if each.factor is not None)

    def roughly(self, case: Case, dtype: DType, reduction: str) -> tuple[F64, F64]:
        """The exact value of :meth:`truth` and about its bound; cheap, as it is shared by mappings that are alike."""
        meaning = tuple(each for each in self.chosen if each.rewrites or each.labels or each.fixed)
        found, count = _of_examples(self.loss, meaning, Held(case), dtype)
        factor = self.factor(case)
        exact, bound = found.exact * factor, found.bound * abs(factor)
        if reduction == "none":
            return exact, bound
        parts = count if reduction == "mean" else 1.0
        with np.errstate(all="ignore"):
            return np.asarray(np.sum(exact) / parts), np.asarray(np.sum(bound) / parts)

    def truth(self, case: Case, dtype: DType, reduction: str) -> Expected:
        """What conforms for a case of :meth:`case`, value and gradients, under a reduction."""
        key = case.id, dtype.name, reduction
        if key not in self._truths:
            form = inside(dtype) if any(each.accumulates for each in self.chosen) else dtype
            ones = np.ones(case.batch)
            self._truths[key] = expected(self.loss, case, form, ones, (reduction,), self.factor(case))
        return self._truths[key]


class Held:
    """A case as the key of a cache, by its id."""

    def __init__(self, case: Case):
        self.case = case

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held) and other.case.id == self.case.id

    def __hash__(self) -> int:
        return hash(self.case.id)


@functools.lru_cache(maxsize=1 << 12)
def _of_examples(loss: Loss, meaning: tuple[Transformation, ...], held: Held, dtype: DType) -> tuple[Acceptance, float]:
    """What the value of each example accepts, ``[B]``, and what a mean divides by."""
    case = held.case
    count = count_of(loss, case.params, case.inputs, case.batch, dtype)
    return derived(loss, case, dtype), float(count.v.hi[0, 0])


@functools.lru_cache(maxsize=1 << 10)
def _changed(loss: Loss, chosen: tuple[Transformation, ...]) -> Loss:
    """The loss with the formulas that the transformations make of it; itself where they leave the formula."""
    found = loss.formulas
    if any(each.text or each.forms for each in chosen):
        found = formulas(_written(loss.model, chosen), loss.document)
    guard = {kind: x for each in chosen for kind, x in each.guard.items()}
    epsilon = {kind: x for each in chosen for kind, x in each.epsilon.items()}
    if guard or epsilon:
        found = {choice: rewritten(gradients, guard, epsilon, {}) for choice, gradients in found.items()}
    return loss if found is loss.formulas else replace(loss, formulas=found)


def _written(model: SpecModel, chosen: Sequence[Transformation]) -> SpecModel:
    """The spec with another text of its formula."""
    inverses = {name: text for each in chosen for name, (_, text) in each.forms.items()}
    pattern = re.compile(rf"\b({'|'.join(inverses)})\b") if inverses else None

    def new(text: str) -> str:
        for each in chosen:
            if each.text is not None:
                text = each.text(text)
        return pattern.sub(lambda found: inverses[found[1]], text) if pattern else text

    formula = model.formula
    associations = [
        item.model_copy(update={"loss": new(item.loss)}) if isinstance(item, Association) else new(item)
        for item in formula.associations
    ]
    update = {
        "where": {name: new(text) for name, text in formula.where.items()},
        "loss": new(formula.loss),
        "textbook": None if formula.textbook is None else new(formula.textbook),
        "associations": associations,
    }
    return model.model_copy(update={"formula": formula.model_copy(update=update)})
