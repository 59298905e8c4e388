"""The command ``lossmark findings``: defects of current releases, and whether they are still there."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from ..errors import PASS, REGRESSION, LossmarkError
from ..suite import findings as found
from .options import Format


def findings(
    names: Annotated[list[str] | None, typer.Argument(help="ids (default: all)", show_default=False)] = None,
    check: Annotated[bool, typer.Option("--check", help="run each again with the library that is installed")] = False,
    format_: Annotated[Format, typer.Option("--format", help="how to print")] = Format.text,
) -> int:
    """Defects that lossmark has found in current releases, each reproduced with the library alone.

    With --check the exit code is 1 if one is gone, or its reproduction does not run: then its entry is to be changed.
    """
    known = found.findings()
    for name in names or ():
        if name not in known:
            raise LossmarkError(f"unknown finding {name!r}, expected one of {', '.join(known)}")
    chosen = {name: known[name] for name in names or known}
    seen = {name: found.reproduce(finding) for name, finding in chosen.items()} if check else {}
    if format_ is Format.json:
        records = [
            {"id": name, **finding.model_dump(mode="json")} | ({"now": asdict(seen[name])} if check else {})
            for name, finding in chosen.items()
        ]
        print(json.dumps(records, indent=1))
    else:
        for name, finding in chosen.items():
            print(f"{name} ({finding.library} {finding.version}): {finding.title}")
            if check:
                print(f"    {_words(seen[name])}")
    return REGRESSION if any(now.state in ("gone", "broken") for now in seen.values()) else PASS


def _words(now: found.Reproduction) -> str:
    match now.state:
        case "not installed":
            return "not run: the library is not installed"
        case "broken":
            return f"the reproduction does not run with {now.version}: {now.detail}"
        case "gone":
            return f"gone in {now.version}: {now.detail}, off by {now.ulp:.3g} ulp"
        case _:
            return f"still so in {now.version}: {now.detail}, off by {now.ulp:.3g} ulp"
