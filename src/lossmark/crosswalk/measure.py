"""Rows measured: the functions of a library, each searched for or proved again, in a process of their own."""

from __future__ import annotations

import datetime
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from ..adapters.framework import Framework
from ..adapters.installed import framework
from ..errors import LossmarkError
from ..specification.library import losses
from .description import Description, refuting
from .expression import Expression
from .functions import PeerFunction, PeerLibrary, functions_of
from .rows import ByDType, CrosswalkRow, Relation
from .search import search

GivenTask = TypeVar("GivenTask")
TaskResult = TypeVar("TaskResult")
ORDER: tuple[Relation, ...] = ("same", "same after", "different")


@dataclass(frozen=True)
class Proved:
    """A kept row, proved again with what is installed: what is otherwise now, empty if nothing."""

    row: CrosswalkRow
    version: str
    changed: str


def measured(key: str, library: PeerLibrary) -> Iterator[CrosswalkRow]:
    """The rows of a library's functions, searched for with the version that is installed.

    Raises :class:`LossmarkError` for a function that cannot be called at all.
    """
    yield from _apart(library, _measure, [(key, library, each.name) for each in functions_of(key, library)])


def proved(key: str, library: PeerLibrary, rows: Sequence[CrosswalkRow]) -> Iterator[Proved]:
    """Kept rows of a library, each proved again: no mapping is searched for, every case is judged anew."""
    yield from _apart(library, _prove, [(key, library, row) for row in rows])


def _apart(
    library: PeerLibrary, work: Callable[[GivenTask], TaskResult], tasks: Sequence[GivenTask]
) -> Iterator[TaskResult]:
    """Each task done in one process that has the library's environment."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_begin, initargs=(dict(library.environment),)) as pool:
        yield from pool.map(work, tasks)


def _begin(environment: dict[str, str]) -> None:
    os.environ |= environment
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _measure(task: tuple[str, PeerLibrary, str]) -> CrosswalkRow:
    key, library, name = task
    function = next(each for each in functions_of(key, library) if each.name == name)
    return row_of(function, framework(library.framework), library.version)


def _prove(task: tuple[str, PeerLibrary, CrosswalkRow]) -> Proved:
    key, library, row = task
    function = next((each for each in functions_of(key, library) if each.name == row.function), None)
    if function is None or row.spec not in function.calls:
        return Proved(row, library.version, "the function is declared no more")
    return Proved(row, library.version, again(row, function.calls[row.spec], framework(library.framework)))


def row_of(function: PeerFunction, adapter: Framework, version: str) -> CrosswalkRow:
    """The row of a function: of the specs that it is held against, the one that it is nearest to."""
    adapter.setup()
    rows = [_row(function, spec, adapter, version) for spec in function.calls]
    first, *others = sorted(rows, key=lambda row: (ORDER.index(row.relation), not row.ordinary))
    cases = {other.spec: _case(other) for other in others}
    return first.model_copy(update={"others": cases})


def _row(function: PeerFunction, spec: str, adapter: Framework, version: str) -> CrosswalkRow:
    loss, call = losses()[spec], function.calls[spec]
    description = Description(loss, call, adapter)
    comparison = description.headline()
    found = search(comparison)
    if found is None:
        raise LossmarkError(f"{function.library}: {function.name} cannot be called: {comparison.reason()}")
    dtypes = description.by_dtype(found.mapped.chosen)
    headline = comparison.dtype.name
    relation = _relation(dtypes[headline], bool(found.mapped.chosen))
    furthest = refuting(found.mapped, comparison, found.failed_on) if found.failed_on else None
    spec_defaults = {name: x for name, x in loss.params({}).items() if name in loss.model.params}
    defaults = {
        name: (_shown(x), _shown(spec_defaults[name]))
        for name, x in call.defaults(frozenset(spec_defaults))
        if _shown(x) != _shown(spec_defaults[name])
    }
    needed = () if found.failed_on else tuple(description.needed(found.mapped.chosen))
    return CrosswalkRow(
        library=function.library, version=version, measured=datetime.date.today(), function=function.name,
        call=call.text, spec=spec, relation=relation, mapping=found.mapped.words, headline=headline,
        ordinary=found.conforms, tried=found.tried, needed=needed, furthest=furthest, defaults=defaults, dtypes=dtypes,
    )  # fmt: skip


def _shown(x: object) -> str:
    return f"{x:g}" if isinstance(x, int | float) and not isinstance(x, bool) else str(x)


def _relation(found: ByDType, mapped: bool) -> Relation:
    """The relation of values and gradients together."""
    parts = [part.relation for part in (found.values, found.gradients) if part is not None]
    return max(parts, key=ORDER.index, default="same after" if mapped else "same")


def _case(row: CrosswalkRow) -> str:
    """A case on which a row's function is not the row's spec."""
    if row.furthest is not None:
        return row.furthest.case
    found = row.dtypes[row.headline]
    proofs = [part.proof for part in (found.values, found.gradients) if part is not None and part.proof is not None]
    return proofs[0].case if proofs else row.needed[0].case if row.needed else ""


def again(row: CrosswalkRow, call: Expression, adapter: Framework) -> str:
    """What is otherwise than a kept row says, in words; empty if nothing.

    The relations of values and gradients are compared in every dtype, and each transformation must be needed still.
    How many cases fail is not compared: what just fails on one processor may just conform on another.
    """
    adapter.setup()
    description = Description(losses()[row.spec], call, adapter)
    try:
        chosen = description.chosen(row.mapping)
    except KeyError as error:
        return f"no transformation is called {error.args[0]!r}"
    if call.text != row.call:
        return f"the call is {call.text}"
    for name, found in description.by_dtype(chosen).items():
        before = row.dtypes[name]
        for kind in ("values", "gradients"):
            old, new = getattr(before, kind), getattr(found, kind)
            if (old and old.relation) != (new and new.relation):
                return f"{kind} in {name}: {old and old.relation} is {new and new.relation}"
    if not row.furthest:
        missing = {each.without for each in row.needed} - {each.without for each in description.needed(chosen)}
        if missing:
            return f"not needed: {', '.join(sorted(missing))}"
    return ""
