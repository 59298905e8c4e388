"""An implementation: named functions of one framework that are held against the specs.

    impl = Implementation("mylib", framework="torch", version="1.2")

    @impl.loss
    def bpr(u, d_pos, d_neg, *, similarity="dot", reduction="mean"): ...

Constructing one registers nothing: the suite takes the module-level names bound to an ``Implementation``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .arguments import Renamed, arguments, by_own_names
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
    def loss(
        self, target: str, /, *, names: Mapping[str, str] | None = None, deviates: Deviation | None = None
    ) -> Callable[[F], F]: ...

    def loss(
        self, target: F | str, /, *, names: Mapping[str, str] | None = None, deviates: Deviation | None = None
    ) -> F | Callable[[F], F]:
        """Register a function under its own name, or under the given loss id. The function is returned unchanged.

        It takes the spec's inputs and parameters, and ``reduction``, as keywords, and returns a tensor. An object that
        can be called is registered as a function is: a ``torch.nn.Module``, a Keras loss. What it does not take is
        left out of calls. ``names`` says what it calls the spec's arguments, ``{"u": "user"}``; :attr:`losses` has it
        by the spec's names. ``deviates`` declares a known difference from the spec. Raises TypeError for what is no
        function or has no name of its own, and ValueError for a loss that is registered already.
        """
        loss_id = target if isinstance(target, str) else self._own_name(target)

        def register(function: F) -> F:
            self._add(self.losses, loss_id, function, names)
            if deviates is not None:
                self.deviations[loss_id] = deviates
            return function

        return register if isinstance(target, str) else register(target)

    def gradient(self, loss_id: str, /, *, names: Mapping[str, str] | None = None) -> Callable[[F], F]:
        """Register the gradient of a loss, for frameworks without automatic differentiation.

        The function takes the loss's keywords, or calls them as ``names`` says, and returns {the spec's name of an
        input: array}, the gradient of the reduced loss (``reduction="none"`` counts as ``sum``). Raises as
        :meth:`loss` does.
        """

        def register(function: F) -> F:
            self._add(self.gradients, loss_id, function, names)
            return function

        return register

    def _own_name(self, function: Callable[..., Any]) -> str:
        if not callable(function):
            raise TypeError(f"{self.name}: a loss must be a function, got {function!r}")
        name = getattr(function, "__name__", None)
        if not isinstance(name, str):
            kind = type(function).__name__
            raise TypeError(f'{self.name}: this {kind} has no name that says which loss it is: loss("ID")(…) gives it')
        return name

    def _add(
        self,
        table: dict[str, Callable[..., Any]],
        loss_id: str,
        function: Callable[..., Any],
        names: Mapping[str, str] | None,
    ) -> None:
        if not callable(function):
            raise TypeError(f"{self.name}: {loss_id} must be a function, got {function!r}")
        if loss_id in table:
            raise ValueError(f"{self.name}: {loss_id} is registered twice")
        called = by_own_names(function)
        table[loss_id] = Renamed(called, self._checked(loss_id, names)) if names else called

    def _checked(self, loss_id: str, names: Mapping[str, str]) -> Mapping[str, str]:
        """The names; raises TypeError for what is no mapping of names, ValueError where two become one."""
        if not isinstance(names, Mapping) or not all(isinstance(x, str) for pair in names.items() for x in pair):
            raise TypeError(f'{self.name}: names of {loss_id} must be like {{"u": "user"}}, got {names!r}')
        if len(set(names.values())) < len(names):
            raise ValueError(f"{self.name}: names of {loss_id} gives two arguments one name: {dict(names)}")
        return names

    def takes(self, loss_id: str, names: Iterable[str]) -> frozenset[str]:
        """Which of ``names`` the function takes as keywords."""
        taken = arguments(self.losses[loss_id])
        return frozenset(name for name in names if taken.takes(name))
