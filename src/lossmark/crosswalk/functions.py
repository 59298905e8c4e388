"""The functions of other libraries that the crosswalk is about, and how each is called. Read from YAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ..adapters.installed import framework_version, frameworks
from ..errors import LossmarkError
from ..rooms import room
from ..specification.library import losses
from ..specification.validate import entries
from .expression import Expression


class PeerLibrary(BaseModel):
    """A library: whose tensors it takes, the distribution or framework that has its version, and its functions.

    ``functions`` maps the name that people know a function by to the specs that it is held against, and those to the
    call; ``same_as`` names the library that has the same ones. ``environment`` is set before anything is imported.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    distribution: str
    framework: str
    environment: dict[str, str] = {}
    functions: dict[str, dict[str, str]] = {}
    same_as: str = ""

    @property
    def version(self) -> str:
        """The version that is installed; empty where the library is absent."""
        if self.distribution in frameworks():
            return framework_version(self.distribution) or ""
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return ""


@dataclass(frozen=True)
class PeerFunction:
    """One function: the library's key, its name, and by id of a spec the call that takes the inputs of that."""

    library: str
    name: str
    calls: Mapping[str, Expression]


def peer_libraries(path: Path | None = None) -> dict[str, PeerLibrary]:
    """The libraries of a file (default: lossmark's own) by key.

    Raises :class:`SpecError` for a malformed file, :class:`LossmarkError` for an unknown spec, framework or library.
    """
    found = dict(entries(path or room("impls") / "peers" / "crosswalk.yaml", PeerLibrary))
    for key, library in found.items():
        if bool(library.functions) == bool(library.same_as):
            raise LossmarkError(f"{key}: give functions, or another library that has the same")
        if library.same_as:
            if library.same_as not in found:
                raise LossmarkError(f"{key}: functions of an unknown library {library.same_as!r}")
            library = library.model_copy(update={"functions": found[library.same_as].functions})
            found[key] = library
        if library.framework not in frameworks():
            raise LossmarkError(f"{key}: unknown framework {library.framework!r}")
        for name, calls in library.functions.items():
            for spec in calls:
                if spec not in losses():
                    raise LossmarkError(f"{key}: {name} is held against an unknown loss {spec!r}")
    return found


def functions_of(key: str, library: PeerLibrary) -> Iterator[PeerFunction]:
    """The functions of a library; raises :class:`LossmarkError` for a call that is no expression."""
    for name, calls in library.functions.items():
        yield PeerFunction(key, name, {spec: Expression(text) for spec, text in calls.items()})
