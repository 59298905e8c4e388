"""The commands that write a file to begin with: ``lossmark new impl | loss``."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from ..adapters.installed import framework_version, frameworks
from ..errors import LossmarkError

STARTER_SPEC = Path(__file__).parents[1] / "specification" / "starter.yaml"
MY_LOSS = "my_loss"
"""The id of the loss in the starter."""

new_app = typer.Typer(help="Files to begin with: impl, loss.", no_args_is_help=True)
File = Annotated[Path, typer.Argument(help="the file to write, which must not be there yet")]


@new_app.command()
def impl(
    file: File,
    framework: Annotated[str, typer.Option(help="its framework (default: the first that differentiates)")] = "",
) -> None:
    """Write an implementation of one loss, which conforms as it is."""
    known = frameworks()
    installed = [name for name in known if framework_version(name)]
    chosen = framework or next((name for name in installed if known[name].autodiff), installed[0])
    if chosen not in known:
        raise LossmarkError(f"unknown framework {chosen!r}, expected one of {', '.join(known)}")
    if file.suffix != ".py":
        raise LossmarkError(f"{file}: expected the name of a Python file, such as my_losses.py")
    spec = importlib.util.find_spec(f"{type(known[chosen]).__module__.rpartition('.')[0]}.starter")
    if spec is None or spec.origin is None:
        raise LossmarkError(f"{chosen} has no starter")
    text = Path(spec.origin).read_text(encoding="utf-8")
    _write(file, text.replace("THIS_FILE", shlex.quote(file.name)))
    print(f"{file}: now run: lossmark check --impl {shlex.quote(str(file))}")


@new_app.command()
def loss(file: File) -> None:
    """Write a spec of a loss, which loads and can be certified as it is."""
    if file.suffix != ".yaml" or not re.fullmatch(r"[a-z][a-z0-9_]*", file.stem):
        raise LossmarkError(f"{file}: expected the id of the loss and .yaml, such as my_specs/{MY_LOSS}.yaml")
    text = STARTER_SPEC.read_text(encoding="utf-8").replace(MY_LOSS, file.stem)
    folder = shlex.quote(str(file.parent))
    _write(file, text.replace("THIS_FOLDER", folder))
    print(f"{file}: now run: lossmark certify --specs {folder}")


def _write(file: Path, text: str) -> None:
    """Write a file that is not there; raises :class:`LossmarkError` where it is, or cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise LossmarkError(f"{file}: {error.strerror}") from None
