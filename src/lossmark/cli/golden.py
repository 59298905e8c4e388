"""The commands on specs and their golden values: ``lossmark certify``, ``explain``, ``promote`` and ``vectors``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..dtypes import DTYPES
from ..errors import HARNESS_ERROR, PASS, REGRESSION, LossmarkError
from ..golden.generated import generated
from ..golden.verify import verify
from ..golden.write import write
from ..rooms import room
from ..specification import assemble
from ..specification.library import losses, read_all
from ..specification.loss import Loss
from ..suite.plan import Choice
from .options import chosen_losses


def certify(
    check: Annotated[bool, typer.Option("--check", help="verify everything, write nothing")] = False,
    specs: Annotated[Path | None, typer.Option(help="folder of spec files (default: lossmark's own)")] = None,
) -> None:
    """Write certified values into the spec files, or verify them."""
    folder = specs or room("specs")
    loaded, broken = read_all(folder)
    if not loaded and not broken:
        broken.append(f"{folder}: no spec files (*.yaml)")
    if broken:
        for line in broken:
            print(line, file=sys.stderr)
        raise typer.Exit(HARNESS_ERROR)
    own = specs is None or specs.resolve() == room("specs").resolve()
    raise typer.Exit(_verify(loaded, folder, own) if check else _write(loaded, folder, own))


def _verify(losses: list[Loss], folder: Path, own: bool) -> int:
    """Recompute every value and print what differs; returns the exit code."""
    flaws = verify(losses, folder, own=own)
    for flaw in flaws:
        print(flaw, file=sys.stderr)
    cases = sum(len(loss.cases) for loss in losses)
    print(f"{len(losses)} specs, {cases} cases: " + (f"{len(flaws)} findings" if flaws else "all values certified"))
    return REGRESSION if flaws else PASS


def _write(losses: list[Loss], folder: Path, own: bool) -> int:
    """Write the certified values, and for lossmark's own specs the generated files; returns the exit code."""
    for loss in losses:
        print(f"{loss.document.file}: {'written' if write(loss) else 'unchanged'}")
    if own:
        for path, text in generated([assemble.load(Path(loss.document.file)) for loss in losses], folder).items():
            path.write_text(text, encoding="utf-8")
    return PASS


def explain(
    case: Annotated[str, typer.Argument(help="id of a golden case, e.g. bpr/worked")],
    dtype: Annotated[str, typer.Option(help="the dtype of the bound and of the frameworks' values")] = "float32",
) -> None:
    """Formula, inputs, exact value, bound with its derivation, and every framework's value."""
    from ..suite.explain import explain as text

    print(text(case, dtype))


def promote(
    counterexample: Annotated[Path, typer.Argument(help="a file that the check `properties` has written")],
    case_id: Annotated[str, typer.Option("--id", help="id of the new case, e.g. bpr/equal-scores-of-odd-d")],
    why: Annotated[str, typer.Option(help="one sentence: what a wrong implementation does here")],
    specs: Annotated[Path | None, typer.Option(help="folder of spec files (default: lossmark's own)")] = None,
) -> None:
    """Make a counterexample a case of its spec, with certified values."""
    from ..golden.counterexample import read
    from ..golden.promote import promote as promoted

    known = losses(specs)
    name = str(read(counterexample)["loss"])
    if name not in known:
        raise LossmarkError(f"{counterexample}: unknown loss {name!r}, known are {', '.join(known)}")
    promoted(counterexample, known[name], case_id, why)
    print(f"{known[name].document.file}: {case_id} added and certified")


def vectors(
    output: Annotated[Path, typer.Option("-o", "--output", help="folder of the files")],
    loss: Annotated[list[str] | None, typer.Option(help="only these losses", show_default=False)] = None,
    dtype: Annotated[list[str] | None, typer.Option(help="only these dtypes", show_default=False)] = None,
) -> None:
    """Write golden cases with all that conforms, a JSON file for each loss, for readers in any language."""
    from ..vectors.write import write_vectors

    choice = Choice(losses=tuple(loss or ()), dtypes=tuple(dtype or ()))
    for path in write_vectors(output, chosen_losses(choice), choice.dtypes or tuple(DTYPES)):
        print(path)
