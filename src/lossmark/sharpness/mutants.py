"""The mutants: wrong implementations with what is known of them.

``tests/mutants`` holds a module per framework, whose implementations are named ``framework/what``, and
``catalogue.yaml``, which says of each what it does wrong, its formula where its values are another formula, and the
dtypes in which no test can tell it from a right implementation. ``tests/right`` and ``tests/right_elsewhere``, which is
by another hand, hold right implementations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ..errors import LossmarkError, SpecError
from ..rooms import room
from ..sandbox.target import Target, discover
from ..specification import document as yaml

MUTANTS, RIGHT, ELSEWHERE = "lossmark.tests.mutants", "lossmark.tests.right", "lossmark.tests.right_elsewhere"


class CatalogueEntry(BaseModel):
    """What the catalogue says of a mutant: ``equivalent`` holds, by dtype, why no test can tell it from the spec."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    why: str
    formula: str | None = None
    equivalent: Mapping[str, str] = {}


@dataclass(frozen=True)
class Mutant:
    """A wrong implementation of one loss."""

    target: Target
    loss: str
    entry: CatalogueEntry

    @property
    def name(self) -> str:
        """Its name: ``framework/what``."""
        return self.target.name


def mutants(frameworks: tuple[str, ...]) -> list[Mutant]:
    """Every mutant of these frameworks; raises :class:`LossmarkError` if catalogue and modules do not agree."""
    entries = read(room("tests") / "mutants" / "catalogue.yaml")
    found = _targets(MUTANTS, frameworks)
    listed = {name for name in entries if name.partition("/")[0] in frameworks}
    bound = {target.name for target in found}
    if listed != bound:
        raise LossmarkError(f"the catalogue and the modules of mutants differ in {', '.join(sorted(listed ^ bound))}")
    return [Mutant(target, next(iter(target.losses)), entries[target.name]) for target in found]


def right(frameworks: tuple[str, ...]) -> list[Target]:
    """The right but different implementations, none of which may be accused."""
    return _targets(RIGHT, frameworks) + elsewhere(frameworks)


def elsewhere(frameworks: tuple[str, ...]) -> list[Target]:
    """Those of the right ones that another hand wrote."""
    return _targets(ELSEWHERE, frameworks)


def _targets(package: str, frameworks: tuple[str, ...]) -> list[Target]:
    """The implementations in the package's modules of each framework, ``torch_.py``, ``torch_metric.py`` and so on.

    No module is named as a framework alone, which it would shadow.
    """
    folder = room(package.removeprefix("lossmark."))
    modules = [path.stem for name in frameworks for path in sorted(folder.glob(f"{name}_*.py"))]
    return [target for module in modules for target in discover(f"{package}.{module}")]


def read(path: Path) -> dict[str, CatalogueEntry]:
    """The catalogue by the names of mutants; raises :class:`SpecError` with file, line and key."""
    document = yaml.read(path)
    try:
        return TypeAdapter(dict[str, CatalogueEntry]).validate_python(document.data)
    except ValidationError as error:
        first = error.errors()[0]
        raise SpecError(first["msg"], document.place(first["loc"])) from None
