"""A page for each loss, from its spec file: formula, arguments, conventions of other libraries, edges and cases."""

from collections.abc import Iterator
from pathlib import Path

from lossmark.golden.coverage import covering
from lossmark.readings.page import mathml
from lossmark.specification.case import param_value
from lossmark.specification.edges import edges
from lossmark.specification.library import losses
from lossmark.specification.loss import Loss

from .markdown import code, escaped, table

CONVENTIONS = Path(__file__).parents[1] / "conventions"


def pages() -> dict[str, str]:
    """The pages of all losses, and the list of them."""
    known = losses()
    found = {f"reference/losses/{loss.id}.md": "\n".join(_page(loss)) for loss in known.values()}
    rows = [(f"[`{loss.id}`](losses/{loss.id}.md)", loss.model.title, loss.model.summary) for loss in known.values()]
    listed = "\n".join(f"losses/{name}" for name in known)
    text = f"# Losses\n\n{table(('id', 'title', 'what it is'), rows)}\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n"
    return {"reference/losses.md": text, **found}


def _page(loss: Loss) -> Iterator[str]:
    model = loss.model
    yield f"# {loss.id}\n\n{model.title}. {model.summary}\n"
    sources = [f"*{model.source.document}*, section {model.source.section}", *model.source.also]
    yield f"Source: {'; '.join(sources)}. Spec: `specs/{loss.id}.yaml`, since {model.since}.\n"
    yield from _formula(loss)
    yield from _arguments(loss)
    convention = CONVENTIONS / f"{loss.id}.md"
    if convention.is_file():
        texts = [path.read_text(encoding="utf-8") for path in (convention, CONVENTIONS / "versions.md")]
        yield "## Conventions of other libraries\n\n" + "\n".join(texts)
    yield from _edges(loss)
    yield from _cases(loss)


def _formula(loss: Loss) -> Iterator[str]:
    formula = loss.model.formula
    yield "## Formula\n\nOf one example:\n"
    yield f'<p class="formula">{mathml(loss.gradients({}).formula.loss)}</p>\n'
    lines = [*(f"{name} = {text}" for name, text in formula.where.items()), f"loss = {formula.loss}"]
    yield "As the spec file writes it:\n\n```text\n" + "\n".join(lines) + "\n```\n"
    if formula.associations:
        yield "Evaluations that count as equal; the bound is the largest over all of them:\n"
        for item in formula.associations:
            if isinstance(item, str):
                yield f"- `{item}`"
            else:
                when = ", ".join(f"{name} = {value}" for name, value in item.when.items())
                yield f"- `{item.loss}`, where {when}"
        yield ""
    laws = loss.model.properties
    if laws:
        yield "Laws that hold for any batch and that random batches are tried against:\n"
        rows = [(law.id, ", ".join(f"`{k}` → `{v}`" for k, v in law.given.items()),
                 code(law.becomes) if law.at_least is None else f"at least {code(law.at_least)}", law.why)
                for law in laws]  # fmt: skip
        yield table(("law", "replaced", "the loss becomes", "why"), rows)


def _arguments(loss: Loss) -> Iterator[str]:
    shown = ", ".join([*loss.model.inputs, "*", *(f"{n}={_default(p.default)}" for n, p in loss.model.params.items())])
    yield f'## Arguments\n\n```text\n{loss.id}({shown}, reduction="mean")\n```\n'
    rows = []
    for name, item in loss.model.inputs.items():
        dims = ", ".join(item.dims) if isinstance(item.dims, list) else item.dims
        rows.append((code(name), f"`[{dims}]`", "yes" if name in loss.gradient_of else "no", item.meaning))
    yield table(("input", "shape", "gradient", "meaning"), rows)
    rows = [
        (code(name), code(_default(item.default)), ", ".join(map(code, item.choices or ())) or "a number of at least 0")
        for name, item in loss.model.params.items()
    ]
    rows.append((code("reduction"), code('"mean"'), "`none` gives `[B]`, `sum` and `mean` give `[]`"))
    yield table(("parameter", "default", "allowed"), rows)


def _default(text: str) -> str:
    value = param_value(text)
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _edges(loss: Loss) -> Iterator[str]:
    yield "## Edges\n\n[Edges and their meaning](../../explanation/edges.md) says what conforms in each of them.\n"
    rows = []
    for edge in edges():
        if edge.concerns(loss):
            cases = ", ".join(f'<a href="#case-{name}">{name}</a>' for name in covering(edge, loss))
            rows.append((edge.title, cases or f"check: {edge.check}"))
    yield table(("edge", "covered by"), rows)


def _cases(loss: Loss) -> Iterator[str]:
    yield "## Cases\n\n`lossmark explain ID` shows one in full: inputs, exact value, bound.\n"
    rows = []
    for case in loss.cases:
        slug = case.id.partition("/")[2]
        flags = ", ".join(case.flags)
        rows.append((f'<span id="case-{slug}"></span>`{case.id}`', f"{case.batch}", flags, escaped(case.why)))
    yield table(("id", "examples", "flags", "what a wrong implementation does here"), rows)
    yield "What the flags mean:\n"
    yield table(("flag", "meaning"), [(name, escaped(text)) for name, text in loss.model.flags.items()])
    yield f"Beside them {len(loss.families)} seeded families of random inputs are drawn in the dtype under test.\n"
    usual = [f"`{large.id.partition('/')[2]}`" for large in loss.embedded if not large.full]
    yield (
        "The cases also stand, every edge among the first rows, in the middle and among the last, between ordinary "
        f"rows of larger batches: {', '.join(usual)}, and {len(loss.embedded) - len(usual)} more under `--full`.\n"
    )
