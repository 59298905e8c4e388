"""The page of findings, from ``conformance/findings.yaml``."""

from lossmark.suite.findings import Defect, Upstream, findings

from .markdown import code, escaped

HEAD = """# Findings

Defects of current releases that lossmark has found. Each is reproduced with the library alone, on a CPU;
`lossmark findings --check` runs all of them again and says which are gone.
"""


def pages() -> dict[str, str]:
    """One page, a section for each finding."""
    return {"results/findings.md": HEAD + "".join(_section(name, each) for name, each in findings().items())}


def _section(name: str, finding: Defect) -> str:
    losses = ", ".join(f"[{loss}](../reference/losses/{loss}.md)" for loss in finding.losses)
    off = "one is finite, the other is not" if finding.ulp == float("inf") else f"off by {finding.ulp:g} ulp and more"
    return f"""
## {escaped(finding.title)}

{code(name)}: {finding.library} {finding.version}, {finding.dtype}, {off}, found on {finding.found}.

It concerns {losses}.

```python
{finding.code.rstrip()}
```

Instead: {escaped(finding.instead)}
{_upstream(finding.upstream)}"""


def _upstream(upstream: Upstream | None) -> str:
    """What one would send to the library, where it is written down."""
    if upstream is None:
        return ""
    return f"""
What to send upstream. {escaped(upstream.why)} A test that fails today:

```python
{upstream.test.rstrip()}
```

A mend with which it passes:

```python
{upstream.mend.rstrip()}
```
"""
