"""Which cells a run has: every case × implementation × device × dtype × mode × check, decided before anything runs."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..adapters.installed import framework, framework_version, frameworks, lacking, runtime
from ..adapters.mode import Compiling, Mode
from ..checks.catalogue import asked
from ..checks.run import Run
from ..dtypes import DTYPES
from ..errors import LossmarkError
from ..sandbox.living import workers_bytes
from ..sandbox.target import Target, distinct, program, targets
from ..specification.case import Case, Embedded, Planned
from ..specification.loss import Loss
from .programs import seldom


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
    command: str | None = None
    """A program that is an implementation, with its arguments."""
    name: str | None = None
    """What results call the program."""

    @property
    def targets(self) -> list[Target]:
        """The implementations that it names; lossmark's own if it names none.

        Raises :class:`LoadError` where one cannot be loaded, or two have one name.
        """
        asked = self.command is not None or self.name is not None
        programs = [program(self.command or "", self.name or "")] if asked else []
        return distinct([*(targets(self.impls) if self.impls or not programs else ()), *programs])


def plan(losses: Mapping[str, Loss], choice: Choice) -> list[Run]:
    """Every run that the choice selects; raises :class:`LossmarkError` for what it names and nobody knows."""
    check(losses, choice)
    blocks = _blocks(choice.targets, workers_bytes())
    return [run for block in blocks for run in plan_targets(losses, choice, block)]


def _blocks(found: Sequence[Target], most: int) -> list[list[Target]]:
    """The implementations in blocks whose workers fit into ``most`` bytes, each block to be finished before the next.

    lossmark's own are all in the first block: they have one worker for each framework.
    """
    blocks: list[list[Target]] = [[]]
    room = most
    for target in found:
        needed = 0 if target.reference.own else runtime(target.reference.framework).worker_bytes
        if needed > room and any(not other.reference.own for other in blocks[-1]):
            blocks.append([])
            room = most
        blocks[0 if target.reference.own else -1].append(target)
        room -= needed
    return blocks


def plan_targets(losses: Mapping[str, Loss], choice: Choice, found: Sequence[Target]) -> list[Run]:
    """The runs of the given implementations, in an order that keeps equal shapes and dtypes together.

    Equal cases follow each other, so that each is made ready and read exactly once, whoever is held to it.
    """
    chosen = [losses[name] for name in losses if _may_be_run(name, choice, found)]
    reasons = {name: lacking(name) for name in {target.reference.framework for target in found}}
    runs: list[Run] = []
    for loss in chosen:
        for dtype in DTYPES:
            if choice.dtypes and dtype not in choice.dtypes:
                continue
            rare = functools.cache(functools.partial(seldom, loss, dtype))
            for case in _cases(loss, dtype, choice):
                for target in found:
                    if target.has(loss):
                        reason = reasons[target.reference.framework]
                        runs += _settings(target, loss, case, dtype, choice, reason, rare)
    return runs


def _may_be_run(loss: str, choice: Choice, found: Sequence[Target]) -> bool:
    """Whether runs of a loss may be among those chosen, from its id alone: spec files that nobody needs stay unread."""
    of_the_loss, slash, _ = choice.case.partition("/")
    if slash and "[" not in of_the_loss and not fnmatch.fnmatchcase(loss, of_the_loss):
        return False
    return (not choice.losses or loss in choice.losses) and any(loss in target.losses for target in found)


def check(losses: Mapping[str, Loss], choice: Choice) -> None:
    """Raises :class:`LossmarkError` for what the choice names and nobody knows."""
    modes = {mode.name for adapter in frameworks().values() for mode in adapter.modes}
    for given, known, what in (
        (choice.losses, losses, "loss"),
        (choice.dtypes, DTYPES, "dtype"),
        (choice.modes, sorted(modes), "mode"),
        ((choice.device,), ("cpu", "gpu", "all"), "device"),
    ):
        for value in given:
            if value not in known:
                raise LossmarkError(f"unknown {what} {value!r}, expected one of {', '.join(known)}")


def _cases(loss: Loss, dtype: str, choice: Choice) -> Iterator[Planned]:
    """Golden cases in order of shape and parameters, then families, then golden cases in larger batches."""
    golden = [case for case in loss.cases if dtype in case.dtypes]
    golden.sort(key=lambda case: (case.error is not None, case.shape, repr(sorted(case.params.items()))))
    families = [family for family in loss.families if choice.full or not family.full]
    embedded = [large for large in loss.embedded if dtype in large.dtypes and (choice.full or not large.full)]
    cases: list[Planned] = [*golden, *families, *embedded]
    for case in cases:
        if not choice.case or fnmatch.fnmatchcase(case.id, choice.case):
            yield case


def _settings(
    target: Target,
    loss: Loss,
    case: Planned,
    dtype: str,
    choice: Choice,
    reason: str,
    rare: Callable[[Mode], frozenset[str]],
) -> Iterable[Run]:
    """The runs of one case of one implementation; ``rare`` are the cases with whose programs few others run."""
    wanted = choice.modes or target.modes
    for device in ("cpu", "gpu") if choice.device == "all" else (choice.device,):
        for mode in runtime(target.reference.framework).modes:
            if mode.name not in wanted or (isinstance(case, Embedded) and _is_too_much(case, target, mode, choice)):
                continue
            if target.reference.own and not (choice.full or choice.modes or choice.case):
                setting = Setting(
                    mode, dtype, case, loss, mode.starts_slowly and case.id in rare(mode),
                    framework(target.reference.framework).own[target.name].fused, dtype in choice.dtypes,
                )  # fmt: skip
                if any(concerns(setting) for concerns in LEFT_TO_FULL.values()):
                    continue
            checks = asked(target, loss, case, mode)
            if checks:
                yield Run(target, loss, case, device, dtype, mode.name, checks, reason, choice.full)


def _is_too_much(large: Embedded, target: Target, mode: Mode, choice: Choice) -> bool:
    """Whether every size would have to be compiled, or somebody else's loop over the rows might not come to an end."""
    return (mode.starts_slowly and large.full) or (large.many and not (target.reference.own or choice.case))


class Setting(NamedTuple):
    """What decides whether a run of one of lossmark's own implementations is left to ``--full``."""

    mode: Mode
    dtype: str
    case: Planned
    loss: Loss
    rare: bool
    """Whether a program is prepared for this case that few golden cases share."""
    fused: bool
    """Whether the implementation is fused."""
    named: bool
    """Whether an option names the dtype."""

    @property
    def usual(self) -> bool:
        """Whether the dtype is float32, in which everything is compiled."""
        return self.dtype == "float32"

    @property
    def other_program(self) -> bool:
        """Whether what the host case has made ready does not serve: another shape, or numbers as parameters."""
        case = self.case
        if not isinstance(case, Case) or any(not isinstance(value, str) for value in case.params.values()):
            return True
        return not self.loss.widens and case.shape[1:] != self.loss.host.shape[1:]


LEFT_TO_FULL: Mapping[str, Callable[[Setting], bool]] = {
    "even one program for each dtype takes too long to compile": lambda setting: (
        not setting.usual and setting.mode.compiling == Compiling.LONGEST
    ),
    "a program for each shape and parameter in each dtype takes too long": lambda setting: (
        not setting.usual and setting.mode.starts_slowly and setting.other_program
    ),
    "where golden cases need many programs, one that few of them share takes too long": lambda setting: setting.rare,
    "where each operation is compiled for each shape, those of many classes or pairs take too long": lambda setting: (
        setting.mode.compiles and not (setting.mode.traced or setting.loss.widens or isinstance(setting.case, Case))
    ),
    "edges in larger batches are seen in eager mode, in float32": lambda setting: (
        isinstance(setting.case, Embedded) and (setting.mode.traced or not (setting.usual or setting.named))
    ),
    "of a fused implementation eager mode in float32 shows what differs from the plain one": lambda setting: (
        setting.fused and not setting.named and (setting.mode.traced or not setting.usual)
    ),
}
"""Why a run of one of lossmark's own implementations is left to ``--full`` → which are; an option may name them."""


def required(names: Sequence[str]) -> None:
    """Raise :class:`LossmarkError` for a framework that LOSSMARK_REQUIRE names and this machine has not."""
    for name in names:
        if name not in frameworks():
            raise LossmarkError(f"LOSSMARK_REQUIRE names {name!r}, known are {', '.join(frameworks())}")
        if framework_version(name) is None:
            raise LossmarkError(f"{name} is required by LOSSMARK_REQUIRE but is not installed")
