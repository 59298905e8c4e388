"""What a gate found, and the exit code that follows from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ..errors import HARNESS_ERROR, INCONCLUSIVE, PASS, REGRESSION
from ..timing.ratio import Ratio
from ..version import __version__
from .benchmark import Benchmark

GateStep = Literal["cells", "costs", "race", "harness"]
Severity = Literal["regression", "harness error", "inconclusive", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing that a step found: how bad, of what, in words."""

    step: GateStep
    severity: Severity
    subject: str
    text: str


@dataclass(frozen=True)
class Race:
    """How a benchmark went: the ratio head / base, and that of a second process of the base / base."""

    benchmark: Benchmark
    verdict: Literal["pass", "fail", "inconclusive", "not timed", "crashed"]
    ratio: Ratio | None = None
    drift: float | None = None
    means: float | None = None
    """The ratio of the mean times, which other gates go by. For comparison only: it decides nothing."""
    reason: str = ""


@dataclass
class GateOutcome:
    """Everything that a gate found."""

    base: str
    head: str
    findings: list[Finding] = field(default_factory=list)
    races: list[Race] = field(default_factory=list)
    cells: dict[str, dict[str, int]] = field(default_factory=dict)
    """The verdicts of each side's cells, counted."""
    environment: dict[str, Any] = field(default_factory=dict)

    def add(self, findings: Iterable[Finding]) -> None:
        """Append what a step found."""
        self.findings += findings

    def those(self, severity: Severity) -> list[Finding]:
        """The findings of one severity."""
        return [finding for finding in self.findings if finding.severity == severity]

    @property
    def exit_code(self) -> int:
        """A regression counts most; then a gate that could not do its work; then a machine too noisy to say."""
        if self.those("regression"):
            return REGRESSION
        if self.those("harness error"):
            return HARNESS_ERROR
        return INCONCLUSIVE if self.those("inconclusive") else PASS

    @property
    def verdict(self) -> str:
        """The exit code in words: ``pass``, ``regression``, ``inconclusive`` or ``harness error``."""
        return {PASS: "pass", REGRESSION: "regression", INCONCLUSIVE: "inconclusive"}.get(
            self.exit_code, "harness error"
        )

    def record(self) -> dict[str, Any]:
        """The outcome as a JSON object."""
        return {
            "kind": "gate",
            "lossmark": __version__,
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "base": self.base,
            "head": self.head,
            "findings": [asdict(finding) for finding in self.findings],
            "benchmarks": [{"name": race.benchmark.name, **asdict(race)} for race in self.races],
            "cells": self.cells,
            "environment": self.environment,
        }
