"""What the engine asks of a framework. One subclass lives in each folder of ``lossmark.impls``.

The module ``framework`` of such a folder binds an instance to ``FRAMEWORK``, and imports the framework itself only
inside methods: the engine reads what the instance says of the framework where the framework is not installed, too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from numpy.typing import NDArray

from .runtime import Runtime

Tensor = Any
"""A tensor of the framework."""
Keywords = Mapping[str, Any]
"""The parameters of a loss by name, without the reduction."""
Call = Callable[[Mapping[str, Tensor], Keywords, str | None], Tensor]
"""``call(inputs, params, reduction)`` runs the loss under test; ``reduction=None`` leaves the argument out."""


class FellBack(Exception):  # noqa: N818 (an outcome, not an error)
    """A compiled mode could not compile the function and would have run it eagerly."""


class Described(NamedTuple):
    """What came back from a call; of something that is no tensor ``dtype`` is the name of its class."""

    native: bool
    """Whether it is a tensor of the framework."""
    dtype: str
    shape: tuple[int, ...]
    device: str


class Derivative(NamedTuple):
    """The value of a reduction with its gradient by name of input (absent: 0), None where it was not asked for."""

    value: Tensor
    gradient: Mapping[str, Tensor] | None


Program = Callable[[Mapping[str, Tensor], Tensor, Keywords], Mapping[str | None, Derivative]]
"""``program(inputs, cotangent, params)`` gives each reduction; ``cotangent`` ``[B]`` weighs ``none``."""
Pullback = Callable[[Tensor | None, Mapping[str, Tensor]], Mapping[str, Tensor]]
"""``pullback(cotangent, onto)`` gives gradients by name (absent: 0), added to those in ``onto``; None counts as 1."""


@dataclass(frozen=True)
class Own:
    """One of lossmark's own implementations."""

    module: str
    """The module in the framework's folder that binds it."""
    modes: tuple[str, ...] = ("eager",)
    """The names of the modes that it is run in when ``--mode`` does not say otherwise."""
    fused: bool = False
    """Whether it moves the fewest bytes; else it is written beside the formula."""


class Framework(Runtime, ABC):
    """A machine-learning framework: arrays in, arrays out, values and gradients in each execution mode."""

    rank: int
    """Its place where frameworks are listed, the lowest first."""
    distributions: tuple[str, ...]
    """Installed distributions that provide it, the first one present gives the version."""
    module: str
    """The module whose presence says that the framework is installed."""
    own: ClassVar[Mapping[str, Own]] = {}
    """lossmark's own implementations in this framework, by name."""
    threads: int | None = None
    """How many threads its operations use at most; None: as many as its libraries are told to."""
    layouts: tuple[str, ...] = ()
    """Names of memory layouts other than the usual one; empty where tensors have no visible layout."""
    variables: tuple[str, ...] = ()
    """How the names of environment variables begin that it sets itself, at the first use of some part of it."""
    numerics: tuple[str, ...] = ()
    """What :meth:`setup` makes strict, in words for results files; the first is for the header of a run, too."""

    @abstractmethod
    def setup(self) -> Mapping[str, str]:
        """Make the numeric set-up strict (no TF32, highest matmul precision); returns the settings by name.

        A worker calls it once, before it loads any implementation.
        """

    def restoring(self) -> Callable[[], None]:
        """Sets the numeric set-up back to what it is now; for a process in which others compute, too."""
        return lambda: None

    @abstractmethod
    def devices(self) -> tuple[str, ...]:
        """``cpu``, and ``gpu`` where one can be used."""

    @abstractmethod
    def from_numpy(self, array: NDArray[Any], device: str = "cpu") -> Tensor:
        """A tensor with a copy of ``array`` (bool, integer, float16/32/64, ml_dtypes.bfloat16)."""

    @abstractmethod
    def to_numpy(self, x: Tensor) -> NDArray[Any]:
        """The tensor's numbers on the host, in its dtype."""

    @abstractmethod
    def describe(self, x: Any) -> Described:
        """What ``x`` is."""

    def traceable(self, function: Callable[..., Any], mode: str) -> Callable[..., Any]:
        """The function of a loss as it is traced in a mode: itself, unless the framework has to rewrite it first."""
        return function

    @abstractmethod
    def program(
        self, call: Call, reductions: Sequence[str | None], slopes: Sequence[str | None], wrt: Sequence[str], mode: str
    ) -> Program:
        """Values, and gradients of ``slopes``, of several reductions as one function, compiled where ``mode`` says so.

        ``wrt`` names the inputs to differentiate by; ``mode`` is the name of one of :attr:`modes`.
        Running it may raise :class:`FellBack`, or whatever the loss raises.
        """

    def curvature(
        self,
        call: Call,
        reduction: str | None,
        inputs: Mapping[str, Tensor],
        directions: Mapping[str, Tensor],
        params: Keywords,
    ) -> Mapping[str, Tensor]:
        """The gradient of ⟨gradient of the loss, directions⟩ by the inputs that ``directions`` names (absent: 0).

        That is the product of the loss's Hessian with the directions. Differentiates in eager mode; may raise
        whatever the framework raises for a loss that it can differentiate only once.
        """
        raise NotImplementedError(f"{self.name} has no automatic differentiation")

    def pullback(
        self,
        call: Call,
        reduction: str | None,
        inputs: Mapping[str, Tensor],
        wrt: Sequence[str],
        params: Keywords,
    ) -> Pullback:
        """Makes the call in eager mode; the function differentiates its one graph, as often as it is called."""
        raise NotImplementedError(f"{self.name} has no automatic differentiation")

    @abstractmethod
    def synchronise(self, x: Any) -> None:
        """Return when the computation of ``x`` (tensors, nested) has finished."""

    def keeping(self, folder: Path) -> Mapping[str, str]:
        """The environment variables that have a process keep the programs it compiles in a folder and find them there.

        Empty for a framework that compiles nothing, or keeps nothing.
        """
        return {}

    def settings(self) -> Mapping[str, str]:
        """The global settings of the framework that change what programs compute."""
        return {}

    def random_state(self) -> object:
        """The state of the framework's global random numbers, as something whose text is unequal if it differs."""
        return None

    def namespaces(self) -> Sequence[Any]:
        """Modules and classes of the framework whose functions nobody may replace."""
        return ()

    def strided(self, array: NDArray[Any], device: str = "cpu") -> Mapping[str, Tensor]:
        """The same numbers in those of :attr:`layouts` that an array of this shape and these numbers can have."""
        return {}

    def gpu_memory(self) -> tuple[int, int] | None:
        """Bytes that a GPU holds now and held at most since the last call; None where the framework does not say."""
        return None

    def traffic(
        self, run: Callable[[Mapping[str, Tensor]], Any], inputs: Mapping[str, Tensor], mode: str
    ) -> int | None:
        """Bytes that the operations of ``run(inputs)`` read and write, caches left aside; None where nobody says."""
        return None

    def copied(self, x: Tensor) -> Tensor:
        """The same numbers in memory of their own on the same device: what its bandwidth is measured with."""
        raise NotImplementedError(f"{self.name} has no devices")

    def programs(self) -> int:
        """How many programs have been traced or compiled in this process so far."""
        return 0
