"""The outcome of a gate as text, Markdown, JSON, JUnit XML and badge."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.etree import ElementTree

from ..errors import LossmarkError
from ..results.cell import VERDICTS
from ..results.plain_text import badge as endpoint
from ..results.plain_text import line, table
from ..results.plain_text import markdown as escaped
from .outcome import Finding, GateOutcome, Race

COLOURS = {"pass": "brightgreen", "regression": "red", "inconclusive": "yellow", "harness error": "lightgrey"}
MARKS = {"pass": "✓", "fail": "✗", "inconclusive": "?", "not timed": "–", "crashed": "!"}


def text(outcome: GateOutcome) -> str:
    """Lines for a terminal."""
    lines = [f"gate: {outcome.verdict} ({line(outcome.base)} → {line(outcome.head)})"]
    lines += [f"  {side}: {_counts(counts)}" for side, counts in outcome.cells.items()]
    lines += [f"  {MARKS[race.verdict]} {line(race.benchmark.name)}: {line(_race(race))}" for race in outcome.races]
    lines += [f"  {found.severity}: {line(found.subject)}: {line(found.text)}" for found in outcome.findings]
    return "\n".join(lines)


def markdown(outcome: GateOutcome) -> str:
    """A summary for a pull request or a job."""
    lines = [
        f"## lossmark gate: {outcome.verdict}",
        "",
        f"{escaped(outcome.base)} → {escaped(outcome.head)}",
        "",
    ]
    lines += table(("finding", "what", ""), ((f.severity, f.subject, f.text) for f in outcome.findings))
    sides = [(side, *(counts.get(verdict, 0) for verdict in VERDICTS)) for side, counts in outcome.cells.items()]
    lines += table(("cells", *VERDICTS), sides)
    lines += table(
        ("benchmark", "head / base", "99 % interval", "pairs", "base / base", "verdict"), map(_row, outcome.races)
    )
    return "\n".join(lines)


def _row(race: Race) -> tuple[object, ...]:
    ratio = race.ratio
    numbers = (f"{ratio.median:.3f}", f"{ratio.low:.3f} to {ratio.high:.3f}", ratio.pairs) if ratio else ("–",) * 3
    drift = f"{race.drift:.3f}" if race.drift else "–"
    return (race.benchmark.name, *numbers, drift, f"{race.verdict} {race.reason}".strip())


def as_json(outcome: GateOutcome) -> str:
    """The record of the outcome, indented."""
    return json.dumps(outcome.record(), indent=1, ensure_ascii=False)


def junit(outcome: GateOutcome) -> str:
    """A test case per benchmark and per regression or harness error of the other steps."""
    suite = ElementTree.Element("testsuite", name="lossmark gate")
    for race in outcome.races:
        case = _case(suite, "race", race.benchmark.name)
        if race.verdict == "fail":
            ElementTree.SubElement(case, "failure", message=line(_race(race)))
        elif race.verdict != "pass":
            ElementTree.SubElement(case, "skipped", message=line(race.reason))
    for finding in outcome.findings:
        if finding.step != "race" or finding.severity == "harness error":
            _add(suite, finding)
    if not len(suite):
        _case(suite, "gate", outcome.verdict)
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite)))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def _add(suite: ElementTree.Element, finding: Finding) -> None:
    tags = {"regression": "failure", "harness error": "error"}
    case = _case(suite, finding.step, finding.subject)
    if finding.severity in tags:
        ElementTree.SubElement(case, tags[finding.severity], message=line(finding.text))


def _case(suite: ElementTree.Element, step: str, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=f"lossmark.{step}", name=line(name))


def badge(outcome: GateOutcome) -> str:
    """The JSON that shields.io makes a badge of (its "endpoint")."""
    return endpoint(outcome.verdict, COLOURS[outcome.verdict])


FORMATS: Mapping[str, Callable[[GateOutcome], str]] = {
    "text": text, "markdown": markdown, "json": as_json, "junit": junit,
}  # fmt: skip
SUFFIXES: Mapping[str, Callable[[GateOutcome], str]] = {
    ".badge.json": badge, ".json": as_json, ".md": markdown, ".xml": junit, ".txt": text,
}  # fmt: skip


def writer(path: Path) -> Callable[[GateOutcome], str]:
    """The format that a file's name asks for; raises :class:`LossmarkError`."""
    for suffix, written in SUFFIXES.items():
        if path.name.endswith(suffix):
            return written
    raise LossmarkError(f"{path}: expected a name that ends in {', '.join(SUFFIXES)}")


def _race(race: Race) -> str:
    words = f"× {race.ratio.median:.3f} ({race.ratio.low:.3f} to {race.ratio.high:.3f})" if race.ratio else ""
    return " ".join(part for part in (words, race.reason) if part)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts.get(verdict, 0)} {verdict}" for verdict in VERDICTS)
