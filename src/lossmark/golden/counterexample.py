"""Counterexamples: inputs on which an implementation fails, found at random and made small, to be kept as cases.

The check ``properties`` writes one as JSON; ``lossmark promote`` makes it a case of the spec, with certified values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import LossmarkError
from ..specification import hexfloat as numbers
from ..specification.case import Case

COUNTEREXAMPLES = Path(".lossmark") / "counterexamples"
"""Where they are written, in the working directory."""


@dataclass(frozen=True)
class Counterexample:
    """A case that fails, the implementation and dtype it fails in, and how."""

    case: Case
    impl: str
    dtype: str
    detail: str

    def write(self, folder: Path = COUNTEREXAMPLES) -> Path:
        """Write it as JSON; returns the file's path."""
        folder.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^\w.-]+", "_", f"{self.case.loss}-{self.impl}-{self.dtype}")[:100]
        path = folder / f"{name}.json"
        record = {
            "loss": self.case.loss,
            "impl": self.impl,
            "dtype": self.dtype,
            "detail": self.detail,
            "params": {k: v if isinstance(v, str) else numbers.canonical(v) for k, v in self.case.params.items()},
            "inputs": {k: numbers.texts(x) for k, x in self.case.inputs.items() if k not in self.case.absent},
        }
        path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return path


def read(path: Path) -> Mapping[str, Any]:
    """A counterexample's record; raises :class:`LossmarkError` for anything else."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not {"loss", "params", "inputs"} <= record.keys():
            raise ValueError("it has no loss, params and inputs")
        return dict(record)
    except (OSError, ValueError, AttributeError) as error:
        raise LossmarkError(f"{path}: not a counterexample: {error}") from None
