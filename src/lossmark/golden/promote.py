"""``lossmark promote``: a counterexample becomes a golden case of its spec, with certified values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from ..dtypes import DTYPES
from ..errors import LossmarkError
from ..specification import assemble
from ..specification import document as yaml
from ..specification import hexfloat as numbers
from ..specification.loss import Loss
from ..version import __version__
from .counterexample import read
from .write import write


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
        write(after)
    except LossmarkError:
        file.write_text(before, encoding="utf-8")
        raise


def _entry(record: Mapping[str, Any], loss: Loss, case_id: str, why: str) -> CommentedMap:
    labels = {item.name for item in loss.inputs if item.label}
    entry = CommentedMap({"id": case_id, "since": DoubleQuotedScalarString(__version__), "why": why})
    arrays = [numbers.numbers_of(rows) for rows in record["inputs"].values()]
    held = [name for name, dtype in DTYPES.items() if all(dtype.holds(array).all() for array in arrays)]
    if len(held) < len(DTYPES):
        entry["dtypes"] = _flow(held)
    if record["params"]:
        entry["params"] = {name: DoubleQuotedScalarString(text) for name, text in record["params"].items()}
    entry["inputs"] = {name: _leaves(rows, name in labels) for name, rows in record["inputs"].items()}
    return entry


def _leaves(rows: Any, label: bool) -> Any:
    if isinstance(rows, list):
        return _flow([_leaves(row, label) for row in rows])
    value = numbers.parse(rows)
    return int(value) if label and value in (0, 1) else DoubleQuotedScalarString(rows)


def _flow(items: list[Any]) -> CommentedSeq:
    sequence = CommentedSeq(items)
    sequence.fa.set_flow_style()
    return sequence
