"""``lossmark certify``: certified values written into the spec files, whose comments and order stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from ..specification import document as yaml
from ..specification import hexfloat as numbers
from ..specification.document import Document
from ..specification.loss import Loss
from .certified import certified


def write(loss: Loss) -> bool:
    """Bring the spec file to its certified, canonical text; returns whether it changed."""
    data = yaml.editable(loss.document.text)
    _canonicalise(data)
    for case in loss.cases:
        if case.error is None:
            entry = next(item for item in data["cases"] if item["id"] == case.id)
            truth = certified(loss, case)
            right = {"value": truth.value, "mean": truth.mean, "grad": truth.grad}
            if entry.get("expect") != right:
                entry["expect"] = _styled(right, 0)
    text = yaml.dump(data)
    if text == loss.document.text:
        return False
    Path(loss.document.file).write_text(text, encoding="utf-8")
    return True


def _canonicalise(data: Any) -> None:
    items: Any = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in list(items):
        if isinstance(value, str):
            if not _canonical(str(value)):
                data[key] = DoubleQuotedScalarString(numbers.canonical(numbers.parse(str(value))))
        else:
            _canonicalise(value)


def _styled(data: Any, depth: int) -> Any:
    """Numbers in quoted flow lists, the keys above them in blocks."""
    if isinstance(data, Mapping):
        block = CommentedMap({key: _styled(value, depth + 1) for key, value in data.items()})
        if depth > 1 or "between" in data or "one_of" in data:
            block.fa.set_flow_style()
        if depth == 1 and not ("between" in data or "one_of" in data):
            block.fa.set_block_style()
        return block
    if isinstance(data, list):
        sequence = CommentedSeq(_styled(value, depth + 1) for value in data)
        sequence.fa.set_flow_style()
        return sequence
    return DoubleQuotedScalarString(data)


def is_canonical(document: Document) -> bool:
    """Whether a file's layout and every hex float in it are as :func:`write` leaves them."""
    return yaml.dump(yaml.editable(document.text)) == document.text and _canonical(document.data)


def _canonical(data: Any) -> bool:
    """Whether every hex float is written in its canonical form."""
    if isinstance(data, dict):
        return all(map(_canonical, data.values()))
    if isinstance(data, list):
        return all(map(_canonical, data))
    if isinstance(data, str) and data.lstrip("-").startswith("0x"):
        try:
            return numbers.canonical(numbers.parse(data)) == data
        except ValueError:
            return True
    return True
