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

import numpy as np
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from ..dtypes import DTYPES, F64
from ..errors import LossmarkError
from ..specification import assemble
from ..specification import document as yaml
from ..specification import hexfloat as numbers
from ..specification.case import Case
from ..specification.loss import Loss
from ..version import __version__
from . import certified as certify

FOLDER = Path(".lossmark") / "counterexamples"


@dataclass(frozen=True)
class Counterexample:
    """A case that fails, the implementation and dtype it fails in, and how."""

    case: Case
    impl: str
    dtype: str
    detail: str

    def write(self, folder: Path = FOLDER) -> Path:
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
            "inputs": {name: _texts(array) for name, array in self.case.inputs.items()},
        }
        path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return path


def _texts(array: F64) -> Any:
    return [_texts(row) for row in array] if array.ndim > 1 else [numbers.canonical(float(x)) for x in array]


def promote(path: Path, loss: Loss, case_id: str, why: str) -> None:
    """Append a counterexample to the loss's spec file as a case, and certify it; raises :class:`LossmarkError`."""
    record = read(path)
    data = yaml.editable(loss.document.text)
    data["cases"].append(_entry(record, loss, case_id, why))
    before = loss.document.text
    after = assemble.assemble(yaml.parse(yaml.dump(data), loss.document.file))
    file = Path(loss.document.file)
    file.write_text(after.document.text, encoding="utf-8")
    try:
        certify.write(after)
    except LossmarkError:
        file.write_text(before, encoding="utf-8")
        raise


def read(path: Path) -> Mapping[str, Any]:
    """A counterexample's record; raises :class:`LossmarkError` for anything else."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not {"loss", "params", "inputs"} <= record.keys():
            raise ValueError("it has no loss, params and inputs")
        return dict(record)
    except (OSError, ValueError, AttributeError) as error:
        raise LossmarkError(f"{path}: not a counterexample: {error}") from None


def _entry(record: Mapping[str, Any], loss: Loss, case_id: str, why: str) -> CommentedMap:
    labels = {item.name for item in loss.inputs if item.label}
    entry = CommentedMap({"id": case_id, "since": DoubleQuotedScalarString(__version__), "why": why})
    arrays = [np.array(_floats(rows)) for rows in record["inputs"].values()]
    held = [name for name, dtype in DTYPES.items() if all(dtype.holds(array).all() for array in arrays)]
    if len(held) < len(DTYPES):
        entry["dtypes"] = _flow(held)
    if record["params"]:
        entry["params"] = {name: DoubleQuotedScalarString(text) for name, text in record["params"].items()}
    entry["inputs"] = {name: _leaves(rows, name in labels) for name, rows in record["inputs"].items()}
    return entry


def _floats(rows: Any) -> Any:
    return [_floats(row) for row in rows] if isinstance(rows, list) else numbers.parse(rows)


def _leaves(rows: Any, label: bool) -> Any:
    if isinstance(rows, list):
        return _flow([_leaves(row, label) for row in rows])
    value = numbers.parse(rows)
    return int(value) if label and value in (0, 1) else DoubleQuotedScalarString(rows)


def _flow(items: list[Any]) -> CommentedSeq:
    sequence = CommentedSeq(items)
    sequence.fa.set_flow_style()
    return sequence
