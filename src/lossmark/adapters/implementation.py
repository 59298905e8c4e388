"""An implementation: named functions of one framework that are held against the specs.

    impl = Implementation("mylib", framework="torch", version="1.2")

    @impl.loss
    def bpr(u, d_pos, d_neg, *, similarity="dot", reduction="mean"): ...

Constructing one registers nothing: the suite takes the module-level names bound to an ``Implementation``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .deviation import Deviation
from .installed import framework, frameworks

if TYPE_CHECKING:
    from .framework import Framework

F = TypeVar("F", bound=Callable[..., Any])


class Implementation:
    """Loss functions of one library in one framework.

    ``name`` is any non-empty text; ``framework`` that of a folder in ``impls`` (``torch``); ``version`` is the
    library's; ``modes`` are the names of the execution modes to run in when ``--mode`` does not say otherwise
    (default: eager).
    Raises ValueError for an empty name or an unknown framework.
    """

    def __init__(self, name: str, framework: str, version: str = "", modes: Iterable[str] = ("eager",)):
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"name must be a non-empty text, got {name!r}")
        known = tuple(frameworks())
        if framework not in known:
            raise ValueError(f"framework must be one of {', '.join(known)}, got {framework!r}")
        self.name, self.framework_name, self.version = name, framework, version
        self.modes = (modes,) if isinstance(modes, str) else tuple(modes)
        self.losses: dict[str, Callable[..., Any]] = {}
        self.gradients: dict[str, Callable[..., Any]] = {}
        self.deviations: dict[str, Deviation] = {}

    def __repr__(self) -> str:
        return f"Implementation({self.name!r}, framework={self.framework_name!r}, losses={sorted(self.losses)})"

    @property
    def framework(self) -> Framework:
        """The framework's adapter (``from_numpy``, ``to_numpy``, …); imports the framework."""
        return framework(self.framework_name)

    @overload
    def loss(self, target: F, /) -> F: ...
    @overload
    def loss(self, target: str, /, *, deviates: Deviation | None = None) -> Callable[[F], F]: ...

    def loss(self, target: F | str, /, *, deviates: Deviation | None = None) -> F | Callable[[F], F]:
        """Register a function under its own name, or under the given loss id. The function is returned unchanged.

        It takes the spec's inputs and parameters, and ``reduction``, as keywords, and returns a tensor. ``deviates``
        declares a known difference from the spec. Raises TypeError for what is no function, and ValueError for a loss
        that is registered already.
        """
        if not isinstance(target, str):
            self._add(self.losses, target.__name__, target)
            return target
        loss_id = target

        def register(function: F) -> F:
            self._add(self.losses, loss_id, function)
            if deviates is not None:
                self.deviations[loss_id] = deviates
            return function

        return register

    def gradient(self, loss_id: str, /) -> Callable[[F], F]:
        """Register the gradient of a loss, for frameworks without automatic differentiation.

        The function takes the loss's keywords and returns {input name: array}, the gradient of the reduced loss
        (``reduction="none"`` counts as ``sum``). Raises as :meth:`loss` does.
        """

        def register(function: F) -> F:
            self._add(self.gradients, loss_id, function)
            return function

        return register

    def _add(self, table: dict[str, Callable[..., Any]], loss_id: str, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise TypeError(f"{self.name}: {loss_id} must be a function, got {function!r}")
        if loss_id in table:
            raise ValueError(f"{self.name}: {loss_id} is registered twice")
        table[loss_id] = function

    def takes(self, loss_id: str, names: Iterable[str]) -> frozenset[str]:
        """Which of ``names`` the function takes as keywords."""
        try:
            parameters: Mapping[str, inspect.Parameter] = inspect.signature(self.losses[loss_id]).parameters
        except (TypeError, ValueError):
            return frozenset(names)
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            return frozenset(names)
        return frozenset(name for name in names if name in parameters)
