"""The files of ``reports/results``: what was measured, when, on which machine, by which commands, and the figures.

``sharpness.json`` has its figures beside this head instead of under ``data``: the report and the gate of earlier
revisions read them there.
"""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SerializeAsAny, ValidationError, model_validator

from lossmark.errors import LossmarkError

from .data import DATA, Strict

FOLDER = Path(__file__).parents[1] / "results"
GPU = "gpu"
"""The folder of what was measured on a GPU, one file per date and subject."""
LARGEST = 150_000
"""Bytes of a file: what is kept is what a page shows."""
FLAT = "sharpness"
CHANGED = " with changes"


class Machine(Strict):
    """What times depend on. No names of hosts or people."""

    cpu: str
    cores: int
    system: str
    gpu: str | None = None


class Kept(Strict):
    """One subject as it was measured once."""

    subject: str
    date: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$")]
    command: Annotated[list[str], Field(min_length=1)]
    lossmark: str
    revision: Annotated[str, Field(pattern=rf"^[0-9a-f]{{7,40}}({CHANGED})?$")]
    machine: Machine
    versions: Annotated[dict[str, str], Field(min_length=1)]
    seconds: float | None = None
    """What the commands took together; None where nobody looked at the clock."""
    data: SerializeAsAny[Strict]

    @model_validator(mode="before")
    @classmethod
    def _data_of_its_subject(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping):
            return raw
        model = DATA.get(raw.get("subject", ""))
        if model is None:
            raise ValueError(f"unknown subject {raw.get('subject')!r}, known are {', '.join(DATA)}")
        return {**raw, "data": model.model_validate(raw.get("data"))}


def read(path: Path) -> Kept:
    """Read a kept file; raises :class:`LossmarkError` for one that lacks something or holds something unknown."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(raw, dict) and raw.get("subject") == FLAT:
            raw["data"] = {name: raw.pop(name) for name in DATA[FLAT].model_fields if name in raw}
        return Kept.model_validate(raw)
    except (OSError, ValueError) as error:
        raise LossmarkError(f"{path}: no kept result: {_plain(error)}") from None


def _plain(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in error.errors()[:3])


def write(kept: Kept, folder: Path = FOLDER) -> Path:
    """Write a kept file under the name of its subject, or for a GPU of its date and subject; returns its path."""
    document = kept.model_dump(exclude_none=False)
    if kept.subject == FLAT:
        document |= document.pop("data")
    path = folder / f"{kept.subject}.json"
    if kept.machine.gpu:
        path = folder / GPU / f"{kept.date[:10]}-{kept.subject}.json"
    text = _dumped(document) + "\n"
    if len(text.encode()) > LARGEST:
        raise LossmarkError(f"{path}: {len(text.encode()):,} bytes are too many to keep, at most {LARGEST:,}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _dumped(value: Any, indent: int = 0) -> str:
    """JSON with a line per row of a table, so that files stay small and their changes can be read."""
    nested = [item for item in (value.values() if isinstance(value, dict) else value) if isinstance(item, dict | list)]
    if not nested:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    inner = "\n" + " " * (indent + 1)

    def show(item: Any) -> str:
        return _dumped(item, indent + 1) if isinstance(item, dict | list) else json.dumps(item, ensure_ascii=False)

    items = [f"{json.dumps(k)}: {show(v)}" for k, v in value.items()] if isinstance(value, dict) else map(show, value)
    left, right = "{}" if isinstance(value, dict) else "[]"
    return left + inner + ("," + inner).join(items) + "\n" + " " * indent + right


def machine_of(environment: Mapping[str, Any], gpu: str | None = None) -> Machine:
    """The machine that a results file names, without what only its owner could tell."""
    system = str(environment.get("platform", "unknown"))
    architecture = next((word for word in ("x86_64", "aarch64", "arm64", "AMD64") if word in system), "")
    return Machine(
        cpu=str(environment["cpu"]),
        cores=int(environment["cores"]),
        system=" ".join(filter(None, (system.partition("-")[0], architecture))),
        gpu=gpu,
    )


def versions_of(environment: Mapping[str, Any]) -> dict[str, str]:
    """Python's, the frameworks' and the packages' versions that a results file names."""
    found = {"python": environment["python"], **environment["packages"], **environment["frameworks"]}
    return {name: str(version) for name, version in found.items()}


def revision() -> str:
    """The commit of the clone that this lossmark is in, and whether anything but kept results was changed since."""
    root = FOLDER.parents[1]
    commit = _git(root, "rev-parse", "--short=10", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!reports/results")
    return commit + CHANGED if changed else commit


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LossmarkError(f"results are kept from a clone, which says of which revision they are: {done.stderr}")
    return done.stdout.strip()
