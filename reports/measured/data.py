"""What each subject keeps: one model per subject, whose tables have fixed columns."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Number = float | int
Value = str | int | float | None
Counts = dict[str, int]


class Strict(BaseModel):
    """A model that refuses what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Table(Strict):
    """Rows under named columns; a number that does not exist is None."""

    columns: list[str]
    rows: list[list[Value]]

    @model_validator(mode="after")
    def _of_one_width(self) -> "Table":
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row has {len(row)} values, the table {len(self.columns)} columns")
        return self

    def records(self) -> list[dict[str, Any]]:
        """The rows as dictionaries by column."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def _having(columns: tuple[str, ...]) -> Any:
    def check(table: Table) -> Table:
        if tuple(table.columns) != columns:
            raise ValueError(f"expected the columns {', '.join(columns)}; found {', '.join(table.columns)}")
        if not table.rows:
            raise ValueError("the table has no rows")
        return table

    return Annotated[Table, AfterValidator(check)]


SHARES = ("loss", "impl", "dtype", "cells", "passed", "median_ulp", "largest_share")
"""Conformance of one implementation of a loss in a dtype; the last two are of its values and gradients."""
ON_A_DEVICE = ("loss", "impl", "dtype", "mode", "cells", "passed", "median_ulp", "largest_share")
"""The same by mode."""
JUDGED = ("impl", "planned", "pass", "deviates", "fail", "error", "unsupported", "not-run")
"""Cells of an implementation by verdict; of a run that did not come to its end they are fewer than planned."""
WRONG = ("impl", "loss", "dtype", "mode", "case", "check", "verdict", "error_ulp", "share", "detail")
TIMES = (
    "loss", "batch", "width", "dtype", "passes", "impl", "framework", "mode", "seconds", "ratio", "ratio_low",
    "ratio_high", "limit", "faults", "peak", "results", "traffic", "rounds", "reason",
)  # fmt: skip
"""A row of a benchmark, as ``lossmark bench`` writes it: seconds and bytes of a call, ratios, shares."""
RATIOS = tuple(name for name in TIMES if name not in ("framework", "limit", "faults", "peak", "results", "traffic"))
"""What is kept of rows that are many."""
FRESH = ("loss", "dtype", "comparisons", "median_share", "largest_share", "failed")
VERDICTS_OF_A_PEER = ("impl", "cells", "passed", "failed", "not_judged")
RATES = ("slowdown", "neighbours", "fail", "passed", "inconclusive", "gates", "mean_beyond")
MEMORY_SEEN = ("inputs_kept", "neighbours", "seen", "gates")
REPEATS = ("impl", "size", "comparisons", "not_slower", "slower", "undecided", "not_timed")
HUNTS = ("machines", "died", "rows_differ", "evaluations", "processor_seconds", "per_second", "of_one")
"""The same hunt on clusters of so many machines, of which some die; ``of_one``: of the rate of a cluster of one."""
MESSAGES = ("message", "mean", "largest")
"""Bytes of what a leg of a hunt is given, and gives back."""
DAY = ("what", "figure")


class Conformance(Strict):
    """A run of conformance."""

    counts: Counts
    reasons: Annotated[Table, Field(description="verdict, why, cells of what was not judged")]
    shares: _having(SHARES)


class Device(Strict):
    """A run of conformance on a device, one file per implementation; one that did not come to its end counts too."""

    judged: _having(JUDGED)
    wrong: Annotated[Table, Field(description="cells that do not pass, as many as there is room for")]
    reasons: Annotated[Table, Field(description="implementation, verdict, why, cells of what was not judged")]
    shares: _having(ON_A_DEVICE)


class Sharpness(Strict):
    """The scoreboard of mutants, as ``lossmark mutants --results`` writes it."""

    environment: dict[str, Any]
    mutants: list[dict[str, Any]] = Field(min_length=1)
    seen: dict[str, Counts]
    told_apart: Counts
    lines: list[str]


class Museum(Strict):
    """Reported defects and who sees them, as ``lossmark mutants --museum`` writes it."""

    exhibits: list[dict[str, Any]] = Field(min_length=1)
    seen: Counts
    of: Counts


class Right(Strict):
    """Whom each way of comparing accuses among right implementations, as ``lossmark mutants --right`` writes it."""

    right: list[str] = Field(min_length=1)
    judged: Counts
    accused: dict[str, Counts]


class Soak(Strict):
    """Fresh random cases, by loss and dtype."""

    seeds: list[int] = Field(min_length=1)
    implementations: int
    comparisons: int
    failed: int
    fresh: _having(FRESH)


class Speed(Strict):
    """Rows of benchmarks."""

    times: _having(TIMES)


class Sizes(Strict):
    """Rows of benchmarks at many sizes."""

    times: _having(RATIOS)


class Peers(Speed):
    """Rows of benchmarks in which other people's losses stand beside lossmark's, and how these conform."""

    verdicts: _having(VERDICTS_OF_A_PEER)


class Gate(Strict):
    """Verdicts of the gate on changes whose cost is known."""

    rates: _having(RATES)
    memory: _having(MEMORY_SEEN)


class Repeats(Strict):
    """Comparisons of an implementation with itself."""

    repeats: _having(REPEATS)


class HuntScale(Strict):
    """A hunt on clusters of Ray, and what it would send on a day of many machines."""

    hunts: _having(HUNTS)
    messages: _having(MESSAGES)
    day: _having(DAY)


DATA: dict[str, type[Strict]] = {
    "conformance": Conformance, "device": Device, "sharpness": Sharpness, "museum": Museum, "right": Right,
    "soak": Soak, "speed": Speed, "sizes": Sizes, "memory": Speed, "peers": Peers, "gate": Gate, "compare": Repeats,
    "hunt": HuntScale,
}  # fmt: skip
"""By subject."""
