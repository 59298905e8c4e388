"""The mutants: wrong implementations with what is known of them.

``tests/mutants`` holds a module per framework, whose implementations are named ``framework/what``, and
``catalogue.yaml``, which says of each what it does wrong, its formula where its values are another formula, and the
dtypes in which no test can tell it from a right implementation. ``tests/museum`` holds defects that others have
reported, in the same way; ``tests/right`` holds right implementations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, TypeAdapter, ValidationError

from ..errors import LossmarkError, SpecError
from ..rooms import room
from ..sandbox.target import Target, discover
from ..specification import document as yaml


class CatalogueEntry(BaseModel):
    """What the catalogue says of a mutant: ``equivalent`` holds, by dtype, why no test can tell it from the spec."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    why: str
    formula: str | None = None
    equivalent: Mapping[str, str] = {}


class TestThen(BaseModel):
    """Whether the project's own tests saw a defect at the time, and how they did or why not, as its thread says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seen: bool
    why: str


class Exhibit(CatalogueEntry):
    """A defect that somebody reported in public: where, when, in which versions, and what it was.

    ``transfer`` says how it comes into one of our losses where it was another function's. ``test_then`` is None where
    the thread does not tell.
    """

    why: str = Field(alias="what")
    project: str
    reference: str = Field(pattern=r"^[\w.-]+/[\w.-]+#\d+$")
    url: HttpUrl
    date: date
    versions: str | None = None
    transfer: str | None = None
    test_then: TestThen | None = None


Entry = TypeVar("Entry", bound=CatalogueEntry, covariant=True)


@dataclass(frozen=True)
class Mutant(Generic[Entry]):
    """A wrong implementation of one loss, with what a catalogue says of it."""

    target: Target
    loss: str
    entry: Entry

    @property
    def name(self) -> str:
        """Its name: ``framework/what``."""
        return self.target.name


def mutants(frameworks: tuple[str, ...]) -> list[Mutant[CatalogueEntry]]:
    """Every mutant of these frameworks; raises :class:`LossmarkError` if catalogue and modules do not agree."""
    return _catalogued("mutants", CatalogueEntry, frameworks)


def museum(frameworks: tuple[str, ...]) -> list[Mutant[Exhibit]]:
    """Every exhibit of these frameworks; raises :class:`LossmarkError` if catalogue and modules do not agree."""
    return _catalogued("museum", Exhibit, frameworks)


def right(frameworks: tuple[str, ...]) -> list[Target]:
    """The right but different implementations, none of which may be accused."""
    return _targets("right", frameworks)


def _catalogued(folder: str, entry: type[Entry], frameworks: tuple[str, ...]) -> list[Mutant[Entry]]:
    entries = read(room("tests") / folder / "catalogue.yaml", entry)
    found = _targets(folder, frameworks)
    listed = {name for name in entries if name.partition("/")[0] in frameworks}
    bound = {target.name for target in found}
    if listed != bound:
        raise LossmarkError(f"the catalogue and the modules of {folder} differ in {', '.join(sorted(listed ^ bound))}")
    return [Mutant(target, next(iter(target.losses)), entries[target.name]) for target in found]


def _targets(folder: str, frameworks: tuple[str, ...]) -> list[Target]:
    """The implementations in the modules of each framework: ``torch_``, which must not shadow torch, ``torch_more``."""
    modules = [path.stem for name in frameworks for path in sorted((room("tests") / folder).glob(f"{name}_*.py"))]
    return [target for module in modules for target in discover(f"lossmark.tests.{folder}.{module}")]


def read(path: Path, entry: type[Entry]) -> dict[str, Entry]:
    """The catalogue by the names of mutants; raises :class:`SpecError` with file, line and key."""
    document = yaml.read(path)
    try:
        return TypeAdapter(dict[str, entry]).validate_python(document.data)  # type: ignore[valid-type]
    except ValidationError as error:
        first = error.errors()[0]
        raise SpecError(first["msg"], document.place(first["loc"])) from None
