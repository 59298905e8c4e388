"""A row of the crosswalk in words, for a terminal and for pages."""

from __future__ import annotations

from collections.abc import Iterator

from ..specification.library import losses
from .rows import Agreement, ByDType, Counterproof, CrosswalkRow


def matches(row: CrosswalkRow, words: str) -> bool:
    """Whether a row has every word, in any order: in its library, function, specs, mapping or call."""
    specs = [f"{spec} {losses()[spec].model.title}" for spec in (row.spec, *row.others) if spec in losses()]
    text = " ".join([row.library, row.function, row.relation, *row.mapping, *specs]).lower()
    text += " " + text.replace("_", " ")
    return all(word in text for word in words.lower().split())


def summary(row: CrosswalkRow) -> str:
    """What the function is, in one line."""
    mapping = ", ".join(row.mapping)
    if row.relation != "different":
        return row.relation + (f": {mapping}" if mapping else "")
    if row.furthest is not None:
        return f"different: none of {row.tried} mappings conforms"
    here = row.dtypes[row.headline].values
    text = "different in gradients alone" if here is not None and not here.failing else "different"
    under = f" ({mapping})" if mapping else ""
    return f"{text}, at edges only{under}" if row.ordinary else f"{text}, though near{under}"


def agreement(found: Agreement) -> str:
    """What is found of values, or of gradients, in one dtype."""
    also = f" ({found.also})" if found.also else ""
    refused = f", {found.refused} refused" if found.refused else ""
    if not found.failing:
        return f"{found.relation}{also}, {found.cases} cases{refused}"
    return f"different{also} in {found.failing} of {found.cases} cases{refused}"


def by_dtype(found: ByDType) -> str:
    """What is found in one dtype."""
    if found.refused:
        return f"not taken: {found.refused}"
    values = "nothing to judge" if found.values is None else agreement(found.values)
    gradients = "none" if found.gradients is None else agreement(found.gradients)
    return f"values {values}; gradients {gradients}"


def counterproof(found: Counterproof) -> str:
    """What is got on a case, and what is expected."""
    if not found.expected:
        return f"{found.case}: {found.note}"
    where = f" ({found.note})" if found.note else ""
    off = "" if found.ulp in ("inf", "nan") else f", off by {found.ulp} ulp"
    return f"{found.case}: got {found.got}, expected {found.expected}{off}{where}"


def proofs(row: CrosswalkRow) -> Iterator[str]:
    """The cases that prove a row, one by one: why nothing simpler does, and what does not conform."""
    for found in row.needed:
        yield f"without “{found.without}” {counterproof(found)}"
    if row.furthest is not None:
        yield f"the last of {row.tried} mappings fails on {counterproof(row.furthest)}"
        return
    for name, dtype in row.dtypes.items():
        for what, part in (("values", dtype.values), ("gradients", dtype.gradients)):
            if part is not None and part.proof is not None:
                yield f"{name}, {what}: {counterproof(part.proof)}"
