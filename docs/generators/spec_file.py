"""The page of a spec file's keys, from ``specs/schema.json``."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lossmark.rooms import room

from .markdown import code, table

HEAD = """# Spec file

A loss is one file, `specs/<id>.yaml`. `lossmark certify` writes what stands under `expect` and brings the file to its
canonical form; `lossmark certify --check` verifies it. Numbers are quoted C99 hex floats, which are exact: `"0x1.8p+0"`
is 1.5. `specs/schema.json` holds the same keys for editors.

The numbers of an input are nested lists in the order of its `dims`. One without an axis is a number by itself, and so
is its gradient:

```yaml
inputs:
  query: {dims: [B, D], kind: embedding, meaning: the query}
  negatives: {dims: [B, N, D], kind: embedding, meaning: what does not belong to it}
  mask: {dims: [B, N], label: mask, meaning: 1 where there is a negative}
  scale: {dims: [], kind: number, meaning: the learned scale}
formula: {loss: "lse(scale*dot(query, negatives), N, mask == 1)"}
gradient_of: [query, negatives, scale]
families:
  - {id: mine/random-64x5x8, seed: 1, shape: {B: 64, N: 5, D: 8}, distribution: normal, scale: "0x1p+0"}
cases:
  - id: mine/worked
    since: "1.0"
    why: "The masked negative holds NaN, which nobody is to see."
    inputs:
      query: [["0x1p+0"]]
      negatives: [[["0x1p+0"], ["nan"]]]
      mask: [[1, 0]]
      scale: "0x1p-1"
    expect: {}
```

Where a mask is 0 a family has NaN in every second entry, and a number without an axis is drawn between ½ and 2.

"""
ORDER = ("SpecModel", "Source", "InputModel", "IndexLabel", "ParamModel", "FormulaModel", "Association",
         "ReductionModel", "PropertyModel",
         "FamilyModel", "CaseModel", "RowsModel", "Expect", "Between", "OneOf")  # fmt: skip
WHERE = {
    "SpecModel": "The file", "Source": "source", "InputModel": "inputs", "IndexLabel": "inputs.label",
    "ParamModel": "params", "ReductionModel": "reduction",
    "FormulaModel": "formula", "Association": "formula.associations", "PropertyModel": "properties",
    "FamilyModel": "families", "CaseModel": "cases", "RowsModel": "cases.rows", "Expect": "cases.expect",
    "Between": "A leaf that is an interval",
    "OneOf": "A leaf that is one of several numbers",
}  # fmt: skip


def pages() -> dict[str, str]:
    """The page."""
    schema = json.loads((room("specs") / "schema.json").read_text(encoding="utf-8"))
    models = schema["$defs"] | {"SpecModel": schema}
    names = [*(name for name in ORDER if name in models), *(name for name in models if name not in ORDER)]
    return {"reference/spec-file.md": HEAD + "\n".join(_section(name, models[name]) for name in names)}


def _section(name: str, model: Mapping[str, Any]) -> str:
    required = model.get("required", ())
    rows = [
        (code(key), " or ".join(dict.fromkeys(types(value, WHERE))), "yes" if key in required else _default(value))
        for key, value in model["properties"].items()
    ]
    head = f"## {WHERE.get(name, name)}\n\n{' '.join(model.get('description', '').split())}\n\n"
    return head + table(("key", "value", "required"), rows)


def _default(value: Mapping[str, Any]) -> str:
    default = value.get("default")
    return "no" if default in (None, [], {}, "") or isinstance(default, dict) else f"no, {code(json.dumps(default))}"


def types(value: Mapping[str, Any], sections: Mapping[str, str]) -> Iterator[str]:
    """What a value of a schema may be, in words; ``sections`` are the headings of the models."""
    if "anyOf" in value:
        for option in value["anyOf"]:
            if option.get("type") != "null":
                yield from types(option, sections)
    elif "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        yield f"see {sections.get(name, name)}"
    elif "const" in value:
        yield code(json.dumps(value["const"]))
    elif "enum" in value:
        yield " or ".join(code(word) for word in value["enum"])
    elif value.get("type") == "array":
        yield "a list of: " + " or ".join(dict.fromkeys(types(value.get("items", {}), sections)))
    elif value.get("type") == "object":
        inner = value.get("additionalProperties") or next(iter(value.get("patternProperties", {"": {}}).values()))
        yield "a mapping to: " + " or ".join(dict.fromkeys(types(inner if isinstance(inner, dict) else {}, sections)))
    elif "p[+-]" in value.get("pattern", ""):
        yield "hex float"
    else:
        yield {"string": "text"}.get(value.get("type", ""), value.get("type", "any"))
