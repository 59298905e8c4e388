"""Which checks there are, what each asks, and whom it concerns."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..adapters.mode import Mode
from ..sandbox.target import Target
from ..specification.case import Case, Planned
from ..specification.loss import Loss

CheckKind = Literal["ordinary", "usage", "consistency"]


def _everybody(target: Target, loss: Loss) -> bool:
    return True


def _several(target: Target, loss: Loss) -> bool:
    """Losses that are differentiated by several inputs."""
    return len(loss.gradient_of) > 1


def alike(loss: Loss) -> list[tuple[str, str]]:
    """Two and two of the inputs that a loss is differentiated by, which have as many axes."""
    axes = loss.dims
    return [
        (one, other) for one, other in itertools.combinations(loss.gradient_of, 2) if len(axes[one]) == len(axes[other])
    ]


def _labelled(target: Target, loss: Loss) -> bool:
    return any(item.label for item in loss.inputs)


def _autodiff(target: Target, loss: Loss) -> bool:
    return target.autodiff


def _tensors(target: Target, loss: Loss) -> bool:
    """What is called with tensors, in a process that the engine looks into."""
    return not target.remote


def _alike_tensors(target: Target, loss: Loss) -> bool:
    return bool(alike(loss)) and _tensors(target, loss)


def _each(target: Target, loss: Loss) -> bool:
    """What can be asked for the gradient by each of several inputs."""
    return _several(target, loss) and (target.autodiff or (target.remote and target.differentiates(loss)))


@dataclass(frozen=True)
class Check:
    """One check: ``ordinary`` ones are made on every case, the others once, on the loss's host case.

    ``concerns`` says of an implementation and a loss whether the check is made at all.
    """

    name: str
    kind: CheckKind
    asks: str
    concerns: Callable[[Target, Loss], bool] = _everybody


CHECKS = (
    Check("value", "ordinary", "Does the value conform under none, sum and mean?"),
    Check("gradient", "ordinary", "Do the gradients of sum, mean and weighted none conform, and the values beside?"),
    Check("result", "ordinary", "Is the result a tensor of the framework, of the right dtype, shape and device?"),
    Check("unmodified", "ordinary", "Are the inputs as they were after every call?", _tensors),
    Check("labels", "usage", "Do labels of any dtype give the same loss and the same gradient?", _labelled),
    Check("defaults", "usage", "Do arguments that are left out mean what the spec says?"),
    Check("empty", "usage", "Is an empty batch empty under none and in its gradient, 0 under sum, refused under mean?"),
    Check("arguments", "usage", "Are unknown reductions, mixed dtypes and integers refused, or is the number right?"),
    Check("deterministic", "consistency", "Does the same call give the same bits?"),
    Check("permuted", "consistency", "Have batch and classes in another order the same losses?"),
    Check("partial", "consistency", "Is the gradient by one input only that input's part of the whole?", _each),
    Check("aliased", "consistency", "Has one tensor passed as two arguments the sum of their gradients?",
          _alike_tensors),
    Check("layout", "consistency", "Do strided, reversed, read-only and unaligned inputs give the same result?",
          _tensors),
    Check("state", "consistency", "Do loading, the first call and later ones leave settings and random numbers alone?",
          _tensors),
    Check("properties", "consistency", "Do random batches, and what the spec's laws make of them, conform?"),
    Check("cotangent", "consistency", "Is the gradient of a multiple of the loss that multiple?", _autodiff),
    Check("reused", "consistency", "Does one graph differentiated again, or beside another, give the same?", _autodiff),
    Check("curvature", "consistency", "Do second derivatives conform off the kinks, or are they refused?", _autodiff),
)  # fmt: skip
REFUSAL = Check("refusal", "usage", "Is an input that must be refused refused, or taken for what it can only mean?")
"""The one check of cases that must be refused."""
ORDINARY = tuple(check.name for check in CHECKS if check.kind == "ordinary")
BESIDE = tuple(check.name for check in (*CHECKS, REFUSAL) if check.kind != "ordinary")
"""The names of the checks beside the ordinary ones."""
CONSISTENCY = frozenset(check.name for check in CHECKS if check.kind == "consistency")


def asked(target: Target, loss: Loss, case: Planned, mode: Mode) -> tuple[str, ...]:
    """The names of the checks that one run of an implementation is asked for."""
    if isinstance(case, Case) and case.error is not None:
        return () if mode.traced else (REFUSAL.name,)
    concerned = tuple(check.name for check in CHECKS if check.concerns(target, loss))
    if case.id == loss.host.id and not mode.traced:
        return concerned
    ordinary = tuple(name for name in concerned if name in ORDINARY)
    return (*ordinary, "deterministic") if case.id == loss.host.id else ordinary
