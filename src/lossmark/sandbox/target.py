"""Targets: implementations as the engine sees them from outside, without loading them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..adapters.deviation import Deviation
from ..adapters.installed import runtime
from ..adapters.mode import Mode
from ..adapters.registry import Reference, own_implementations, own_losses
from ..adapters.runtime import COMMAND
from ..errors import LoadError, LossmarkError
from ..specification.library import losses
from ..specification.loss import Loss
from .command import offered
from .fit import EVERY_KEYWORD, no_loss
from .limits import LOOK_SECONDS, Clock, Limits, Processes


@dataclass(frozen=True)
class Target:
    """An implementation as the plan sees it, without loading it: what it has and what it takes."""

    reference: Reference
    modes: tuple[str, ...]
    """The names of the modes that it is run in when ``--mode`` does not say otherwise."""
    losses: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    """Loss id → the keywords that its function takes (None: all)."""
    gradients: frozenset[str] | None = None
    """Losses with a gradient written by hand (None: all)."""
    deviations: Mapping[str, Deviation] = field(default_factory=dict)
    dtypes: frozenset[str] | None = None
    """The dtypes that it can be called in (None: all)."""

    @property
    def name(self) -> str:
        """The implementation's name."""
        return self.reference.name

    def mode(self, name: str) -> Mode:
        """The mode of the implementation's framework with this name."""
        return runtime(self.reference.framework).mode(name)

    def has(self, loss: Loss) -> bool:
        """Whether it implements the loss."""
        return loss.id in self.losses

    def takes(self, loss: Loss, keyword: str) -> bool:
        """Whether the loss's function takes a keyword."""
        keywords = self.losses.get(loss.id)
        return keywords is None or keyword in keywords

    @property
    def autodiff(self) -> bool:
        """Whether its framework differentiates."""
        return runtime(self.reference.framework).autodiff

    @property
    def remote(self) -> bool:
        """Whether it is a program that is asked by messages."""
        return runtime(self.reference.framework).remote

    def differentiates(self, loss: Loss) -> bool:
        """Whether gradients of the loss can be had, from the framework, or from a function or program of its own."""
        return self.autodiff or self.gradients is None or loss.id in self.gradients


def one(source: str) -> Target:
    """The implementation that a name, file or ``FILE.py::name`` stands for.

    Raises :class:`LossmarkError` where that is not exactly one.
    """
    path, _, name = source.partition("::")
    found = [target for target in targets((path,)) if not name or target.name == name]
    if len(found) != 1:
        names = ", ".join(target.name for target in found) or "none of that name"
        raise LossmarkError(f"{source}: expected one implementation, found {names}; choose by {path}::NAME")
    return found[0]


def own(name: str) -> Target:
    """One of lossmark's own implementations as a guest, from which no check is left out.

    A gate takes base and head of lossmark this way. Raises KeyError.
    """
    adapter = own_implementations()[name]
    return Target(Reference(name, name, adapter.name), adapter.own[name].modes, dict.fromkeys(own_losses(name)))


def targets(names: Sequence[str] = ()) -> list[Target]:
    """The implementations of these names, files and modules (none given: all of lossmark's own).

    Raises :class:`LoadError` where one cannot be loaded, or two have one name.
    """
    found: list[Target] = []
    ours = own_implementations()
    for source in names or ours:
        if source in ours:
            reference = Reference(source, source, ours[source].name, own=True)
            found.append(Target(reference, ours[source].own[source].modes, dict.fromkeys(own_losses(source))))
        else:
            found += discover(source)
    return distinct(found)


def distinct(found: list[Target]) -> list[Target]:
    """The implementations, whose names are all different; raises :class:`LoadError` if two have one name."""
    known = [target.name for target in found]
    for name in known:
        if known.count(name) > 1:
            raise LoadError(f"two implementations are named {name!r}")
    return found


def discover(
    source: str, *more: str, python: str = sys.executable, environment: Mapping[str, str] | None = None
) -> list[Target]:
    """What a file or module holds, found out in a process of its own: loading it may do anything.

    ``more`` are others that may be loaded in the same process. ``python`` and ``environment`` are the interpreter and
    the additional variables of that process. Raises :class:`LoadError` where it fails, or takes longer than a worker
    may take to start.
    """
    command = [python, "-m", "lossmark.discover", source, *more]
    with subprocess.Popen(
        command, env=os.environ | (environment or {}), start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        stdout, stderr = _written(process, source)
    lines = [line for line in stdout.splitlines() if line.startswith("{")]
    if process.returncode or not lines:
        words = stderr.strip().splitlines() or [f"exit code {process.returncode}"]
        raise LoadError(words[-1] if words[-1].startswith(source) else f"{source}: cannot be loaded: {words[-1]}")
    return [target_of(item) for item in json.loads(lines[-1])["implementations"]]


def _written(process: subprocess.Popen[str], source: str) -> tuple[str, str]:
    """What the process has written when it ends; raises :class:`LoadError` if it takes too long.

    It ends with this call, whatever happens: its session is its own, so that no interrupt of ours reaches it.
    """
    processes, clock, limits = Processes(process.pid), None, Limits()
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=LOOK_SECONDS)
            processes.look()
            clock = clock or Clock(processes, limits.starting, limits.starting_idle)
            if why := clock.over():
                raise LoadError(f"{source}: loading it gave {why}")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def program(command: str, name: str) -> Target:
    """The implementation that a program is, by what it says that it has.

    Raises :class:`LoadError` where it does not start or says nothing, or has what is no loss or keyword of one.
    """
    if not name.strip():
        raise LoadError("--command needs --name, which is what results call the program")
    reference, offer = offered(command, name)
    known = losses()
    for loss_id in offer.gradients:
        if loss_id not in offer.losses:
            raise LoadError(f"{name} says that it has a gradient of {loss_id!r}, and not that loss")
    for loss_id in offer.losses:
        if loss_id not in known:
            raise LoadError(f"{name} says that it has {loss_id!r}, which is no loss: {no_loss(loss_id, known)}")
    for loss_id, taken in offer.losses.items():
        keywords = (*EVERY_KEYWORD, *known[loss_id].model.params, *known[loss_id].optional)
        for keyword in taken:
            if keyword not in keywords:
                raise LoadError(f"{name} says that its {loss_id} takes {keyword!r}; it may take {', '.join(keywords)}")
    takes = {loss: frozenset(taken) for loss, taken in offer.losses.items()}
    modes = tuple(mode.name for mode in COMMAND.modes)
    return Target(reference, modes, takes, frozenset(offer.gradients), dtypes=frozenset(offer.dtypes))


def target_of(item: Mapping[str, Any]) -> Target:
    """The implementation that :func:`.describe.described` has written down."""
    losses = {loss: None if names is None else frozenset(names) for loss, names in item["losses"].items()}
    deviations = {loss: Deviation(**fields) for loss, fields in item["deviations"].items()}
    reference = Reference(item["source"], item["name"], item["framework"])
    return Target(reference, tuple(item["modes"]), losses, frozenset(item["gradients"]), deviations)
