"""The page of the format of vectors, from its published schema, with the two readers beside it."""

from collections.abc import Mapping
from typing import Any

from lossmark.rooms import room
from lossmark.vectors.schema import schema

from .markdown import code, table
from .spec_file import types

HEAD = """# Vectors

`lossmark vectors -o DIR` writes `DIR/<loss>.json` for each loss, and `DIR/schema.json`, their JSON schema, which is
also {download}`here <../vectors/schema.json>`. A file needs no engine: it has the inputs of every golden case, its
exact results, and all that conforms in each dtype. [How to use them](../howto/vectors.md).

- Numbers are C99 hex floats (`"0x1.8p+0"`), `"nan"`, `"inf"` or `"-inf"`; labels and `format` are integers.
- Arrays are flat, in row-major order. A gradient has the shape of its input.
- The values of `none` and `mean` and the gradient of `sum` are certified in ball arithmetic. The others follow from the
  same formula in double-double.
- A result is in the dtype of the inputs. Compare in float64: every number of every dtype is one.
- Every bound is the suite's, rounded up by less than 2^-20 of it. A file gives the suite's verdicts; only where a slope
  at a kink lies within rounding of 0 or 1 may the suite, which searches for it, be stricter.
- Random families, larger batches and the checks beside value and gradient are the suite's alone.

"""
SECTIONS = {
    "VectorFile": "The file", "VectorFormula": "formula", "VectorInput": "inputs", "VectorParameter": "params",
    "VectorDType": "dtypes", "VectorCase": "cases", "FlatArray": "cases.inputs", "VectorExpected": "cases.expected",
    "ExactNumbers": "Exact numbers", "AllowedResults": "cases.allowed", "AllowedNumbers": "What conforms",
    "Alternative": "alternatives", "NotJudged": "What is not judged", "AllowedGradients": "Gradients of a reduction",
    "KinkedRows": "kinks", "KinkedGradient": "kinks.gradient", "LeftOut": "left_out",
}  # fmt: skip
FOOT = """## A reader in Python

```python
{python}
```

## A loss in JavaScript

```js
{javascript}
```
"""


def pages() -> dict[str, str]:
    """The page."""
    found = schema()
    models = found["$defs"] | {"VectorFile": found}
    folder = room("specs").parent / "docs" / "vectors"
    texts = {
        key: (folder / name).read_text(encoding="utf-8").rstrip()
        for key, name in (("python", "read.py"), ("javascript", "check_huber.mjs"))
    }
    sections = [_section(title, models[name]) for name, title in SECTIONS.items()]
    return {"reference/vectors.md": HEAD + "\n".join(sections) + "\n" + FOOT.format(**texts)}


def _section(title: str, model: Mapping[str, Any]) -> str:
    rows = [
        (code(key), " or ".join(dict.fromkeys(types(part, SECTIONS))), "yes" if key in model["required"] else "no")
        for key, part in model["properties"].items()
    ]
    return f"## {title}\n\n{' '.join(model['description'].split())}\n\n" + table(("key", "value", "required"), rows)
