"""Which checks there are, and whom each concerns."""

from __future__ import annotations

from ..adapters.mode import Mode
from ..sandbox.target import Target
from ..specification.loss import Case, Family, Loss

ORDINARY = ("value", "gradient", "result", "unmodified")
USAGE = ("labels", "defaults", "empty", "arguments")
CONSISTENCY = (
    "deterministic", "permuted", "partial", "aliased", "layout", "state", "properties", "cotangent", "curvature",
)  # fmt: skip
"""Checks of usage and of consistency, made once per loss, implementation, device and dtype, on its host case."""


def asked(target: Target, loss: Loss, case: Case | Family, mode: Mode) -> tuple[str, ...]:
    """The checks that one run of an implementation is asked for."""
    if isinstance(case, Case) and case.error is not None:
        return () if mode.traced else ("refusal",)
    if case.id != loss.host.id:
        return ORDINARY
    if mode.traced:
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
