"""Which cells a run has: every case × implementation × device × dtype × mode × check, decided before anything runs."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..adapters.implementation import FRAMEWORKS
from ..adapters.installed import framework, framework_version
from ..adapters.mode import compiles
from ..adapters.registry import OWN
from ..checks.catalogue import asked
from ..checks.run import Run
from ..dtypes import DTYPES
from ..errors import LossmarkError
from ..sandbox.target import Target, targets
from ..specification.case import Case, Family
from ..specification.loss import Loss


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


def plan(losses: Mapping[str, Loss], choice: Choice) -> list[Run]:
    """Every run that the choice selects; raises :class:`LossmarkError` for what it names and nobody knows."""
    check(losses, choice)
    return plan_targets(losses, choice, targets(choice.impls))


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
            checks = asked(target, loss, case, mode)
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


def required(names: Sequence[str]) -> None:
    """Raise :class:`LossmarkError` for a framework that LOSSMARK_REQUIRE names and this machine has not."""
    for name in names:
        if name not in FRAMEWORKS:
            raise LossmarkError(f"LOSSMARK_REQUIRE names {name!r}, known are {', '.join(FRAMEWORKS)}")
        if framework_version(name) is None:
            raise LossmarkError(f"{name} is required by LOSSMARK_REQUIRE but is not installed")
