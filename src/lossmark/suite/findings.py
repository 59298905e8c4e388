"""Findings: defects of current releases, each with a reproduction that uses the library alone and can be run again."""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..adapters.installed import framework_version, frameworks
from ..dtypes import DTYPES
from ..rooms import room
from ..specification.validate import entries

TELL = """
import json as _json
print("\\n" + _json.dumps([[float(x).hex() for x in (part if isinstance(part, list) else [part])]
                           for part in (got, expected)]))
"""
"""What is run after the code of a finding: one line with both results, as hexadecimal numbers."""
PROOF = """
def _fails(function):
    try:
        test(function)
    except AssertionError:
        return True
    return False
assert _fails(now), "the test for upstream passes without the mend"
assert not _fails(mended), "the test for upstream fails with the mend"
"""
"""What is run after the test and the mend that would be sent upstream."""
MOST_SECONDS = 600


class Upstream(BaseModel):
    """What one would send to the library: why it happens, a test that fails today, and a mend with which it passes.

    ``test`` defines ``test(function)``, which raises AssertionError, and leaves the library's function in ``now``;
    ``mend`` leaves what it should be in ``mended``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    why: str = Field(min_length=1)
    test: str = Field(min_length=1)
    mend: str = Field(min_length=1)


class Defect(BaseModel):
    """One defect; ``code`` leaves what the library gives in ``got`` and the right numbers in ``expected``.

    Both are numbers or lists of numbers. ``ulp`` is how far off the library was at least when that was written down.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(min_length=1)
    library: str
    version: str
    found: datetime.date
    losses: tuple[str, ...] = Field(min_length=1)
    dtype: Literal["float64", "float32", "bfloat16", "float16"]
    code: str = Field(min_length=1)
    ulp: float = Field(gt=0)
    instead: str = Field(min_length=1)
    upstream: Upstream | None = None


@dataclass(frozen=True)
class Reproduction:
    """What came of running a finding again: ``state`` is ``still``, ``gone``, ``not installed`` or ``broken``."""

    state: Literal["still", "gone", "not installed", "broken"]
    version: str = ""
    ulp: float = math.nan
    detail: str = ""


def findings(path: Path | None = None) -> dict[str, Defect]:
    """The findings of a file (default: lossmark's own) by id; raises :class:`SpecError` with file, line and key."""
    return entries(path or room("conformance") / "findings.yaml", Defect)


def reproduce(finding: Defect) -> Reproduction:
    """Run the code of a finding in a process of its own and hold what it gives against what it should."""
    version = _installed(finding.library)
    if not version:
        return Reproduction("not installed")
    printed, why = _run(finding.code + TELL)
    lines = [line for line in printed.splitlines() if line.startswith("[[")]
    if why or not lines:
        return Reproduction("broken", version, detail=why or "it ended before it told its numbers")
    got, expected = ([float.fromhex(x) for x in part] for part in json.loads(lines[-1]))
    if len(got) != len(expected):
        return Reproduction("broken", version, detail=f"got {len(got)} numbers, expected {len(expected)}")
    ulp = max(_apart(finding.dtype, got, expected), default=math.nan)
    state: Literal["still", "gone"] = "still" if ulp >= finding.ulp else "gone"
    if state == "still" and finding.upstream is not None:
        _, why = _run(finding.upstream.test + "\n" + finding.upstream.mend + PROOF)
        if why:
            return Reproduction("broken", version, ulp, why)
    return Reproduction(state, version, ulp, f"got {_list(got)}, expected {_list(expected)}")


def _run(code: str) -> tuple[str, str]:
    """What code prints in a process of its own, and why it failed, if it did."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=MOST_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return "", f"no result after {MOST_SECONDS} s"
    words = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return done.stdout, words[-1] if done.returncode else ""


def _apart(dtype: str, got: list[float], expected: list[float]) -> Iterator[float]:
    """How far off each number is, in units in the last place; infinity where one of two is not finite."""
    for x, right in zip(got, expected, strict=True):
        if math.isfinite(x) and math.isfinite(right):
            yield abs(x - right) / float(DTYPES[dtype].ulp(np.array(right)))
        else:
            yield 0.0 if x == right or (math.isnan(x) and math.isnan(right)) else math.inf


def _list(numbers: list[float]) -> str:
    return ", ".join(f"{x:.9g}" for x in numbers)


def _installed(library: str) -> str:
    """The version of a framework or another library; empty where it is absent."""
    if library in frameworks():
        return framework_version(library) or ""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(library)
    return ""
