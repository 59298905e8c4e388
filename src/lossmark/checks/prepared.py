"""A run made ready: its case as it is run, its number format, and the message that asks for its results."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..dtypes import F64, DType
from ..sandbox.messages import Task
from ..specification.case import Case
from ..specification.deviated import counted, held_to, meant
from ..specification.loss import Loss
from ..tolerance.acceptance import REDUCTIONS
from .run import Run


class Unsupported(Exception):  # noqa: N818 (an outcome, not an error)
    """The implementation does not take what the case needs."""


@dataclass(frozen=True)
class Prepared:
    """A run with its case drawn, in the shape in which it is run, and the format ``dtype`` of its numbers."""

    run: Run
    case: Case
    dtype: DType

    @property
    def loss(self) -> Loss:
        """The loss that the run is about."""
        return self.run.loss

    @property
    def own(self) -> bool:
        """Whether the implementation is one of lossmark's own, which are held to every letter of the edge table."""
        return self.run.target.reference.own

    @property
    def reductions(self) -> tuple[str | None, ...]:
        """The reductions that can be asked for; ``(None,)`` where the function has no such argument."""
        return REDUCTIONS if self.run.target.takes(self.loss, "reduction") else (None,)

    @property
    def arrays(self) -> dict[str, Any]:
        """The inputs by name in the run's dtype, indices as int64, without those that the case leaves out."""
        found = {}
        for name, array in self.case.inputs.items():
            if name not in self.case.absent:
                found[name] = array.astype(np.int64 if name in self.loss.indices else self.dtype.numpy)
        return found

    @property
    def weights(self) -> F64:
        """Random weights ``[B]`` of the examples' losses, numbers of the dtype, the same for every implementation.

        Rows that are known to repeat have the same weight.
        """
        seed = int.from_bytes(hashlib.sha256(self.case.id.encode()).digest()[:4])
        weights = self.dtype.round(np.random.default_rng(seed).uniform(0.5, 2.0, self.case.distinct.batch))
        return weights if self.case.repeats is None else self.case.repeats.expand(weights)

    @property
    def meant(self) -> Case:
        """The case of the spec whose loss the implementation computes, up to a declared factor."""
        return meant(self.run.deviation, self.case)

    @property
    def held_to(self) -> Loss:
        """The loss that the implementation is held to: the spec's, with the declared changes of its formula."""
        return held_to(self.run.deviation, self.loss)

    @property
    def counted(self) -> DType:
        """The format by which the errors of the implementation are counted."""
        return counted(self.run.deviation, self.dtype)

    @property
    def params(self) -> Mapping[str, Any]:
        """The case's parameters that the function takes.

        Raises :class:`Unsupported` if it lacks one that matters, or an input that the case gives and that may be left
        out, or the dtype.
        """
        dtypes = self.run.target.dtypes
        if dtypes is not None and self.dtype.name not in dtypes:
            raise Unsupported(f"the program has no {self.dtype.name}")
        for lacked in self._lacked():
            raise Unsupported(f"the function takes no {lacked}")
        fixed = {} if self.run.deviation is None else self.run.deviation.fixed
        defaults = {**self.loss.params({}), **fixed}
        taken: dict[str, Any] = {}
        for name, value in self.case.params.items():
            if self._takes(name):
                taken |= self.loss.called({name: value})
            elif value != defaults[name]:
                raise Unsupported(f"the function takes no {name}")
        return taken

    def _lacked(self) -> Iterator[str]:
        """What the function does not take: optional inputs that are given, and the mark of rows that are ignored."""
        for item in self.loss.inputs:
            if item.optional is not None and item.name not in self.case.absent and not self._takes(item.name):
                yield item.name
            marked = self.case.inputs[item.name] == self.loss.mark(item, self.case.params)
            if marked.any() and not self._takes(item.ignore):
                yield item.ignore

    def _takes(self, name: str) -> bool:
        return self.run.target.takes(self.loss, name)

    @property
    def task(self) -> Task:
        """The message that asks for value and gradient under each reduction; raises :class:`Unsupported`."""
        asked = self.run.slopes if self.reductions[0] else self.reductions
        return Task(
            self.run.target.name,
            self.loss.id,
            self.params,
            self.arrays,
            self.loss.gradient_of,
            self.weights.astype(self.dtype.numpy),
            self.reductions,
            asked if self.run.target.differentiates(self.loss) else (),
            self.run.mode,
            self.run.device,
        )

    def on(self, case: Case) -> Prepared:
        """The same run on another case."""
        return replace(self, case=case)
