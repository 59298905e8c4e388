"""The page of the crosswalk, from ``conformance/crosswalk.yaml``: a table that can be searched, and every proof."""

from collections.abc import Iterator
from html import escape

from lossmark.crosswalk.rows import CrosswalkRow, kept_rows
from lossmark.crosswalk.wording import by_dtype, proofs, summary
from lossmark.rooms import room

HEAD = """# Crosswalk

What functions of other libraries compute: for each a spec, and its relation to that.

| relation | meaning |
| --- | --- |
| same | every golden case conforms as it is, values and gradients |
| same after | the same, under the simplest mapping of declared transformations that was found |
| different | at least one case does not conform, at edges only or throughout |

The relation is that in float32 where a function takes it; below each row are all dtypes. The mapping is searched for,
not asserted: labels of another convention, another order of arguments, probabilities for logits, a factor or a divisor,
a sum for a mean, parameters that are held at a value, squares, norms and what guards them. The bound is that of the
formula which the mapping makes. For each transformation there is a case that fails without it. Golden cases with at
most 4,096 numbers in an input are compared, and none that must be refused. What a function refuses speaks neither for a
mapping nor against it, and a mapping rests on a quarter at least of the cases that the function answers. Probabilities
for logits are any positive numbers: of rows that add up to 1 nobody can tell whether they are divided by their sums. A
function that wants such rows is called after a softmax, and its name says so.

`lossmark crosswalk triplet loss` searches the same rows, `lossmark crosswalk --check` proves each row again with what
is installed, `--format json` has all figures. How each function is called stands in `impls/peers/crosswalk.yaml`.
"""
SEARCH = """
<p><label>search <input type="search" id="crosswalk-search" autocomplete="off" placeholder="triplet loss"></label>
<output id="crosswalk-count" for="crosswalk-search"></output></p>
"""
SCRIPT = room("reports") / "templates" / "crosswalk.js"
"""The search of the report's page."""


def pages() -> dict[str, str]:
    """The page."""
    return {"reference/crosswalk.md": "\n".join(_page(kept_rows()))}


def _page(rows: list[CrosswalkRow]) -> Iterator[str]:
    yield HEAD
    libraries = sorted({f"{row.library} {row.version}" for row in rows})
    yield f"{len(rows)} functions, measured on {max(row.measured for row in rows)} with {', '.join(libraries)}.\n"
    yield SEARCH
    yield '<table id="crosswalk"><thead><tr><th>function</th><th>spec</th><th>relation</th></tr></thead><tbody>'
    yield from map(_row, rows)
    yield "</tbody></table>"
    yield f"<script>\n{SCRIPT.read_text(encoding='utf-8')}</script>\n"


def _row(row: CrosswalkRow) -> str:
    words = " ".join([row.library, row.function, row.spec, row.spec.replace("_", " "), summary(row), *row.others])
    facts = [
        f"called as <code>{escape(row.call)}</code>",
        *(f"{name}: {escape(by_dtype(found))}" for name, found in row.dtypes.items()),
        *(escape(text) for text in proofs(row)),
        *(f"not {escape(spec)}: {escape(case)}" for spec, case in row.others.items()),
        *(
            f"{name} is {escape(theirs)} by default, {ours} in the spec"
            for name, (theirs, ours) in row.defaults.items()
        ),
    ]
    listed = "".join(f"<li>{fact}</li>" for fact in facts)
    return (
        f'<tr data-words="{escape(words.lower())}">'
        f"<td><code>{escape(row.function)}</code><br>{escape(row.library)}</td>"
        f'<td><a href="losses/{row.spec}.html">{row.spec}</a></td>'
        f"<td>{escape(summary(row))}<details><summary>proof</summary><ul>{listed}</ul></details></td></tr>"
    )
