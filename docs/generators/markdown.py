"""Pieces of MyST Markdown that several pages need."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; ``|`` in a box is escaped, line breaks become spaces."""
    lines = [list(head), ["---"] * len(head), *(list(map(_box, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _box(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def code(text: object) -> str:
    """Text in the typewriter's face."""
    return f"`{text}`"


def escaped(text: str) -> str:
    """Text in which nothing is markup."""
    for char in "\\*_<[":
        text = text.replace(char, "\\" + char)
    return text
