"""What an implementation computes that declares a :class:`~lossmark.adapters.deviation.Deviation` from the spec."""

from __future__ import annotations

from dataclasses import replace

from ..adapters.deviation import Deviation
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


def complaint(deviation: Deviation, loss: Loss) -> str:
    """What the declaration names and the loss does not have, in a sentence; empty if nothing."""
    labels = {item.name for item in loss.inputs if item.label}
    for name in deviation.flips:
        if name not in labels:
            return f"flips names {name!r}, the labels of {loss.id} are {sorted(labels) or 'none'}"
    for name in deviation.fixed:
        if name not in loss.model.params:
            return f"fixed names {name!r}, the parameters of {loss.id} are {sorted(loss.model.params) or 'none'}"
    return ""
