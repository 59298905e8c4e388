"""A parsed file held to a pydantic model, or refused in one line that names file, line and key."""

from __future__ import annotations

from pathlib import Path as File
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from ..errors import SpecError
from .document import Document, Path_, read
from .model import Strict

Model = TypeVar("Model", bound=Strict)
Named = TypeVar("Named", bound=BaseModel)


def validate(kind: type[Model], document: Document) -> Model:
    """The document's data as a model; raises :class:`SpecError` for unknown or missing keys and wrong values."""
    try:
        return kind.model_validate(document.data)
    except ValidationError as error:
        raise _one_line(error, document) from None


def entries(path: File, kind: type[Named]) -> dict[str, Named]:
    """The entries of a file by their names, each a model; raises :class:`SpecError` with file, line and key."""
    document, found = read(path), dict[str, Named]()
    at: Path_ = ()
    try:
        for name, entry in TypeAdapter(dict[str, Any]).validate_python(document.data).items():
            at = (name,)
            found[name] = kind.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        raise SpecError(first["msg"], document.place((*at, *first["loc"]))) from None
    return found


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
