"""How often the gate would accuse a right implementation that takes the place of another right one.

    pytest conformance --impl lossmark.tests.right.torch_ --mode eager --results right.jsonl
    python tests/gate_rewrites.py right.jsonl …

Every ordered pair of implementations of one framework that compute the same loss is a rewrite. Prints in how many of
these some cell uses more of its bound, for the factors and shares among which the gate's own have been chosen.
"""

import itertools
import sys
from collections import defaultdict
from pathlib import Path

from lossmark.results.difference import grown
from lossmark.results.record import read

FACTORS = (1.5, 2.0, 3.0)
SHARES = (0.25, 0.5, 0.75)


def rewrites(paths):
    """Pairs of cells by rewrite: (loss, implementation, the one in its place) → [(before, after), …]."""
    settings = defaultdict(list)
    for path in paths:
        for cell in read(path).cells:
            if cell.verdict == "pass":
                place = (cell.framework, cell.device, cell.dtype, cell.mode, cell.loss, cell.case, cell.check)
                settings[place].append(cell)
    found = defaultdict(list)
    for cells in settings.values():
        for old, new in itertools.permutations(cells, 2):
            found[old.loss, old.impl, new.impl].append((old, new))
    return found


def accused(found, factor, share):
    """How many rewrites have a cell that has grown so much, and how many such cells there are in all."""
    hits = [sum(grown(old, new, factor, share) for old, new in pairs) for pairs in found.values()]
    return sum(hit > 0 for hit in hits), sum(hits)


if __name__ == "__main__":
    found = rewrites([Path(name) for name in sys.argv[1:]])
    cells = sum(map(len, found.values()))
    print(f"{len(found)} rewrites, {cells} pairs of cells")
    for share, factor in itertools.product(SHARES, FACTORS):
        some, every = accused(found, factor, share)
        print(
            f"{factor:3.1f} times as much and more than {share:.2f}: {some:4} rewrites ({some / len(found):6.2%}), "
            f"{every:5} cells ({every / cells:.3%})"
        )
