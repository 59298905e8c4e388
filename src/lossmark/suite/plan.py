"""Which cells a run has: every case × implementation × device × dtype × mode × check, decided before anything runs."""

from __future__ import annotations

import fnmatch
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..adapters.deviation import Deviation
from ..adapters.implementation import FRAMEWORKS
from ..adapters.installed import framework, framework_version
from ..adapters.registry import OWN, Reference
from ..dtypes import DTYPES
from ..errors import LoadError, LossmarkError
from ..specification.loss import Case, Family, Loss

ORDINARY = ("value", "gradient", "result", "unmodified")
USAGE = ("labels", "defaults", "empty", "arguments")
CONSISTENCY = (
    "deterministic", "permuted", "partial", "aliased", "layout", "state", "properties", "cotangent", "curvature",
)  # fmt: skip
"""Checks of usage and of consistency, made once per loss, implementation, device and dtype, on its host case."""


def compiles(framework_name: str, mode: str) -> bool:
    """Whether every new shape is compiled anew: JAX does so in eager mode too, ``tf.function`` does not."""
    return framework_name == "jax" or mode in ("compile", "xla")


@dataclass(frozen=True)
class Target:
    """An implementation as the plan sees it, without loading it: what it has and what it takes."""

    reference: Reference
    modes: tuple[str, ...]
    losses: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    """Loss id → the keywords that its function takes (None: all)."""
    gradients: frozenset[str] | None = None
    """Losses with a gradient written by hand (None: all)."""
    deviations: Mapping[str, Deviation] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.reference.name

    def has(self, loss: Loss) -> bool:
        return self.reference.own or loss.id in self.losses

    def takes(self, loss: Loss, keyword: str) -> bool:
        keywords = self.losses.get(loss.id)
        return keywords is None or keyword in keywords

    @property
    def autodiff(self) -> bool:
        return framework(self.reference.framework).autodiff

    def differentiates(self, loss: Loss) -> bool:
        return self.autodiff or self.gradients is None or loss.id in self.gradients


@dataclass(frozen=True)
class Run:
    """The cells of one case in one setting. ``case`` is a golden case, or a family to be drawn in ``dtype``."""

    target: Target
    loss: Loss
    case: Case | Family
    device: str
    dtype: str
    mode: str
    checks: tuple[str, ...]
    reason: str = ""
    """Why the run cannot be made (its cells are then ``not-run``)."""
    full: bool = False

    @property
    def id(self) -> str:
        return f"{self.case.id}-{self.target.name}-{self.device}-{self.dtype}-{self.mode}"

    @property
    def deviation(self) -> Deviation | None:
        """The difference from the spec that the implementation declares."""
        return self.target.deviations.get(self.loss.id)

    @property
    def scale(self) -> float:
        """The declared factor on the spec's loss."""
        return 1.0 if self.deviation is None else self.deviation.scale

    @property
    def large(self) -> bool:
        """Whether the case is a family of more than 65,536 numbers per input."""
        return isinstance(self.case, Family) and self.case.model.shape[0] * self.case.model.shape[1] > 1 << 16

    @property
    def slopes(self) -> tuple[str, ...]:
        """The reductions whose gradient is checked.

        The gradient of ``sum`` is that of ``none`` with weights 1. For lossmark's own implementations it is left to
        ``--full`` where it costs most: where every program is compiled, and at a million elements. A gradient written
        by hand takes no weights.
        """
        adapter = framework(self.target.reference.framework)
        costly = self.large or compiles(adapter.name, self.mode)
        reductions = ["none", "sum", "mean"]
        if self.target.reference.own and costly and not self.full:
            reductions.remove("sum")
        if not adapter.autodiff:
            reductions.remove("none")
        return tuple(reductions)

    @property
    def command(self) -> str:
        """The command that repeats just these cells."""
        text = repeat(self.target.reference.source, self.case.id, self.device, self.dtype, self.mode)
        return f"{text} --full" if self.full else text


def repeat(source: str, case: str, device: str, dtype: str, mode: str) -> str:
    """The command that runs one case of one implementation, quoted for a shell."""
    words = ["pytest", "conformance", "--impl", source, "--case", case, "--device", device]
    return shlex.join([*words, "--dtype", dtype, "--mode", mode])


@dataclass(frozen=True)
class Choice:
    """What the options of a run select; empty means all."""

    impls: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    device: str = "cpu"
    dtypes: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    case: str = ""
    full: bool = False


def targets(choice: Choice) -> list[Target]:
    """The implementations that the run is about; raises :class:`LoadError`."""
    found: list[Target] = []
    for source in choice.impls or OWN:
        if source in OWN:
            own = OWN[source]
            found.append(Target(Reference(source, source, own.framework, own=True), own.modes))
        else:
            found += discover(source)
    names = [target.name for target in found]
    for name in names:
        if names.count(name) > 1:
            raise LoadError(f"two implementations are named {name!r}")
    return found


def discover(source: str, python: str = sys.executable, environment: Mapping[str, str] | None = None) -> list[Target]:
    """What a file or module holds, found out in a process of its own: loading it may do anything.

    Raises :class:`LoadError`.
    """
    command = [python, "-m", "lossmark.discover", source]
    variables = os.environ | (environment or {})
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=variables)
    except subprocess.TimeoutExpired:
        raise LoadError(f"{source}: loading it took more than 120 s") from None
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        words = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise LoadError(words[-1] if words[-1].startswith(source) else f"{source}: cannot be loaded: {words[-1]}")
    return [_target(item) for item in json.loads(lines[-1])["implementations"]]


def _target(item: Mapping[str, Any]) -> Target:
    losses = {loss: None if names is None else frozenset(names) for loss, names in item["losses"].items()}
    deviations = {loss: Deviation(**fields) for loss, fields in item["deviations"].items()}
    reference = Reference(item["source"], item["name"], item["framework"])
    return Target(reference, tuple(item["modes"]), losses, frozenset(item["gradients"]), deviations)


def plan(losses: Mapping[str, Loss], choice: Choice) -> list[Run]:
    """Every run that the choice selects; raises :class:`LossmarkError` for what it names and nobody knows."""
    check(losses, choice)
    return plan_targets(losses, choice, targets(choice))


def plan_targets(losses: Mapping[str, Loss], choice: Choice, found: Sequence[Target]) -> list[Run]:
    """The runs of the given implementations, in an order that keeps equal shapes and dtypes together."""
    chosen = [loss for loss in losses.values() if not choice.losses or loss.id in choice.losses]
    versions = {name: framework_version(name) for name in {target.reference.framework for target in found}}
    runs: list[Run] = []
    for loss in chosen:
        for dtype in DTYPES:
            if choice.dtypes and dtype not in choice.dtypes:
                continue
            for case in _cases(loss, dtype, choice):
                for target in found:
                    if target.has(loss):
                        reason = (
                            ""
                            if versions[target.reference.framework]
                            else f"{target.reference.framework} is not installed"
                        )
                        runs += _settings(target, loss, case, dtype, choice, reason)
    return runs


def check(losses: Mapping[str, Loss], choice: Choice) -> None:
    """Raises :class:`LossmarkError` for what the choice names and nobody knows."""
    modes = {mode for name in FRAMEWORKS for mode in framework(name).modes}
    for given, known, what in (
        (choice.losses, losses, "loss"),
        (choice.dtypes, DTYPES, "dtype"),
        (choice.modes, sorted(modes), "mode"),
        ((choice.device,), ("cpu", "gpu", "all"), "device"),
    ):
        for value in given:
            if value not in known:
                raise LossmarkError(f"unknown {what} {value!r}, expected one of {', '.join(known)}")


def _cases(loss: Loss, dtype: str, choice: Choice) -> Iterator[Case | Family]:
    """Golden cases in order of shape and parameters, then families."""
    golden = [case for case in loss.cases if dtype in case.dtypes]
    golden.sort(key=lambda case: (case.error is not None, case.shape, repr(sorted(case.params.items()))))
    families = [family for family in loss.families if choice.full or not family.model.full]
    cases: list[Case | Family] = [*golden, *families]
    for case in cases:
        if not choice.case or fnmatch.fnmatchcase(case.id, choice.case):
            yield case


def _settings(
    target: Target, loss: Loss, case: Case | Family, dtype: str, choice: Choice, reason: str
) -> Iterable[Run]:
    adapter = framework(target.reference.framework)
    wanted = choice.modes or target.modes
    for device in ("cpu", "gpu") if choice.device == "all" else (choice.device,):
        for mode in adapter.modes:
            if mode not in wanted:
                continue
            sparing = target.reference.own and not (choice.full or choice.modes or choice.case)
            fused = sparing and not choice.dtypes and OWN[target.name].module == "fused"
            if sparing and (_left_to_full(adapter.name, mode, case, dtype) or (fused and _seldom(mode, dtype))):
                continue
            checks = _checks(target, loss, case, mode)
            if checks:
                yield Run(target, loss, case, device, dtype, mode, checks, reason, choice.full)


def _left_to_full(framework_name: str, mode: str, case: Case | Family, dtype: str) -> bool:
    """What compiles longest for the least, of lossmark's own implementations and in dtypes other than float32.

    That is torch.compile, and, where each shape and margin is compiled anew, families and other margins.
    """
    if dtype == "float32":
        return False
    other_program = isinstance(case, Family) or any(not isinstance(value, str) for value in case.params.values())
    return mode == "compile" or (other_program and (mode == "graph" or compiles(framework_name, mode)))


def _seldom(mode: str, dtype: str) -> bool:
    """What the fused variants are held to under ``--full`` or where it is asked for: all but eager mode in float32."""
    return mode != "eager" or dtype != "float32"


def _checks(target: Target, loss: Loss, case: Case | Family, mode: str) -> tuple[str, ...]:
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


def required(names: Sequence[str]) -> None:
    """Raise :class:`LossmarkError` for a framework that LOSSMARK_REQUIRE names and this machine has not."""
    for name in names:
        if name not in FRAMEWORKS:
            raise LossmarkError(f"LOSSMARK_REQUIRE names {name!r}, known are {', '.join(FRAMEWORKS)}")
        if framework_version(name) is None:
            raise LossmarkError(f"{name} is required by LOSSMARK_REQUIRE but is not installed")
