"""The table of the engine's floors, from the test that holds them and from what each folder says of itself."""

import ast

from lossmark.rooms import room

from .markdown import code, table


def pages() -> dict[str, str]:
    """The piece that the page on the house includes."""
    root = room("specs").parent
    test = ast.parse((root / "tests" / "test_architecture.py").read_text(encoding="utf-8"))
    (floors,) = [
        ast.literal_eval(node.value)
        for node in test.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "FLOORS"
    ]
    rows = [
        (number, code(box), _purpose(root / "src" / "lossmark", box))
        for number, floor in reversed(list(enumerate(floors, 1)))
        for box in floor
    ]
    return {"project/_floors.md": table(("floor", "folder or module", "what it is for"), rows)}


def _purpose(engine, box: str) -> str:
    """The first sentence of a folder's or a module's docstring."""
    path = engine / box / "__init__.py"
    text = (path if path.is_file() else engine / f"{box}.py").read_text(encoding="utf-8")
    return (
        " ".join((ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0].split()).split(". ")[0].rstrip(".:") + "."
    )
