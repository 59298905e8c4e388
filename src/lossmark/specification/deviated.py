"""What an implementation computes that declares a :class:`~lossmark.adapters.deviation.Deviation` from the spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..adapters.deviation import Deviation
from ..dtypes import DType, inside
from ..errors import SpecError
from ..formula.derivative import by_hand
from ..formula.gradients import Gradients
from ..formula.rewritten import EPSILONS, GUARDS, rewritten
from ..formula.tree import Builder, Formula, topological
from .case import Case
from .formulas import Chosen, formulas
from .loss import Loss
from .model import ReductionModel, SpecModel


def meant(deviation: Deviation | None, case: Case) -> Case:
    """The case of the spec whose loss the implementation computes for ``case``, up to the declared ``scale``.

    Without a declaration that is ``case`` itself. Labels that are declared as flipped are exchanged, and fixed
    parameters take the place of the defaults.
    """
    if deviation is None or not deviation.changes:
        return case
    inputs = {name: 1 - array if name in deviation.flips else array for name, array in case.inputs.items()}
    return replace(case, inputs=inputs, params={**deviation.fixed, **case.params})


_REWRITTEN: dict[tuple[Loss, str], Loss] = {}


def held_to(deviation: Deviation | None, loss: Loss) -> Loss:
    """The loss with the declared formula, slope and mean, guard, epsilon and clip; kept, because every case asks.

    Raises :class:`SpecError` for a formula that cannot be read.
    """
    if deviation is None or not deviation.rewrites:
        return loss
    key = loss, deviation.rewrites
    if key not in _REWRITTEN:
        changed = _changed(deviation, loss, deviation.formula)
        if deviation.slope:
            sloped = _changed(deviation, loss, deviation.slope)
            changed = {choice: _sloped(changed[choice], sloped[choice].formula) for choice in changed}
        _REWRITTEN[key] = replace(loss, formulas=changed)
    return _REWRITTEN[key]


def _sloped(found: Gradients, by: Formula) -> Gradients:
    """The formula with the derivatives of another one in place of its own."""
    leaves = {str(node.payload): node for node in topological(by.evaluations) if node.op == "input"}
    wrt = {name: leaves[name] for name in by.gradient_of}
    build = Builder(by.axes)
    return Gradients(found.formula, tuple(by_hand(build, loss, wrt) for loss in by.evaluations))


def _changed(deviation: Deviation, loss: Loss, written: tuple[str, ...]) -> Mapping[Chosen, Gradients]:
    """The formulas of the loss, or the ``written`` ones in their place, with the other declared changes."""
    found = loss.formulas
    if written or deviation.mean:
        found = formulas(_written(deviation, loss.model, written), loss.document)
    if not (deviation.guard or deviation.epsilon or deviation.clip):
        return found
    return {
        choice: rewritten(gradients, deviation.guard, deviation.epsilon, deviation.clip)
        for choice, gradients in found.items()
    }


def _written(deviation: Deviation, model: SpecModel, written: tuple[str, ...]) -> SpecModel:
    """The spec with other evaluations in place of its formula, if any are given, and with the declared mean."""
    formula, reduction = model.formula, model.reduction
    if written:
        first, *others = written
        formula = formula.model_copy(update={"loss": first, "associations": others, "textbook": None})
    if deviation.mean:
        reduction = ReductionModel(mean=deviation.mean)
    return model.model_copy(update={"formula": formula, "reduction": reduction})


def counted(deviation: Deviation | None, dtype: DType) -> DType:
    """The format by which errors are counted: with the declared accumulator."""
    return inside(dtype) if deviation is not None and deviation.accumulate else dtype


def complaint(deviation: Deviation, loss: Loss) -> str:
    """What the declaration names and the loss does not have, in a sentence; empty if nothing."""
    labels = {item.name for item in loss.inputs if item.label}
    for name in deviation.flips:
        if name not in labels:
            return f"flips names {name!r}, the labels of {loss.id} are {sorted(labels) or 'none'}"
    for name in deviation.fixed:
        if name not in loss.model.params:
            return f"fixed names {name!r}, the parameters of {loss.id} are {sorted(loss.model.params) or 'none'}"
    if deviation.slope and (loss.coupled or loss.pairs):
        return f"slope is declared, and the examples of {loss.id} see each other"
    try:
        held_to(replace(deviation, guard={}, epsilon={}, clip={}), loss)
    except SpecError as error:
        return f"what is declared for {loss.id} cannot be read: {error.message}"
    return next(_unknown_changes(deviation, loss), "")


def _unknown_changes(deviation: Deviation, loss: Loss) -> Iterator[str]:
    """What a declared guard, epsilon or clip names and the formulas of the loss do not have, in sentences."""
    terms = {name for found in loss.formulas.values() for name, node in found.formula.named if node.op != "param"}
    for name in deviation.clip:
        if name not in terms:
            yield f"clip names {name!r}, the terms of {loss.id} are {sorted(terms)}"
    operations = {node.op for found in loss.formulas.values() for node in found.order}
    for what, given, kinds, needed in (
        ("guard", deviation.guard, GUARDS, ("dot", "norm", "max")), ("epsilon", deviation.epsilon, EPSILONS, ("norm",)),
    ):  # fmt: skip
        for kind in given:
            if kind not in kinds:
                yield f"{what} names {kind!r}, it may be {sorted(kinds)}"
            elif not operations.issuperset(needed):
                yield f"{what} is declared, and the formula of {loss.id} has no {', '.join(needed)}"
