"""The command line: ``lossmark …`` or ``python -m lossmark …``. Exit codes: see :mod:`lossmark.errors`."""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.exceptions import TyperException

from .. import errors
from ..adapters import registry
from ..adapters.implementation import FRAMEWORKS
from ..adapters.installed import framework_version
from ..errors import HARNESS_ERROR, PASS, REGRESSION, LossmarkError
from ..golden.generated import generated
from ..golden.verify import verify
from ..golden.write import write
from ..rooms import room
from ..specification import assemble
from ..specification.library import losses, read_all
from ..specification.loss import Loss
from . import gate as cli_gate
from . import history as cli_history
from . import speed

app = typer.Typer(
    name="lossmark", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="Holds machine-learning loss functions to their formulas.",
)  # fmt: skip


PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command("list")
def list_() -> None:
    """Losses, implementations and the frameworks that are installed."""
    for loss in losses().values():
        print(f"{loss.id:18} {loss.model.title}: {len(loss.cases)} cases, {len(loss.families)} families")
    for name in registry.implementations():
        own = registry.OWN.get(name)
        version = framework_version(own.framework) if own else f"registered under {registry.ENTRY_POINTS}"
        print(f"{name:18} {version or 'not installed'}")


@app.command()
def certify(
    check: Annotated[bool, typer.Option("--check", help="verify everything, write nothing")] = False,
    specs: Annotated[Path | None, typer.Option(help="folder of spec files (default: lossmark's own)")] = None,
) -> None:
    """Write certified values into the spec files, or verify them."""
    folder = specs or room("specs")
    losses, broken = read_all(folder)
    if not losses and not broken:
        broken.append(f"{folder}: no spec files (*.yaml)")
    if broken:
        for line in broken:
            print(line, file=sys.stderr)
        raise typer.Exit(HARNESS_ERROR)
    own = specs is None or specs.resolve() == room("specs").resolve()
    raise typer.Exit(_verify(losses, folder, own) if check else _write(losses, folder, own))


def _verify(losses: list[Loss], folder: Path, own: bool) -> int:
    findings = verify(losses, folder, own=own)
    for finding in findings:
        print(finding, file=sys.stderr)
    cases = sum(len(loss.cases) for loss in losses)
    print(
        f"{len(losses)} specs, {cases} cases: " + (f"{len(findings)} findings" if findings else "all values certified")
    )
    return REGRESSION if findings else PASS


def _write(losses: list[Loss], folder: Path, own: bool) -> int:
    for loss in losses:
        print(f"{loss.document.file}: {'written' if write(loss) else 'unchanged'}")
    if own:
        for path, text in generated([assemble.load(Path(loss.document.file)) for loss in losses], folder).items():
            path.write_text(text, encoding="utf-8")
    return PASS


@app.command(context_settings=PASSED_ON)
def check(context: typer.Context) -> None:
    """Run the conformance suite; takes the options of ``pytest conformance``."""
    raise typer.Exit(_pytest(context.args))


def _pytest(arguments: list[str], plugins: list[Any] | None = None) -> int:
    import pytest

    code = int(pytest.main([str(room("conformance")), *arguments], plugins=plugins))
    return code if code in (PASS, REGRESSION) else HARNESS_ERROR


@app.command()
def explain(
    case: Annotated[str, typer.Argument(help="id of a golden case, e.g. bpr/worked")],
    dtype: Annotated[str, typer.Option(help="the dtype of the bound and of the frameworks' values")] = "float32",
) -> None:
    """Formula, inputs, exact value, bound with its derivation, and every framework's value."""
    from ..suite.explain import explain as text

    print(text(case, dtype))


@app.command()
def report(
    results: Annotated[list[Path], typer.Argument(help="results.jsonl, bench.parquet, gate.json")],
    output: Annotated[Path, typer.Option("-o", "--output", help="folder of the pages")] = Path("reports/out"),
    since: Annotated[Path | None, typer.Option(help="an earlier results.jsonl: what has changed since")] = None,
    history: Annotated[Path | None, typer.Option(help="a folder of `lossmark history`, for its steps")] = None,
) -> None:
    """Build the HTML report of a run."""
    print(_room("reports.build").build(results, output, since=since, kept=history))


@app.command(context_settings=PASSED_ON)
def run(context: typer.Context) -> None:
    """The main job: conformance, a quick timing, and the report in reports/out/index.html."""
    from .progress import Progress

    console = Console()
    output = Path("reports/out")
    output.mkdir(parents=True, exist_ok=True)
    results = output / "results.jsonl"
    with Progress(console) as progress:
        arguments = ["-p", "no:terminal", "--results", str(results), *context.args]
        code = _pytest(arguments, [progress])
    if code == HARNESS_ERROR:
        console.print(progress.reason or "the conformance run did not come to its end", style="red", markup=False)
        raise typer.Exit(code)
    with console.status("timing"):
        timings = _room("benchmarks.quick").measure()
    page = _room("reports.build").build([results], output, timings)
    counts = progress.counts
    console.print(", ".join(f"{counts[verdict]} {verdict}" for verdict in counts), markup=False)
    console.print(f"report: {page}", markup=False)
    raise typer.Exit(code)


app.command()(speed.compare)
app.command()(speed.bench)
app.command()(cli_gate.gate)
app.add_typer(cli_history.app, name="history")


@app.command()
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


@app.command()
def mutants(
    framework: Annotated[list[str] | None, typer.Option(help="only those of this framework (repeatable)")] = None,
    right: Annotated[bool, typer.Option("--right", help="instead, who would accuse right implementations")] = False,
    results: Annotated[Path | None, typer.Option(help="write the scoreboard as JSON, for the report")] = None,
) -> None:
    """The sharpness of the suite: wrong implementations that must be killed, and what other tests see of them."""
    from ..sharpness import kills, scoreboard
    from ..sharpness import mutants as catalogue

    installed = tuple(framework or [name for name in FRAMEWORKS if framework_version(name)])
    console = Console()
    versions = {name: framework_version(name) for name in installed}
    if right:
        with console.status("right implementations"):
            found = kills.observe(catalogue.right(installed))
        if results is not None:
            _scoreboard(results, versions, scoreboard.record_accused(found))
        console.print(scoreboard.accused_table(found))
        accused = [f"{name} in {dtype}: {', '.join(box.cases)}" for (name, dtype), box in found.items() if box.cases]
        print("\n".join(accused or ["none is accused"]))
        raise typer.Exit(REGRESSION if accused else PASS)
    with console.status("mutants"):
        board = scoreboard.scoreboard(catalogue.mutants(installed))
    if results is not None:
        _scoreboard(results, versions, scoreboard.record(board))
    console.print(scoreboard.kills_table(board), scoreboard.totals_table(board))
    print("\n".join(scoreboard.summary(board)))
    raise typer.Exit(PASS if board.sharp else REGRESSION)


def _scoreboard(path: Path, versions: dict[str, str | None], record: dict[str, Any]) -> None:
    """Write a scoreboard as JSON, with the environment that it was made in."""
    from ..results.environment import environment

    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"environment": environment(versions), **record}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _room(name: str) -> Any:
    """A module of one of the rooms, which the engine does not know by import."""
    return importlib.import_module(f"lossmark.{name}")


def main() -> int:
    """Run the command line; returns the exit code."""
    try:
        result = app(standalone_mode=False)
    except typer.Exit as stop:
        return _known(int(stop.exit_code))
    except TyperException as error:
        print(f"lossmark: {getattr(error, 'message', error)} (see lossmark --help)", file=sys.stderr)
        return HARNESS_ERROR
    except LossmarkError as error:
        print(f"lossmark: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("lossmark: interrupted", file=sys.stderr)
        return HARNESS_ERROR
    except Exception:
        traceback.print_exc()
        return HARNESS_ERROR
    return _known(result) if isinstance(result, int) else PASS


def _known(code: int) -> int:
    """One of lossmark's exit codes; the command-line library has its own for an interrupt."""
    if code in (PASS, REGRESSION, errors.INCONCLUSIVE, HARNESS_ERROR):
        return code
    print("lossmark: interrupted", file=sys.stderr)
    return HARNESS_ERROR


if __name__ == "__main__":
    sys.exit(main())
