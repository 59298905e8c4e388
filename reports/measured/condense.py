"""A few tables made of what a command has written, per subject."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lossmark.dtypes import DTYPES
from lossmark.results.cell import Cell
from lossmark.sharpness import soak as soaked

from . import data
from .condense_device import device
from .condense_times import peers, sizes, speed
from .outputs import Condensed, complete_run, json_lines, one_file, picked, shares, short


def conformance(files: Sequence[Path]) -> Condensed:
    """One complete ``results.jsonl``: counts, why cells were not judged, shares of the bound."""
    results = complete_run(files)
    why = Counter((cell.verdict, cell.detail) for cell in results.cells if cell.verdict in ("not-run", "unsupported"))
    reasons = data.Table(columns=["verdict", "why", "cells"], rows=[[*each, count] for each, count in why.items()])
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in results.cells:
        groups.setdefault((cell.loss, cell.impl, cell.dtype), []).append(cell)
    impls = list(dict.fromkeys(cell.impl for cell in results.cells))

    def order(place: tuple[str, str, str]) -> tuple[str, int, int]:
        return place[0], impls.index(place[1]), list(DTYPES).index(place[2])

    rows = [[*place, len(groups[place]), *shares(groups[place])] for place in sorted(groups, key=order)]
    counts = dict(Counter(cell.verdict for cell in results.cells))
    return results.header["environment"], data.Conformance(
        counts=counts, reasons=reasons, shares=data.Table(columns=list(data.SHARES), rows=rows)
    )


def sharpness(files: Sequence[Path]) -> Condensed:
    """The file of ``lossmark mutants --results``."""
    found = json.loads(one_file(files).read_text(encoding="utf-8"))
    return found["environment"], data.Sharpness(**{name: found[name] for name in data.Sharpness.model_fields})


def museum(files: Sequence[Path]) -> Condensed:
    """The files of ``lossmark mutants --museum --results``, one per framework, as one."""
    found, made = _of_each_framework(files)
    return made, data.Museum(
        exhibits=[exhibit for each in found for exhibit in each["exhibits"]],
        seen={way: sum(each["seen"][way] for each in found) for way in found[0]["seen"]},
        of={way: sum(each["of"][way] for each in found) for way in found[0]["of"]},
    )


def right(files: Sequence[Path]) -> Condensed:
    """The files of ``lossmark mutants --right --results``, one per framework, as one."""
    found, made = _of_each_framework(files)
    return made, data.Right(
        right=sorted({name for each in found for name in each["right"]}),
        judged={dtype: sum(each["judged"][dtype] for each in found) for dtype in DTYPES},
        accused={
            way: {dtype: sum(each["accused"][way][dtype] for each in found) for dtype in DTYPES}
            for way in found[0]["accused"]
        },
    )


def _of_each_framework(files: Sequence[Path]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What files of a command say that was run for each framework, and the environment with all frameworks."""
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    made = [each["environment"] for each in found]
    frameworks = {name: version for each in made for name, version in each["frameworks"].items()}
    return found, max(made, key=lambda each: str(each["date"])) | {"frameworks": frameworks}


def soak(files: Sequence[Path]) -> Condensed:
    """The file that the soak appends to."""
    cells = soaked.recall(one_file(files))
    table = soaked.budgets(cells)
    rows = [
        [*place, int(row.comparisons), short(row["median"]), short(row.largest), int(row.failed)]
        for place, row in sorted(table.iterrows(), key=lambda each: (each[0][0], list(DTYPES).index(each[0][1])))
    ]
    return None, data.Soak(
        seeds=sorted(map(int, cells.seed.unique())),
        implementations=int(cells.impl.nunique()),
        comparisons=int(cells.comparisons.sum()),
        failed=int(cells.verdict.isin(["fail", "error"]).sum()),
        fresh=data.Table(columns=list(data.FRESH), rows=rows),
    )


def gate(files: Sequence[Path]) -> Condensed:
    """The lines that ``tests/gate_power.py`` writes."""
    found = list(json_lines(files))
    rates = [picked(line, data.RATES) for line in found if line["kind"] == "rates"]
    memory = [picked(line, data.MEMORY_SEEN) for line in found if line["kind"] == "memory"]
    return None, data.Gate(
        rates=data.Table(columns=list(data.RATES), rows=rates),
        memory=data.Table(columns=list(data.MEMORY_SEEN), rows=memory),
    )


def compare(files: Sequence[Path]) -> Condensed:
    """The lines that ``tests/compare_repeats.py`` writes."""
    rows = [picked(line, data.REPEATS) for line in json_lines(files)]
    return None, data.Repeats(repeats=data.Table(columns=list(data.REPEATS), rows=rows))


def hunt(files: Sequence[Path]) -> Condensed:
    """The file of ``benchmarks/hunt_scale.py``."""
    found = json.loads(one_file(files).read_text(encoding="utf-8"))
    tables = {"hunts": data.HUNTS, "messages": data.MESSAGES, "day": data.DAY}
    return found["environment"], data.HuntScale(
        **{
            name: data.Table(columns=list(columns), rows=[picked(row, columns) for row in found[name]])
            for name, columns in tables.items()
        }
    )


CONDENSE: Mapping[str, Callable[[Sequence[Path]], Condensed]] = {
    "conformance": conformance, "device": device, "sharpness": sharpness, "museum": museum, "right": right,
    "soak": soak, "speed": speed, "sizes": sizes, "memory": speed, "peers": peers, "gate": gate, "compare": compare,
    "hunt": hunt,
}  # fmt: skip
"""By subject; each takes the files that the subject's commands write."""
