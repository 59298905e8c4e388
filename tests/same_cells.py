"""Whether two results files hold the same cells: `python tests/same_cells.py BEFORE.jsonl AFTER.jsonl`.

For changes that are meant to change nothing, where `lossmark gate` would also let better cells through. Exit code 1 if
a cell is gone or new, or if its verdict, error, share of the bound or detail differs; says which, at most twelve.
"""

import sys
from pathlib import Path

from lossmark.results.record import read

PLACE = ("impl", "framework", "device", "dtype", "mode", "loss", "case", "check")
FIGURES = ("verdict", "error_ulp", "budget_used", "detail")
SHOWN = 12


def differences(before: Path, after: Path) -> list[str]:
    """What differs, a line per cell."""
    old, new = (
        {tuple(getattr(cell, name) for name in PLACE): cell for cell in read(path).cells} for path in (before, after)
    )
    lines = [f"gone: {' '.join(key)}" for key in old.keys() - new.keys()]
    lines += [f"new: {' '.join(key)}" for key in new.keys() - old.keys()]
    for key in old.keys() & new.keys():
        for name in FIGURES:
            was, now = getattr(old[key], name), getattr(new[key], name)
            if repr(was) != repr(now):  # nan is nan
                lines.append(f"{' '.join(key)}: {name} was {was!r}, is {now!r}")
    return sorted(lines)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python tests/same_cells.py BEFORE.jsonl AFTER.jsonl")
    found = differences(Path(sys.argv[1]), Path(sys.argv[2]))
    print(*found[:SHOWN], f"{len(found)} differences", sep="\n")
    sys.exit(bool(found))
