"""A kept file as Markdown: what was measured, when, where and by which commands, its tables, what they mean.

No sentence here holds a figure: every number on a page is one of its file.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from lossmark.dtypes import DTYPES
from lossmark.results import plain_text

from . import data, speed_sections
from .headings import HEADS
from .record import Kept

Lines = Iterator[str]


def section(kept: Kept) -> str:
    """The part of a page that one kept file gives, from a heading of the second level on."""
    title, what, meaning = HEADS[kept.subject]
    return "\n".join([f"## {title}", "", what, "", *_provenance(kept), *TABLES[kept.subject](kept.data), meaning, ""])


def missing(subject: str) -> str:
    """The part of a page whose subject has not been kept."""
    title, what, _ = HEADS[subject]
    return f"## {title}\n\n{what}\n\nNothing is kept of it yet: `make results SUBJECT={subject}` measures it.\n"


def _provenance(kept: Kept) -> Lines:
    machine = kept.machine
    processors = f"{machine.cpu}, {machine.cores} cores, {machine.system}"
    took = f", in {kept.seconds / 60:.1f} minutes" if kept.seconds else ""
    yield from plain_text.table(
        ("measured", ""),
        [
            ("date", f"{kept.date[:10]}{took}"),
            ("machine", f"{machine.gpu}; {processors}" if machine.gpu else processors),
            ("versions", ", ".join(f"{name} {version}" for name, version in kept.versions.items())),
            ("lossmark", f"{kept.lossmark}, revision {kept.revision}"),
        ],
    )
    again = "" if machine.gpu else f" (again: `make results SUBJECT={kept.subject}`)"
    yield f"Measured by{again}:"
    yield from ("", "```shell", *kept.command, "```", "")


def _conformance(found: data.Conformance) -> Lines:
    counts = found.counts | {"all": sum(found.counts.values())}
    yield from plain_text.table(("verdict", "cells"), ((name, f"{count:,}") for name, count in counts.items()))
    yield from plain_text.table(found.reasons.columns, found.reasons.rows)
    yield "The largest share of the bound that values and gradients used:"
    yield ""
    rows = found.shares.records()
    share = {(row["loss"], row["impl"], row["dtype"]): row["largest_share"] for row in rows}
    yield from plain_text.table(
        ("loss", "implementation", *DTYPES),
        (
            (loss, impl, *(_number(share.get((loss, impl, dtype))) for dtype in DTYPES))
            for loss, impl in dict.fromkeys((row["loss"], row["impl"]) for row in rows)
        ),
    )
    yield "All of it, with the median distance from the exact value:"
    yield ""
    yield from plain_text.table(
        ("loss", "implementation", "dtype", "cells", "pass", "median ulp", "largest share"),
        ([*row[:5], _number(row[5]), _number(row[6])] for row in found.shares.rows),
    )


def _device(found: data.Device) -> Lines:
    yield from plain_text.table(["implementation", *found.judged.columns[1:]], found.judged.rows)
    if found.wrong.rows:
        yield "What does not pass, errors first:"
        yield ""
        rows = ([*row[:7], *map(_number, row[7:9]), row[9]] for row in found.wrong.rows)
        yield from plain_text.table([*found.wrong.columns[:7], "ulp", "share", "detail"], rows)
    if found.reasons.rows:
        yield from plain_text.table(found.reasons.columns, found.reasons.rows)
    yield "The share of the bound that values and gradients used, and their median distance from the exact value:"
    yield ""
    yield from plain_text.table(
        ("loss", "implementation", "dtype", "mode", "cells", "pass", "median ulp", "largest share"),
        ([*row[:6], _number(row[6]), _number(row[7])] for row in found.shares.rows),
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _sharpness(found: data.Sharpness) -> Lines:
    yield from _ways(found.seen, found.told_apart)
    yield from (f"- {line}" for line in found.lines)
    yield ""
    yield "Every mutant, and the case that kills it; *proved* kills follow from the formulas alone:"
    yield ""
    yield from plain_text.table(
        ("mutant", "what it does wrong", *DTYPES),
        (
            (one["name"], one["why"], *(f"{one['boxes'][d]['state']}: {one['boxes'][d]['why']}" for d in DTYPES))
            for one in found.mutants
        ),
    )


def _museum(found: data.Museum) -> Lines:
    rows = ((way, f"{seen} of {found.of[way]}") for way, seen in found.seen.items())
    yield from plain_text.table(("who compares", "reported defects seen"), rows)
    yield "Every defect; by dtype where it is not seen in all, empty where it is seen in none or nobody knows:"
    yield ""
    ways = list(found.exhibits[0]["seen"])
    yield from plain_text.table(
        ("reported", "defect", "loss of ours", "own tests then", *ways, "case and check"),
        (
            (
                f"{one['reference']}, {one['date']}",
                one["what"],
                one["name"],
                _then(one["test_then"]),
                *(_where(one["seen"][way]) for way in ways),
                f"{one['case']}: {one['check']}" if one["case"] else "",
            )
            for one in found.exhibits
        ),
    )


def _then(told: Mapping[str, object] | None) -> str:
    return "" if told is None else f"{'seen' if told['seen'] else 'not seen'}: {told['why']}"


def _where(dtypes: Sequence[str]) -> str:
    return "seen" if len(dtypes) == len(DTYPES) else ", ".join(dtypes)


def _right(found: data.Right) -> Lines:
    yield from _ways(found.accused, found.judged)


def _ways(counts: Mapping[str, data.Counts], of: data.Counts) -> Lines:
    rows = ((way, *(f"{seen[dtype]} of {of[dtype]}" for dtype in DTYPES)) for way, seen in counts.items())
    yield from plain_text.table(("way of comparing", *DTYPES), rows)


def _soak(found: data.Soak) -> Lines:
    yield (
        f"{found.comparisons:,} comparisons by {found.implementations} implementations with the seeds "
        f"{', '.join(map(str, found.seeds))}: {found.failed} failed."
    )
    yield ""
    yield from plain_text.table(
        ("loss", "dtype", "comparisons", "median share of the bound", "largest share", "failed"),
        (
            [loss, dtype, f"{count:,}", _number(median), _number(largest), failed]
            for loss, dtype, count, median, largest, failed in found.fresh.rows
        ),
    )


def _gate(found: data.Gate) -> Lines:
    head = ("slower by", "busy neighbours", "fail", "pass", "inconclusive", "gates", "a mean beyond the threshold")
    yield from plain_text.table(head, ([f"{row[0] * 100:.3g} %", *row[1:]] for row in found.rates.rows))
    yield "Memory that a call holds beyond the base's:"
    yield ""
    yield from plain_text.table(("inputs more", "busy neighbours", "seen", "gates"), found.memory.rows)


def _compare(found: data.Repeats) -> Lines:
    yield from plain_text.table([name.replace("_", " ") for name in found.repeats.columns], found.repeats.rows)


def _hunt(found: data.HuntScale) -> Lines:
    head = (
        "machines", "of which die", "quarries with other rows", "evaluations", "processor seconds",
        "evaluations per processor second", "share of one machine's",
    )  # fmt: skip
    yield from plain_text.table(head, ([*row[:3], f"{row[3]:,}", *row[4:]] for row in found.hunts.rows))
    yield "Bytes of what a leg is given, and of what it gives back:"
    yield ""
    yield from plain_text.table(("message", "mean", "largest"), found.messages.rows)
    yield "What a billion cells a day would then be, and send through the machine that hunts:"
    yield ""
    yield from plain_text.table(("", "figure"), ([what, f"{figure:,}"] for what, figure in found.day.rows))


TABLES: Mapping[str, Callable[..., Lines]] = {
    "conformance": _conformance, "device": _device, "sharpness": _sharpness, "museum": _museum, "right": _right,
    "soak": _soak, "gate": _gate, "compare": _compare, "speed": speed_sections.speed, "sizes": speed_sections.sizes,
    "memory": speed_sections.memory, "peers": speed_sections.peers, "hunt": _hunt,
}  # fmt: skip
"""By subject: the tables of its data."""
