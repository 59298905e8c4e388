"""Reading what a measuring command has written."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lossmark.errors import LossmarkError
from lossmark.results.cell import Cell
from lossmark.results.record import Results
from lossmark.results.record import read as read_cells

from . import data

Environment = Mapping[str, Any] | None
"""What the measuring command wrote about its machine; None where it writes nothing of the kind."""
Condensed = tuple[Environment, data.Strict]


COMPARED = ("value", "gradient")
"""The checks that compare numbers with the formula."""


def picked(line: Mapping[str, Any], columns: Sequence[str]) -> list[data.Value]:
    """The values of some columns of a line."""
    return [line[name] for name in columns]


def json_lines(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Every line of some files of JSON lines."""
    for file in files:
        yield from map(json.loads, file.read_text(encoding="utf-8").splitlines())


def complete_run(files: Sequence[Path]) -> Results:
    """The one results file of a conformance run; raises :class:`LossmarkError` where it did not come to its end."""
    results = read_cells(one_file(files))
    if not results.complete:
        raise LossmarkError(f"{results.source}: the run did not come to its end, nothing is kept of it")
    return results


def one_file(files: Sequence[Path]) -> Path:
    """The only file of a command; raises :class:`LossmarkError` where there are none or several."""
    if len(files) != 1:
        raise LossmarkError(f"expected one file, got {len(files)}")
    return files[0]


def short(value: Any) -> data.Value:
    """A number to four digits, None where there is none; anything else as Python has it."""
    if isinstance(value, str) or value is None:
        return value
    if float(value).is_integer():
        return int(value)
    return float(f"{value:.4g}") if math.isfinite(value) else None


def shares(cells: Sequence[Cell]) -> list[data.Value]:
    """How many pass; of values and gradients the median distance in ulp and the largest share of the bound."""
    compared = [cell for cell in cells if cell.check in COMPARED]
    errors = [cell.error_ulp for cell in compared if cell.error_ulp is not None]
    used = [cell.budget_used for cell in compared if cell.budget_used is not None]
    median = float(pd.Series(errors, dtype=float).median())
    return [sum(cell.verdict == "pass" for cell in cells), short(median), short(max(used, default=math.nan))]
