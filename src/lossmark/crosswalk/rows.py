"""The rows of the crosswalk as they are kept: one for each function, with the cases that prove it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict
from ruamel.yaml import YAML

from ..rooms import room
from ..specification.validate import entries

Relation = Literal["same", "same after", "different"]
HEAD = """\
# The crosswalk: what functions of other libraries compute, each as a spec and a mapping that was searched for.
# Written by `lossmark crosswalk --write` and by no one else; `lossmark crosswalk --check` proves every row again.
"""
YAML_WIDTH = 120


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Counterproof(_Kept):
    """A golden case on which something does not conform: ``got`` and ``expected`` as decimals, or a ``note``.

    ``ulp`` is how far off, in units in the last place. ``without`` is what was left out of the mapping, if anything.
    """

    case: str
    got: str = ""
    expected: str = ""
    ulp: str = ""
    note: str = ""
    without: str = ""


class Agreement(_Kept):
    """Values, or gradients, in one dtype: of so many ``cases`` so many are ``failing``, one of which is the ``proof``.

    ``refused`` counts cases that end in an exception, which are not among them. ``also`` is a transformation that this
    dtype needs beside those of the row.
    """

    relation: Relation
    cases: int
    failing: int = 0
    refused: int = 0
    also: str = ""
    proof: Counterproof | None = None


class ByDType(_Kept):
    """One dtype; ``gradients`` is None where the function has none, ``refused`` says why the dtype is not taken."""

    values: Agreement | None = None
    gradients: Agreement | None = None
    refused: str = ""


class CrosswalkRow(_Kept):
    """What one function is: a spec under a ``mapping`` of transformations in words, by how it was called, and when.

    ``relation`` is that in ``headline``, float32 where the function takes it. ``ordinary`` says whether values and
    gradients of all ordinary cases conform there, so that what differs is an edge. ``needed`` has a case for each
    transformation, on which the mapping without it fails. ``tried`` counts the combinations that were tried.
    ``furthest`` is the case that the last of them failed on, where none conforms. ``others``: by spec that it is not,
    a case. ``defaults``: parameters for which the library's default is another than the spec's, as (library, spec).
    """

    library: str
    version: str
    measured: datetime.date
    function: str
    call: str
    spec: str
    relation: Relation
    mapping: tuple[str, ...]
    headline: str
    ordinary: bool
    tried: int
    needed: tuple[Counterproof, ...] = ()
    furthest: Counterproof | None = None
    others: dict[str, str] = {}
    defaults: dict[str, tuple[str, str]] = {}
    dtypes: dict[str, ByDType]


def kept_rows(path: Path | None = None) -> list[CrosswalkRow]:
    """The rows that are kept (default: lossmark's own); raises :class:`SpecError` for a malformed file."""
    return list(entries(path or _home(), CrosswalkRow).values())


def keep(rows: Iterable[CrosswalkRow], path: Path | None = None) -> None:
    """Write the rows, in order of library and function."""
    ordered = sorted(rows, key=lambda row: (row.library, row.function))
    dumped = {f"{row.library} {row.function}": row.model_dump(mode="json", exclude_defaults=True) for row in ordered}
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.allow_unicode = True
    yaml.width = YAML_WIDTH
    with (path or _home()).open("w", encoding="utf-8") as out:
        out.write(HEAD)
        yaml.dump(dumped, out)


def _home() -> Path:
    return room("conformance") / "crosswalk.yaml"
