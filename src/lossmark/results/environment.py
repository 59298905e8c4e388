"""What results depend on: the machine, the versions, the numeric set-up."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any


def environment(frameworks: Mapping[str, str | None], setups: Mapping[str, str]) -> dict[str, Any]:
    """What results depend on, as JSON: machine, versions, and the numeric set-up that every worker makes.

    ``frameworks`` are versions by name (None: not installed), ``setups`` set-ups in words by name of the framework.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": cores(),
        "frameworks": {name: version or "not installed" for name, version in frameworks.items()},
        "packages": {name: metadata.version(name) for name in ("numpy", "ml_dtypes", "python-flint", "pytest")},
        "numeric set-up": dict(setups),
    }


def machine(environment: Mapping[str, Any]) -> str:
    """A name for what times depend on: times of different machines, or versions, are never compared."""
    named = {name: environment.get(name) for name in ("cpu", "cores", "platform", "python", "frameworks")}
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:8]


def cores() -> int:
    """The number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
