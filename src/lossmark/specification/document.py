"""YAML in, plain Python out, with the place of every key; and back again with comments and order kept.

Stricter than YAML: UTF-8 only, no anchors or aliases (a few lines of them can unfold to gigabytes), no tags, no
duplicate keys, bounded size and depth. What breaks a rule is a :class:`SpecError` with line and column.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent, MappingStartEvent, NodeEvent, ScalarEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ..errors import Place, SpecError

MAX_BYTES, MAX_DEPTH = 8_000_000, 40
WIDTH = 118
_MAY_BE_ANCHOR = re.compile(r"(?<![\w*)])[&*](?![\s*])")
"""Every anchor and alias, and little else, so that ordinary files are parsed once."""

Path_ = tuple[str | int, ...]
_SCALARS: Mapping[str, Callable[[str], Any]] = {
    "int": lambda text: int(text, 0),
    "float": float,
    "bool": lambda text: {"true": True, "false": False}[text],
    "null": lambda text: None,
}


@dataclass
class Document:
    """A parsed file: ``data`` in plain Python, ``places`` from a path of keys to (line, column)."""

    file: str
    text: str
    data: Any
    places: dict[Path_, tuple[int, int]] = field(default_factory=dict)

    def place(self, path: Path_) -> Place:
        """The place of ``path``, or of the nearest enclosing key that the file has."""
        known = path
        while known and known not in self.places:
            known = known[:-1]
        line, column = self.places.get(known, (1, 1))
        return Place(self.file, line, column, ".".join(map(str, path)))

    def error(self, path: Path_, message: str) -> SpecError:
        """A refusal of what stands at ``path``, to be raised."""
        return SpecError(message, self.place(path))


def read(path: Path) -> Document:
    """Read and parse one file; raises :class:`SpecError`."""
    name = str(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SpecError(f"cannot be read: {error.strerror}", Place(name)) from None
    if len(raw) > MAX_BYTES:
        raise SpecError(f"has {len(raw)} bytes, at most {MAX_BYTES} are allowed", Place(name))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SpecError(f"not UTF-8: byte 0x{raw[error.start]:02x}", Place(name, line, 1)) from None
    return parse(text, name)


def parse(text: str, name: str = "<string>") -> Document:
    """Parse a text; raises :class:`SpecError`."""
    _screen(text, name)
    try:
        if _MAY_BE_ANCHOR.search(text):
            _refuse_anchors(text, name)
        root = YAML(typ="safe").compose(text)  # in C, ten times as fast
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(name, mark.line + 1, mark.column + 1) if mark else Place(name)
        raise SpecError(f"not valid YAML: {error.problem or error.context}", place) from None
    except (YAMLError, RecursionError, ValueError) as error:
        raise SpecError(f"not valid YAML: {type(error).__name__} {error}"[:200], Place(name)) from None
    document = Document(name, text, None)
    if root is None:
        raise SpecError("the file is empty", Place(name, 1, 1))
    if not text.endswith("\n"):
        raise SpecError("truncated: the last line does not end", Place(name, text.count("\n") + 1, 1))
    document.data = _plain(root, (), document)
    return document


def _screen(text: str, name: str) -> None:
    """Refuse deep nesting before the recursive parser meets it."""
    depth = 0
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) - len(line.lstrip(" ")) > 4 * MAX_DEPTH or max(line.count("- - "), line.count("? ? ")) > MAX_DEPTH:
            raise SpecError(f"nested more than {MAX_DEPTH} deep", Place(name, number, 1))
        code = line.split(" #")[0]
        if not any(char in code for char in "[]{}"):
            continue
        for column, char in enumerate(code, 1):
            depth = max(0, depth + (char in "[{") - (char in "]}"))
            if depth > MAX_DEPTH:
                raise SpecError(f"nested more than {MAX_DEPTH} deep", Place(name, number, column))


def _refuse_anchors(text: str, name: str) -> None:
    """Refuse the first anchor or alias before anything is composed: shared nodes cannot be told from written ones."""
    around: list[tuple[int, str, bool]] = []  # children so far, key or index of the last, whether it is a mapping
    for event in YAML(typ="safe").parse(text):
        if isinstance(event, CollectionEndEvent):
            around.pop()
        if not isinstance(event, NodeEvent):
            continue
        if around:
            count, key, mapping = around[-1]
            if not mapping:
                key = str(count)
            elif count % 2 == 0:
                key = str(event.value) if isinstance(event, ScalarEvent) else ""
            around[-1] = count + 1, key, mapping
        if event.anchor is not None:
            path = tuple(key for _, key, _ in around if key)
            place = Place(name, event.start_mark.line + 1, event.start_mark.column + 1, _dotted(path))
            raise SpecError("anchors and aliases are not allowed", place)
        if isinstance(event, CollectionStartEvent):
            around.append((0, "", isinstance(event, MappingStartEvent)))


def _plain(node: Node, path: Path_, document: Document) -> Any:
    line, column = node.start_mark.line + 1, node.start_mark.column + 1
    document.places.setdefault(path, (line, column))
    if isinstance(node, MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, SequenceNode):
        return [_plain(item, (*path, index), document) for index, item in enumerate(node.value)]
    assert isinstance(node, ScalarNode)
    kind = str(node.tag).rpartition(":")[2]
    if node.style or kind == "str":
        return node.value
    try:
        return _SCALARS[kind](node.value)
    except (KeyError, ValueError):
        place = Place(document.file, line, column, _dotted(path))
        raise SpecError(f"expected a text or a number, found {node.value[:60]!r}; quote it", place) from None


def _mapping(node: MappingNode, path: Path_, document: Document) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in node.value:
        place = Place(document.file, key.start_mark.line + 1, key.start_mark.column + 1, _dotted(path))
        if not isinstance(key, ScalarNode):
            raise SpecError("a key must be a text", place)
        if key.value in result:
            raise SpecError(f"duplicate key {key.value!r}", place)
        document.places[(*path, key.value)] = (place.line, place.column)
        result[key.value] = _plain(value, (*path, key.value), document)
    return result


def _dotted(path: Path_) -> str:
    return ".".join(map(str, path))


def _round_trip() -> YAML:
    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.width = WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.allow_duplicate_keys = False
    return yaml


def editable(text: str) -> Any:
    """The text as a structure that can be changed in place and dumped with comments, order and quotes kept."""
    return _round_trip().load(text)


def dump(data: Any) -> str:
    """The canonical text of an :func:`editable` structure."""
    stream = io.StringIO()
    _round_trip().dump(data, stream)
    return stream.getvalue()
