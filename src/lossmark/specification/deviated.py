"""What an implementation computes that declares a :class:`~lossmark.adapters.deviation.Deviation` from the spec."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..adapters.deviation import Deviation
from ..formula.rewritten import EPSILONS, GUARDS, rewritten
from .case import Case
from .loss import Loss


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
    """The loss whose formula has the declared guard, epsilon and clip; kept, because every case asks."""
    if deviation is None or not deviation.rewrites:
        return loss
    key = loss, deviation.rewrites
    if key not in _REWRITTEN:
        changed = {
            choice: rewritten(found, deviation.guard, deviation.epsilon, deviation.clip)
            for choice, found in loss.formulas.items()
        }
        _REWRITTEN[key] = replace(loss, formulas=changed)
    return _REWRITTEN[key]


def complaint(deviation: Deviation, loss: Loss) -> str:
    """What the declaration names and the loss does not have, in a sentence; empty if nothing."""
    labels = {item.name for item in loss.inputs if item.label}
    for name in deviation.flips:
        if name not in labels:
            return f"flips names {name!r}, the labels of {loss.id} are {sorted(labels) or 'none'}"
    for name in deviation.fixed:
        if name not in loss.model.params:
            return f"fixed names {name!r}, the parameters of {loss.id} are {sorted(loss.model.params) or 'none'}"
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
