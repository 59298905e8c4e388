"""The command ``lossmark cache``: what is kept between runs, where, and how to be rid of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from .. import cache as kept
from .options import Format, wide_console


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="remove everything that is kept")] = False,
    format_: Annotated[Format, typer.Option("--format", help="how to print")] = Format.text,
) -> None:
    """What is kept between runs: exact values with their bounds, and compiled programs.

    The folder is that of LOSSMARK_CACHE, else the system's for caches; LOSSMARK_CACHE=off keeps nothing. Nothing in it
    is ever out of date, and nothing is lost with it but time.
    """
    folder = kept.cache_folder()
    if clear:
        kept.clear()
    found = kept.inventory()
    if format_ is Format.json:
        print(json.dumps({"folder": folder and str(folder), "kept": [asdict(each) for each in found]}, indent=1))
        return
    print("nothing is kept: LOSSMARK_CACHE is off" if folder is None else folder)
    table = Table("kept", "files", "MiB")
    for each in found:
        table.add_row(each.kind, str(each.files), f"{each.size / (1 << 20):.1f}")
    if found:
        wide_console().print(table)
