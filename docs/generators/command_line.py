"""The page of commands, options and exit codes, from the command line itself and the pytest plugin."""

from collections.abc import Iterator
from typing import Any

import typer

from lossmark import errors, pytest_plugin
from lossmark.cli.main import app

from .markdown import code, table

HEAD = """# Command line

`lossmark COMMAND`, or `python -m lossmark COMMAND`.

| exit code | meaning |
| --- | --- |
| {errors.PASS} | pass: everything conforms, nothing is worse |
| {errors.REGRESSION} | failure: something does not conform, or is worse |
| {errors.INCONCLUSIVE} | inconclusive: the machine is too noisy to say, or the run was stopped |
| {errors.HARNESS_ERROR} | not done: a mistake in the command, a broken file, a defect of lossmark |

"""


class _Options:
    """Stands in for pytest's parser, and keeps the options that the plugin adds."""

    def __init__(self) -> None:
        self.found: list[tuple[str, dict[str, Any]]] = []

    def getgroup(self, name: str, description: str = "") -> "_Options":
        return self

    def addoption(self, name: str, **described: Any) -> None:
        self.found.append((name, described))


def pages() -> dict[str, str]:
    """The page."""
    parts = [HEAD.format(errors=errors), *_conformance(), *_commands(typer.main.get_command(app), "lossmark")]
    return {"reference/command-line.md": "\n".join(parts)}


def _conformance() -> Iterator[str]:
    options = _Options()
    pytest_plugin.pytest_load_initial_conftests(None, options, [pytest_plugin.ROOM])
    yield "## pytest conformance\n"
    yield (
        "In a clone `pytest conformance`, elsewhere `pytest --pyargs lossmark.conformance` or `lossmark check`. "
        "pytest's own options work too, such as `-x`, `-q`, and `-n` where pytest-xdist is installed. "
        "`LOSSMARK_REQUIRE=torch,jax` in the environment makes a missing framework a failure. "
        "`LOSSMARK_CACHE` names the folder of [what is kept between runs](../explanation/kept.md), or is `off`.\n"
    )
    yield table(("option", "value", "what it does"), [
        (code(name), item.get("metavar", ""), item["help"]) for name, item in options.found
    ])  # fmt: skip


def _commands(command: Any, path: str) -> Iterator[str]:
    for name, inner in command.commands.items():
        whole = f"{path} {name}"
        if hasattr(inner, "commands"):
            yield from _commands(inner, whole)
            continue
        arguments = [item for item in inner.params if item.param_type_name == "argument"]
        options = [item for item in inner.params if item.param_type_name == "option"]
        words = [whole, *(f"{item.name.upper()}{'...' * (item.nargs != 1)}" for item in arguments)]
        shown = " ".join(words + ["[OPTIONS]"] * bool(options))
        yield f"## {whole}\n\n```text\n{shown}\n```\n\n{_plain(inner.help)}\n"
        rows = [(code(item.name.upper()), "", _plain(item.help)) for item in arguments]
        context = typer.Context(inner)
        rows += [(", ".join(map(code, item.opts)), _value(item, context), _plain(item.help)) for item in options]
        if rows:
            yield table(("argument or option", "value", "what it is"), rows)


def _value(option: Any, context: typer.Context) -> str:
    if option.is_flag:
        return "flag"
    default = getattr(option.default, "value", option.default)
    kind = code(option.display_type(context).strip("<>"))
    return kind if default in (None, "", (), []) or callable(default) else f"{kind}, default {code(default)}"


def _plain(text: str | None) -> str:
    return " ".join((text or "").split()).replace("<", "\\<").replace("*", "\\*")
