"""The scoreboard: mutant × dtype with what kills it, the survivors, and what other tests would have seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from ..dtypes import DTYPES
from ..specification.library import losses
from .first_kills import first_kills
from .kills import Kills, KillTable, observe
from .mutants import CatalogueEntry, Mutant
from .proofs import certified
from .rivals import RIVALS

USUAL = "rtol 1e-3, random inputs, values under mean"
CLASSES = ("exact-dyadic", "generic", "adversarial")


@dataclass(frozen=True)
class Scoreboard:
    """What kills every mutant; ``proved[name][dtype]`` is the case of a certified kill.

    ``dealt`` names the dtypes that a mutant was run in, where these are not all.
    """

    mutants: Sequence[Mutant[CatalogueEntry]]
    found: KillTable
    proved: Mapping[str, Mapping[str, str]]
    dealt: Mapping[str, Collection[str]] = field(default_factory=dict)

    def boxes(self) -> list[tuple[Mutant[CatalogueEntry], str]]:
        """Every mutant in every dtype that it was run in and where it is not equivalent to the spec."""
        return [
            (m, dtype)
            for m in self.mutants
            for dtype in self.dealt.get(m.name, DTYPES)
            if dtype not in m.entry.equivalent
        ]

    def kills(self, mutant: Mutant[CatalogueEntry], dtype: str) -> Kills:
        """What kills a mutant in a dtype; empty if it was not run."""
        return self.found.get((mutant.name, dtype), Kills())

    @property
    def survivors(self) -> list[str]:
        """Mutants that nothing kills, by name and dtype."""
        return [f"{m.name} in {dtype}" for m, dtype in self.boxes() if not self.kills(m, dtype).cases]

    @property
    def refuted(self) -> list[str]:
        """Mutants that are killed where the catalogue says that they cannot be."""
        return [f"{m.name} in {d}" for m in self.mutants for d in m.entry.equivalent if self.kills(m, d).cases]

    @property
    def unproved(self) -> list[str]:
        """Formulas whose kill is observed but not proved."""
        formulas = [(m, dtype) for m, dtype in self.boxes() if m.entry.formula]
        return [f"{m.name} in {dtype}" for m, dtype in formulas if dtype not in self.proved[m.name]]

    @property
    def raising(self) -> list[str]:
        """Mutants that raise instead of computing something wrong: any test sees those."""
        return [f"{m.name} in {dtype}" for m, dtype in self.boxes() if self.kills(m, dtype).raises]

    @property
    def sharp(self) -> bool:
        """Whether every mutant is killed where it can be, by what it computes, and every kill of a formula proved."""
        return not (self.survivors or self.refuted or self.unproved or self.raising)

    def lost_without(self, case_class: str) -> list[str]:
        """Kills that only this class of cases makes."""
        found = [(m, dtype, self.kills(m, dtype)) for m, dtype in self.boxes()]
        return [f"{m.name} in {dtype}" for m, dtype, kills in found if kills.cases and not kills.without(case_class)]

    def unseen_by(self, name: str) -> set[str]:
        """Mutants that a way of comparing sees in no dtype."""
        return {m.name for m in self.mutants if not any(name in self.kills(m, d).rivals for d in DTYPES)}


def scoreboard(
    mutants: Sequence[Mutant[CatalogueEntry]],
    *,
    thorough: bool = True,
    dealt: Mapping[str, Collection[str]] | None = None,
) -> Scoreboard:
    """Run every mutant and prove the kills of those that are formulas.

    Unless ``thorough``, they are run only until they are killed, and each only in the dtypes that it is ``dealt``
    where that has its name: see :func:`~.first_kills.first_kills`.
    """
    specs = losses()
    proved = {m.name: certified(specs[m.loss], m.entry.formula) if m.entry.formula else {} for m in mutants}
    targets = [mutant.target for mutant in mutants]
    if thorough:
        return Scoreboard(mutants, observe(targets), proved)
    spared = {(m.name, dtype) for m in mutants for dtype in m.entry.equivalent}
    likely = {name: set(cases.values()) for name, cases in proved.items()}
    return Scoreboard(mutants, first_kills(targets, spared, likely, dealt or {}), proved, dealt or {})


def record(board: Scoreboard) -> dict[str, Any]:
    """The scoreboard as a JSON object: ``mutants`` with a box per dtype, ``seen`` by way of comparing, ``lines``."""
    return {
        "mutants": [
            {
                "name": mutant.name,
                "loss": mutant.loss,
                "why": mutant.entry.why,
                "boxes": {dtype: _state(board, mutant, dtype) for dtype in DTYPES},
            }
            for mutant in board.mutants
        ],
        "seen": {
            rival.name: {
                dtype: sum(rival.name in board.kills(m, d).rivals for m, d in board.boxes() if d == dtype)
                for dtype in DTYPES
            }
            for rival in RIVALS
        },
        "told_apart": {dtype: sum(d == dtype for _, d in board.boxes()) for dtype in DTYPES},
        "lines": summary(board),
    }


def _state(board: Scoreboard, mutant: Mutant[CatalogueEntry], dtype: str) -> dict[str, str]:
    kills = board.kills(mutant, dtype)
    proof = board.proved[mutant.name].get(dtype)
    if dtype in mutant.entry.equivalent:
        return {"state": "refuted" if kills.cases else "equivalent", "why": mutant.entry.equivalent[dtype]}
    if not kills.cases:
        return {"state": "survives", "why": "nothing kills it"}
    return {"state": "proved", "why": proof} if proof else {"state": "killed", "why": kills.first}


def kills_table(board: Scoreboard) -> Table:
    """The table mutant × dtype: the case that kills, with a star where the kill is proved."""
    table = Table("mutant", *DTYPES, "what it does wrong", title="kills (* proved from the formulas)")
    for mutant in board.mutants:
        table.add_row(mutant.name, *(_box(board, mutant, dtype) for dtype in DTYPES), mutant.entry.why)
    return table


def _box(board: Scoreboard, mutant: Mutant[CatalogueEntry], dtype: str) -> str:
    found = _state(board, mutant, dtype)
    if found["state"] in ("killed", "proved"):
        return found["why"].partition("/")[2] + "*" * (found["state"] == "proved")
    return {"equivalent": "equivalent", "refuted": "EQUIVALENT, YET KILLED", "survives": "SURVIVES"}[found["state"]]


def totals_table(board: Scoreboard) -> Table:
    """How many mutants each way of comparing sees, by dtype."""
    return _rivals_table("mutants seen", [(dtype, board.kills(mutant, dtype)) for mutant, dtype in board.boxes()])


def summary(board: Scoreboard) -> list[str]:
    """The findings in sentences."""
    lines = [f"without the {kind} cases {len(board.lost_without(kind))} kills would be lost" for kind in CLASSES]
    for what, items in (
        ("survive", board.survivors),
        ("are killed but listed as equivalent", board.refuted),
        ("are formulas whose kill is not proved", board.unproved),
        ("raise instead of computing", board.raising),
    ):
        lines.append(f"{len(items)} {what}" + (f": {', '.join(items)}" if items else ""))
    lines.append(f"{len(board.unseen_by(USUAL))} of {len(board.mutants)} mutants pass {USUAL}, in every dtype")
    return lines


def accused_table(found: KillTable) -> Table:
    """How many right implementations each way of comparing accuses, by dtype."""
    return _rivals_table("right implementations accused", [(dtype, kills) for (_, dtype), kills in found.items()])


def record_accused(found: KillTable) -> dict[str, Any]:
    """Whom each way of comparing accuses, as JSON has it: ``right`` names, how many are ``judged``, ``accused``."""
    by_dtype = {dtype: [kills for (_, d), kills in found.items() if d == dtype] for dtype in DTYPES}
    return {
        "right": sorted({name for name, _ in found}),
        "judged": {dtype: len(part) for dtype, part in by_dtype.items()},
        "accused": {
            rival.name: {dtype: sum(rival.name in kills.rivals for kills in part) for dtype, part in by_dtype.items()}
            for rival in RIVALS
        },
    }


def _rivals_table(title: str, boxes: Sequence[tuple[str, Kills]]) -> Table:
    table = Table("way of comparing", *DTYPES, title=title)
    by_dtype = [[kills.rivals for d, kills in boxes if d == dtype] for dtype in DTYPES]
    for rival in RIVALS:
        table.add_row(rival.name, *(f"{sum(rival.name in seen for seen in part)} of {len(part)}" for part in by_dtype))
    return table
