"""A parsed file held to a pydantic model, or refused in one line that names file, line and key."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from ..errors import SpecError
from .document import Document, Path_
from .model import Strict

Model = TypeVar("Model", bound=Strict)


def validate(kind: type[Model], document: Document) -> Model:
    """The document's data as a model; raises :class:`SpecError` for unknown or missing keys and wrong values."""
    try:
        return kind.model_validate(document.data)
    except ValidationError as error:
        raise _one_line(error, document) from None


def _one_line(error: ValidationError, document: Document) -> SpecError:
    """The deepest of pydantic's complaints: of a union's alternatives, the one that got furthest."""
    first = max(error.errors(), key=lambda e: (e["type"] == "extra_forbidden", len(e["loc"])))
    path: Path_ = tuple(part for part in first["loc"] if not (isinstance(part, str) and "[" in part))
    while path and path not in document.places:
        path = path[:-1]
    full = tuple(str(part) for part in first["loc"])
    found = repr(first["input"])
    what = {"extra_forbidden": "unknown key", "missing": "missing key"}.get(first["type"], first["msg"])
    key = full[-1] if first["type"] in ("extra_forbidden", "missing") else ""
    message = f"{what} {key}".strip() + (f", found {found[:80]}" if first["type"] != "missing" else "")
    return document.error(path, message)
