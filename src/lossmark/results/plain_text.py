"""Text of unknown origin, made harmless for terminals, Markdown, XML and badges."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

LONGEST = 500
UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold, or that a terminal would take for commands."""


def line(words: str) -> str:
    """The text as one line of at most :data:`LONGEST` characters, all of which can be shown."""
    words = " ".join(words.split())
    return UNPRINTABLE.sub("�", words if len(words) <= LONGEST else words[: LONGEST - 1] + "…")


def markdown(words: str) -> str:
    """The text as one line, escaped so that Markdown takes it as text, in a table too."""
    words = line(words).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", words)


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """The lines of a table in Markdown, and an empty one; nothing where there are no rows."""
    head, body = list(columns), [list(row) for row in rows]
    if body:
        yield "| " + " | ".join(head) + " |"
        yield "|" + "---|" * len(head)
        yield from ("| " + " | ".join(markdown(str(item)) for item in row) + " |" for row in body)
        yield ""


def badge(message: str, colour: str) -> str:
    """The JSON that shields.io makes a badge of (its "endpoint")."""
    return json.dumps({"schemaVersion": 1, "label": "lossmark", "message": message, "color": colour})
