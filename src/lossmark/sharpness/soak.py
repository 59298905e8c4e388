"""The soak: fresh random cases by the million, on which no right implementation may fail.

Each seed gives one family of every loss and shape, with its own scale, distribution and parameters. The cells of a
part, a loss under a framework, are appended to a file as one JSON line, so that an interrupted soak goes on where it
was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..checks.ordinary import Judged
from ..checks.prepared import Unsupported
from ..checks.run import Run
from ..sandbox.messages import Failure, Returned
from ..sandbox.target import Target
from ..specification.case import Family, Param
from ..specification.hexfloat import canonical, parse
from ..specification.library import losses
from ..specification.loss import Loss
from ..suite.plan import Choice, plan_targets
from ..suite.suite import Suite

SHAPES = ((7, 8), (64, 129), (1000, 1))
"""Batch and dimensions of the random families of a seed."""
LARGER = ((4097, 9), (40, 2049))
"""Those of one more, for every other seed the same: beyond the blocks of rows and columns that kernels work in."""
MOST_PAIRED = 513
"""So many examples at most where each is paired with every other."""
PRODUCTS = ((4097, 9), (40, 257))
"""The same where examples are coupled: readings of a whole batch take every product of one axis with another."""
BORDERING = (64, 8)
"""Those of the family at the borders of the format, which rows find that do not depend on one another."""


@dataclass(frozen=True)
class Observed:
    """One cell of the soak: the share of its bound that was used, and how many numbers were compared."""

    seed: int
    loss: str
    dtype: str
    impl: str
    mode: str
    check: str
    verdict: str
    used: float | None
    comparisons: int
    detail: str = ""


def fresh(loss: Loss, seed: int) -> Loss:
    """The loss with this seed's families in place of its own."""
    generator = np.random.default_rng([seed, int.from_bytes(loss.id.encode()[:8])])
    families = []
    most = MOST_PAIRED if loss.pairs else LARGER[0][0]
    larger = PRODUCTS if loss.coupled else LARGER
    for index, (batch, width) in enumerate((*SHAPES, larger[seed % len(larger)])):
        shape = (min(batch, most), width)
        params = _params(loss, seed, generator)
        distribution = str(generator.choice(["normal", "uniform"]))
        families.append(_family(loss, seed, shape, distribution, 2.0 ** (2 - (seed + index) % 7), params))
    if not loss.coupled:
        families.append(_family(loss, seed, BORDERING, "borders", 1.0, _params(loss, seed, generator)))
    return replace(loss, families=tuple(families))


def _family(
    loss: Loss, seed: int, shape: tuple[int, int], distribution: str, scale: float, params: Mapping[str, Param]
) -> Family:
    update = {
        "id": f"{loss.id}/soak-{seed}-{distribution}-{shape[0]}x{shape[1]}",
        "seed": seed,
        "shape": loss.sizes(shape),
        "distribution": distribution,
        "scale": canonical(scale),
    }
    return Family(loss.families[0].model.model_copy(update=update), params)


def _params(loss: Loss, seed: int, generator: np.random.Generator) -> dict[str, Param]:
    """For every other seed other numbers than the defaults, for every third other choices; else nothing is given."""
    found: dict[str, Param] = {}
    for name, param in loss.model.params.items():
        others = [choice for choice in param.choices or () if choice != param.default]
        if others and seed % 3 == 0:
            found[name] = others[seed // 3 % len(others)]
        if param.choices is None and seed % 2:
            default = parse(param.default)
            lowest = [] if param.at_least is None else [parse(param.at_least)]
            found[name] = float(generator.choice([default, *lowest, 0.5 * default, 0.1 * default, 2 * default]))
    return found


@dataclass(frozen=True)
class Part:
    """What is run at a time, and kept: the families of a seed, of one loss under one framework."""

    seed: int
    loss: str
    framework: str


def parts(targets: Sequence[Target], seed: int) -> list[Part]:
    """The parts of one seed, framework by framework, so that all workers of one can live."""
    found = dict.fromkeys(target.reference.framework for target in targets)
    return [Part(seed, loss, framework) for framework in found for loss in losses()]


def soak(targets: Sequence[Target], part: Part) -> Iterator[Observed]:
    """Run a part through the suite; yields every cell.

    lossmark's own implementations run in every mode, the others eagerly: to compile each for every shape takes hours.
    """
    specs = {part.loss: fresh(losses()[part.loss], part.seed)}
    mine = [target for target in targets if target.reference.framework == part.framework]
    others = [target for target in mine if not target.reference.own]
    runs = plan_targets(specs, Choice(case="*/soak-*"), [target for target in mine if target.reference.own])
    runs += plan_targets(specs, Choice(case="*/soak-*", modes=("eager",)), others)
    suite = Suite(runs, shared=True)
    try:
        for run in runs:
            try:
                judged = suite.judged(run)
            except Unsupported:
                continue
            yield from _observed(run, judged, part.seed)
    finally:
        suite.close()


def _observed(run: Run, judged: Judged | Failure, seed: int) -> Iterator[Observed]:
    place = (seed, run.loss.id, run.dtype, run.target.name, run.mode)
    if isinstance(judged, Failure):
        yield Observed(*place, "value", "error", None, 0, str(judged))
        return
    for cell, count in ((judged.value(), _values(judged)), (judged.gradient(), _slopes(judged))):
        compared = count if cell.verdict in ("pass", "fail") else 0
        yield Observed(*place, cell.check, cell.verdict, cell.budget_used, compared, cell.detail)


def _values(judged: Judged) -> int:
    outcomes = judged.answer.values.values()
    return sum(x.array.size for x in outcomes if isinstance(x, Returned) and x.array is not None)


def _slopes(judged: Judged) -> int:
    return sum(
        x.size for found in judged.answer.gradients.values() if isinstance(found, Mapping) for x in found.values()
    )


def record(path: Path, part: Part, observed: Sequence[Observed]) -> None:
    """Append the cells of a part to the file."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({**asdict(part), "cells": [asdict(one) for one in observed]}) + "\n")


def done(path: Path) -> set[Part]:
    """The parts whose cells are in the file."""
    return {Part(line["seed"], line["loss"], line["framework"]) for line in _lines(path)}


def recall(path: Path) -> pd.DataFrame:
    """All cells of a soak's file as a table; a last line that was cut short is left out."""
    cells = [cell for line in _lines(path) for cell in line["cells"]]
    return pd.DataFrame(cells, columns=list(Observed.__dataclass_fields__))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return


def budgets(cells: pd.DataFrame) -> pd.DataFrame:
    """Comparisons, and median and largest share of the bound, by loss and dtype."""
    judged = cells[cells.verdict.isin(["pass", "fail"])]
    groups = judged.groupby(["loss", "dtype"])
    return pd.DataFrame(
        {
            "comparisons": groups.comparisons.sum(),
            "median": groups.used.median(),
            "largest": groups.used.max(),
            "failed": groups.verdict.apply(lambda verdicts: (verdicts == "fail").sum()),
        }
    )
