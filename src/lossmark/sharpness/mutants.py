"""The mutants: wrong implementations with what is known of them.

``tests/mutants`` holds a module per framework, whose implementations are named ``framework/what``, and
``catalogue.yaml``, which says of each what it does wrong, its formula where its values are another formula, and the
dtypes in which no test can tell it from a right implementation. ``tests/museum`` has the same for defects that others
have reported: see :mod:`~.museum`. ``tests/right`` and ``tests/right_elsewhere``, which is by another hand, hold right
implementations.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from ..errors import LossmarkError
from ..rooms import room
from ..sandbox.target import Target, discover
from ..specification.validate import entries


class CatalogueEntry(BaseModel):
    """What the catalogue says of a mutant: ``equivalent`` holds, by dtype, why no test can tell it from the spec."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    why: str
    formula: str | None = None
    equivalent: Mapping[str, str] = {}


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
    return catalogued("mutants", CatalogueEntry, frameworks)


def right(frameworks: tuple[str, ...]) -> list[Target]:
    """The right but different implementations, none of which may be accused."""
    return _targets("right", frameworks) + elsewhere(frameworks)


def elsewhere(frameworks: tuple[str, ...]) -> list[Target]:
    """Those of the right ones that another hand wrote."""
    return _targets("right_elsewhere", frameworks)


def catalogued(folder: str, entry: type[Entry], frameworks: tuple[str, ...]) -> list[Mutant[Entry]]:
    """What a folder of ``tests`` has for these frameworks, with its catalogue's entries.

    Raises :class:`LossmarkError` if its catalogue and its modules do not agree.
    """
    known = entries(room("tests") / folder / "catalogue.yaml", entry)
    found = _targets(folder, frameworks)
    listed = {name for name in known if name.partition("/")[0] in frameworks}
    bound = {target.name for target in found}
    if listed != bound:
        raise LossmarkError(f"the catalogue and the modules of {folder} differ in {', '.join(sorted(listed ^ bound))}")
    return [Mutant(target, next(iter(target.losses)), known[target.name]) for target in found]


def _targets(folder: str, frameworks: tuple[str, ...]) -> list[Target]:
    return [target for name in frameworks for target in _of_framework(folder, name)]


@functools.cache
def _of_framework(folder: str, framework: str) -> tuple[Target, ...]:
    """What the modules of a framework hold: ``torch_``, which must not shadow torch, ``torch_more``.

    It does not change while this process lives.
    """
    modules = [path.stem for path in sorted((room("tests") / folder).glob(f"{framework}_*.py"))]
    return tuple(discover(*(f"lossmark.tests.{folder}.{module}" for module in modules))) if modules else ()
