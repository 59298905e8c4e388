"""The command line: ``lossmark …`` or ``python -m lossmark …``. Exit codes: see :mod:`lossmark.errors`."""

from __future__ import annotations

import sys
import traceback

import typer
from typer.exceptions import TyperException

from ..errors import HARNESS_ERROR, INCONCLUSIVE, PASS, REGRESSION, LossmarkError
from . import cache, crosswalk, findings, gate, golden, hunt, inventory, parts, report, sharpness, speed
from .history import history_app
from .new import new_app
from .options import PASSED_ON

app = typer.Typer(
    name="lossmark", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="Holds machine-learning loss functions to their formulas.",
)  # fmt: skip
app.command("list")(inventory.list_)
app.command()(golden.certify)
app.command(context_settings=PASSED_ON)(report.check)
app.command()(golden.explain)
app.command()(report.report)
app.command(context_settings=PASSED_ON)(report.run)
app.command()(parts.merge)
app.command()(report.collect)
app.command()(speed.compare)
app.command()(speed.bench)
app.command()(gate.gate)
app.command()(golden.promote)
app.command()(golden.vectors)
app.command()(sharpness.mutants)
app.command("hunt")(hunt.hunt_)
app.command()(findings.findings)
app.command()(crosswalk.crosswalk)
app.command()(cache.cache)
app.add_typer(history_app, name="history")
app.add_typer(new_app, name="new")


def _told(error: TyperException) -> str:
    """What is wrong with the words of a command, in one line."""
    told = error.format_message() if hasattr(error, "format_message") else str(error)
    return " ".join(told.split())


def main() -> int:
    """Run the command line; returns the exit code."""
    try:
        result = app(standalone_mode=False)
    except typer.Exit as stop:
        return _known(int(stop.exit_code))
    except TyperException as error:
        print(f"lossmark: {_told(error)} (see lossmark --help)", file=sys.stderr)
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
    if code in (PASS, REGRESSION, INCONCLUSIVE, HARNESS_ERROR):
        return code
    print("lossmark: interrupted", file=sys.stderr)
    return HARNESS_ERROR


if __name__ == "__main__":
    sys.exit(main())
