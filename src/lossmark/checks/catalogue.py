"""Which checks there are, and whom each concerns."""

from __future__ import annotations

from ..sandbox.target import Target
from ..specification.case import Case, Family
from ..specification.loss import Loss

ORDINARY = ("value", "gradient", "result", "unmodified")
USAGE = ("labels", "defaults", "empty", "arguments")
CONSISTENCY = (
    "deterministic", "permuted", "partial", "aliased", "layout", "state", "properties", "cotangent", "curvature",
)  # fmt: skip
"""Checks of usage and of consistency, made once per loss, implementation, device and dtype, on its host case."""


def asked(target: Target, loss: Loss, case: Case | Family, mode: str) -> tuple[str, ...]:
    """The checks that one run of an implementation is asked for."""
    if isinstance(case, Case) and case.error is not None:
        return ("refusal",) if mode == "eager" else ()
    if case.id != loss.host.id:
        return ORDINARY
    if mode != "eager":
        return (*ORDINARY, "deterministic")
    several = len(loss.gradient_of) > 1
    concerned = {
        "labels": any(item.label for item in loss.inputs),
        "partial": several and target.autodiff,
        "cotangent": target.autodiff,
        "curvature": target.autodiff,
        "aliased": several,
    }
    return ORDINARY + tuple(check for check in (*USAGE, *CONSISTENCY) if concerned.get(check, True))
