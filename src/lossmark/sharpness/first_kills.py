"""The first kill of each mutant in each dtype, found as soon as may be: what a test needs to know, not a scoreboard."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby

from ..checks.catalogue import REFUSAL
from ..checks.run import Run
from ..sandbox.target import Target
from ..specification.library import losses
from ..suite.plan import Choice, plan_targets
from ..suite.suite import Suite
from .kills import Kills, KillTable, hold, is_large, lacking, use


def first_kills(
    targets: Sequence[Target],
    spared: Collection[tuple[str, str]],
    likely: Mapping[str, Collection[str]],
    dealt: Mapping[str, Collection[str]],
) -> KillTable:
    """Run implementations until they are killed; returns the kills of each in each dtype.

    The cases that are ``likely`` to kill it, by its name, come first, then those that have killed it in other dtypes.
    ``spared`` are implementations and dtypes which nothing is thought to kill: they are run eagerly, on the host case
    and on the cases that kill in another dtype. Any other case may still kill them, which :func:`~.kills.observe` sees.
    Those that are ``dealt`` dtypes are run in these alone.
    """
    planned = plan_targets(losses(), Choice(), list(targets))
    runs = sorted((run for run in planned if run.dtype in dealt.get(run.target.name, (run.dtype,))), key=_box)
    boxes = {box: list(some) for box, some in groupby(runs, key=_box)}
    killers = {target.name: list(likely.get(target.name, ())) for target in targets}
    found: KillTable = {box: Kills() for box in boxes}
    suite = Suite(shared=True)
    try:
        for box in sorted(boxes, key=lambda box: box in spared):
            known, kills = killers[box[0]], found[box]
            some = (
                [lacking(run, {"properties"}) for run in boxes[box] if _decides(run, known)]
                if box in spared
                else boxes[box]
            )
            for run, checks in _cheapest_first(some, known):
                if checks == "ordinary":
                    hold(suite, run, kills)
                else:
                    use(suite, run, kills, searched=checks == "searched")
                if kills.cases:
                    known.append(kills.first.partition(" (")[0])
                    break
    finally:
        suite.close()
    return found


def _box(run: Run) -> tuple[str, str]:
    return run.target.name, run.dtype


def _decides(run: Run, known: Collection[str]) -> bool:
    """Whether a run says enough of what nothing is thought to kill."""
    return run.mode == "eager" and (run.case.id == run.loss.host.id or run.case.id in known)


def _cheapest_first(runs: Sequence[Run], known: Collection[str]) -> Iterator[tuple[Run, str]]:
    """What is run with which checks: known killers, then what must be refused, then all else.

    Of that eager mode comes before others, and calls before usage; random batches and large ones are last.
    """
    killers = [run for run in runs if run.mode == "eager" and run.case.id in known]
    for run in killers:
        yield run, "ordinary"
        yield run, "usage"
    refused = [run for run in runs if REFUSAL.name in run.checks]
    yield from ((run, "usage") for run in refused if run not in killers)
    small = [run for run in runs if not (is_large(run) or run in refused)]
    for eager in (True, False):
        some = [run for run in small if (run.mode == "eager") == eager and run not in killers]
        some.sort(key=lambda run: run.case.id != run.loss.host.id)
        yield from ((run, "ordinary") for run in some)
        yield from ((run, "usage") for run in some)
    yield from ((run, "searched") for run in small)
    yield from ((run, "ordinary") for run in runs if is_large(run) and run not in killers)
