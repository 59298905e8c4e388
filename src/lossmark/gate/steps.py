"""The steps of a gate in their order."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..adapters.installed import framework_version
from ..errors import LossmarkError
from ..results.difference import compared
from ..results.record import Results
from ..sandbox.process import OTHER_MESSAGES
from ..sandbox.target import Target
from ..specification.library import losses
from . import costs, race, sides
from .benchmark import Benchmark
from .kills import lost_kills
from .outcome import Finding, GateOutcome, Race
from .sides import Change, Side


@dataclass(frozen=True)
class Request:
    """What is to be gated."""

    base: str
    impls: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    """Modes that are timed (default: eager); conformance is held in all of them unless some are named."""
    case: str = ""
    sizes: tuple[tuple[int, int], ...] = ((4096, 128),)
    terms: race.Terms = field(default_factory=race.Terms)
    install: str = ""

    @property
    def options(self) -> list[str]:
        """The options of the conformance runs."""
        given = {"--loss": self.losses, "--dtype": self.dtypes, "--mode": self.modes}
        named = [f"{option}={value}" for option, values in given.items() for value in values]
        return named + ([f"--case={self.case}"] if self.case else [])


Tell = Callable[[str], None]
"""Shows what is going on."""
OTHER_REVISION = "the base speaks other messages than the head: its cells are compared, its costs and times cannot be"


def gate(request: Request, tell: Tell = lambda text: None) -> GateOutcome:
    """Hold base and head against each other; ``tell`` is called with what is going on, in words.

    Raises :class:`LossmarkError` where a side cannot be made or its conformance run does not end.
    """
    with sides.sides(request.base, request.impls, request.install) as change:
        outcome = GateOutcome(change.base.label, change.head.label)
        if change.documentation:
            outcome.add([Finding("cells", "note", "documentation", "nothing but documentation differs")])
            return outcome
        base, head = _conformance(change, request, tell)
        outcome.cells = {"base": dict(base.counts), "head": dict(head.counts)}
        outcome.environment = dict(head.header.get("environment", {}))
        outcome.add(_gone(change))
        differences = compared(base, head, change.names)
        outcome.add(Finding("cells", found.severity, found.subject, found.text) for found in differences)
        if change.base.root and change.head.root:
            outcome.add(lost_kills(change.base.root, change.head.root))
        _speed(change, request, outcome, tell)
        return outcome


def _conformance(change: Change, request: Request, tell: Tell) -> tuple[Results, Results]:
    """The cells of base and head, from a conformance run of each."""
    with tempfile.TemporaryDirectory(prefix="lossmark-gate-") as folder:
        found = []
        for side, name in ((change.base, "base"), (change.head, "head")):
            tell(f"conformance of the {side.label}")
            found.append(side.conformance(request.options, Path(folder) / f"{name}.jsonl"))
    return found[0], found[1]


def _gone(change: Change) -> Iterator[Finding]:
    """Implementations that only the base has."""
    for name in change.removed:
        yield Finding("cells", "regression", name, "this implementation is gone")


def _speed(change: Change, request: Request, outcome: GateOutcome, tell: Tell) -> None:
    """Costs and times of what both sides have; what only the base has is a regression."""
    before, after = change.base.targets(), change.head.targets()
    old = {change.names.get(name, name): target for name, target in before.items()}
    found, lost = _benchmarks(old, after, request)
    outcome.add(Finding("race", "regression", name, "this benchmark is gone") for name in lost)

    def entrants(impl: str) -> tuple[tuple[Side, Target], tuple[Side, Target]]:
        return (change.base, old[impl]), (change.head, after[impl])

    if found and not _understood(*entrants(found[0].impl)[0]):
        outcome.add([Finding("race", "harness error", "benchmarks", OTHER_REVISION)])
        return
    tell(f"costs of {len(found)} benchmarks")
    outcome.add(costs.compared(found, entrants))
    for index, result in enumerate(race.raced(found, entrants, request.terms), 1):
        tell(f"times: {index} of {len(found)} benchmarks")
        outcome.races.append(result)
    outcome.add(_slower(outcome.races))
    if not any(result.ratio for result in outcome.races):
        outcome.add([Finding("race", "harness error", "benchmarks", "nothing was timed")])


def _understood(side: Side, target: Target) -> bool:
    """Whether the processes of a side speak the messages of this one, which another revision of lossmark may not."""
    if side.python == sys.executable and not (side.root and (side.root / "src" / "lossmark").is_dir()):
        return True
    worker = side.worker(target, {})
    try:
        return worker.start().error != OTHER_MESSAGES
    finally:
        worker.stop()


def _benchmarks(
    old: dict[str, Target], new: dict[str, Target], request: Request
) -> tuple[list[Benchmark], Sequence[str]]:
    """What both sides have, and the names of what only the base has."""
    sets = [{benchmark.name: benchmark for benchmark in _those(side, request)} for side in (old, new)]
    common = [benchmark for name, benchmark in sets[0].items() if name in sets[1]]
    return common, [name for name in sets[0] if name not in sets[1]]


def _those(found: dict[str, Target], request: Request) -> Iterable[Benchmark]:
    """The benchmarks of one side; raises :class:`LossmarkError` for an unknown loss."""
    known = losses()
    for name, target in found.items():
        if framework_version(target.reference.framework) is None:
            continue
        for mode in request.modes or ("eager",):
            for loss_id in request.losses or known:
                if loss_id not in known:
                    raise LossmarkError(f"unknown loss {loss_id!r}, expected one of {', '.join(known)}")
                loss = known[loss_id]
                if mode in target.modes and target.has(loss):
                    passes = "fwd+bwd" if target.differentiates(loss) else "fwd"
                    for size in request.sizes:
                        yield Benchmark(name, loss.id, mode, size, passes)


def _slower(races: Sequence[Race]) -> Iterator[Finding]:
    """What the races have found, but for those that pass."""
    for result in races:
        name, ratio = result.benchmark.name, result.ratio
        if result.verdict == "fail" and ratio is None:
            yield Finding("race", "regression", name, result.reason)
        elif result.verdict == "fail" and ratio is not None:
            text = f"takes {ratio.median:.3f} times as long ({ratio.low:.3f} to {ratio.high:.3f}, {ratio.pairs} pairs)"
            yield Finding("race", "regression", name, text)
        elif result.verdict == "inconclusive":
            yield Finding("race", "inconclusive", name, result.reason)
        elif result.verdict == "not timed":
            yield Finding("race", "note", name, result.reason)
        elif result.verdict == "crashed":
            yield Finding("race", "harness error", name, result.reason)
