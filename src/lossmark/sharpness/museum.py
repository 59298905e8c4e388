"""The museum: defects that others have reported in public, run as mutants, and who would have seen them.

``tests/museum`` holds them as ``tests/mutants`` holds its own; its catalogue says where and when each was reported.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from rich.table import Column, Table

from ..checks.catalogue import BESIDE
from ..dtypes import DTYPES
from ..sandbox.target import own
from .kills import Kills, KillTable, observe
from .mutants import CatalogueEntry, Mutant, catalogued
from .rivals import LOSSMARK

OWN_TESTS = "the project's own tests then"
OTHERS = (
    "torch.testing defaults, random inputs, values and gradients",
    "rtol 1e-3, random inputs, values under mean",
    "torch.testing defaults on lossmark's cases",
)
"""The rivals that are shown."""
WAYS = (*OTHERS, LOSSMARK)


class TestThen(BaseModel):
    """Whether the project's own tests saw a defect at the time, and how they did or why not, as its thread says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seen: bool
    why: str


class Exhibit(CatalogueEntry):
    """A defect that somebody reported in public: where, when, in which versions, and what it was.

    ``transfer`` says how it comes into one of our losses where it was another function's. ``test_then`` is None where
    the thread does not tell.
    """

    why: str = Field(alias="what")
    project: str
    reference: str = Field(pattern=r"^[\w.-]+/[\w.-]+#\d+$")
    url: str = Field(pattern=r"^https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+$")
    date: datetime.date
    versions: str | None = None
    transfer: str | None = None
    test_then: TestThen | None = None


def exhibits(frameworks: tuple[str, ...]) -> list[Mutant[Exhibit]]:
    """Every exhibit of these frameworks; raises :class:`LossmarkError` if catalogue and modules do not agree."""
    return catalogued("museum", Exhibit, frameworks)


@dataclass(frozen=True)
class Museum:
    """Every exhibit, and what sees it in each dtype."""

    exhibits: Sequence[Mutant[Exhibit]]
    found: KillTable
    controls: KillTable
    """What is said of lossmark's own implementations, by the name of the framework."""

    def kills(self, exhibit: Mutant[Exhibit], dtype: str) -> Kills:
        """What sees an exhibit in a dtype; empty if it was not run."""
        return self.found.get((exhibit.name, dtype), Kills())

    def seen(self, exhibit: Mutant[Exhibit], way: str) -> list[str]:
        """The dtypes in which a way of comparing sees an exhibit.

        A case on which it also accuses lossmark's own implementation tells nothing, and does not count; nor does a
        dtype in which the exhibit is right.
        """
        control = exhibit.target.reference.framework
        return [
            dtype
            for dtype in DTYPES
            if dtype not in exhibit.entry.equivalent
            and self.kills(exhibit, dtype).rivals.get(way, set())
            - self.controls.get((control, dtype), Kills()).rivals.get(way, set())
        ]

    def killer(self, exhibit: Mutant[Exhibit]) -> tuple[str, str]:
        """The first case that lossmark fails in the widest dtype, and its check; empty if there is none."""
        for dtype in DTYPES:
            kills = self.kills(exhibit, dtype)
            if kills.first and dtype not in exhibit.entry.equivalent:
                return kills.first.partition(" (")[0], kills.checks[kills.first]
        return "", ""

    @property
    def unseen(self) -> list[str]:
        """Exhibits that lossmark sees in no dtype."""
        return [exhibit.name for exhibit in self.exhibits if not self.killer(exhibit)[0]]

    @property
    def refuted(self) -> list[str]:
        """Exhibits that are killed where the catalogue says that they cannot be."""
        return [
            f"{x.name} in {dtype}" for x in self.exhibits for dtype in x.entry.equivalent if self.kills(x, dtype).cases
        ]


def museum(exhibits: Sequence[Mutant[Exhibit]]) -> Museum:
    """Run exhibits through the suite, as mutants are, and lossmark's own implementations of its loss beside it."""
    shown = {exhibit.loss for exhibit in exhibits}
    controls = [own(name) for name in dict.fromkeys(exhibit.target.reference.framework for exhibit in exhibits)]
    plain = [
        replace(control, modes=control.modes[:1], losses={loss: control.losses[loss] for loss in shown})
        for control in controls
    ]
    return Museum(exhibits, observe([exhibit.target for exhibit in exhibits]), observe(plain, without=BESIDE))


def museum_table(found: Museum) -> Table:
    """The table defect × who sees it: the project's own tests at the time, fixed tolerances, lossmark."""
    defect, killer = (Column(name, overflow="fold", ratio=2) for name in ("defect", LOSSMARK))
    columns = (defect, "reported", OWN_TESTS, *OTHERS, killer)
    table = Table(*columns, title="reported defects and who sees them", expand=True)
    for exhibit in found.exhibits:
        entry = exhibit.entry
        then = "" if entry.test_then is None else _word(entry.test_then.seen)
        ways = (_word(bool(found.seen(exhibit, way))) for way in OTHERS)
        case, check = found.killer(exhibit)
        table.add_row(
            f"{exhibit.name}\n{entry.reference}", str(entry.date), then, *ways, f"{case}\n{check}" if case else "NO"
        )
    return table


def museum_lines(found: Museum) -> list[str]:
    """The findings in sentences."""
    seen, judged = counts(found)
    lines = [f"{way}: {seen[way]} of {judged[way]} reported defects seen" for way in seen]
    for what, names in (("not seen by lossmark", found.unseen), ("equivalent, yet killed", found.refuted)):
        lines += [f"{what}: {', '.join(names)}"] * bool(names)
    return lines


def counts(found: Museum) -> tuple[dict[str, int], dict[str, int]]:
    """By who compares: how many defects are seen, and of how many this is known."""
    told = [exhibit.entry.test_then for exhibit in found.exhibits if exhibit.entry.test_then is not None]
    seen = {OWN_TESTS: sum(then.seen for then in told)}
    seen |= {way: sum(bool(found.seen(x, way)) for x in found.exhibits) for way in WAYS}
    return seen, {OWN_TESTS: len(told)} | dict.fromkeys(WAYS, len(found.exhibits))


def record_museum(found: Museum) -> dict[str, Any]:
    """The museum as a JSON object: ``exhibits``, how many are ``seen`` by whom, and ``of`` how many."""
    seen, judged = counts(found)
    rows = []
    for exhibit in found.exhibits:
        entry, (case, check) = exhibit.entry, found.killer(exhibit)
        rows.append(
            {"name": exhibit.name, "loss": exhibit.loss, "what": entry.why, "case": case, "check": check}
            | entry.model_dump(mode="json", include={"project", "reference", "url", "date", "test_then"})
            | {"seen": {way: found.seen(exhibit, way) for way in WAYS}}
        )
    return {"exhibits": rows, "seen": seen, "of": judged}


def _word(seen: bool) -> str:
    return "seen" if seen else "not seen"
