"""What every file keeps to: its length, that of its functions, and that what is public says what it is."""

import ast
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("src", "impls", "conformance", "benchmarks", "reports")
FILES = sorted(path for room in (*ROOMS, "tests", "docs") for path in (ROOT / room).rglob("*.py"))
DOCUMENTED = [path for path in FILES if path.relative_to(ROOT).parts[0] in ROOMS and not path.name.startswith("test_")]
FILE_LINES, FUNCTION_LINES, MEDIAN_LINES = 300, 50, 130
CODE = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def undocumented(body: list[ast.stmt], owner: str = "") -> list[str]:
    """Public classes, functions and methods without a docstring, by their names."""
    found = []
    for node in body:
        if not isinstance(node, CODE) or node.name.startswith("_"):
            continue
        overload = any(getattr(mark, "id", "") == "overload" for mark in node.decorator_list)
        if not overload and ast.get_docstring(node) is None:
            found.append(owner + node.name)
        if isinstance(node, ast.ClassDef):
            found += undocumented(node.body, f"{owner}{node.name}.")
    return found


def overrides(path: Path) -> set[str]:
    """Methods that a framework's adapter takes over from the base class, which documents them."""
    if path.name != "framework.py" or "impls" not in path.parts:
        return set()
    base = ast.parse((ROOT / "src/lossmark/adapters/framework.py").read_text(encoding="utf-8"))
    methods = [node for top in base.body if isinstance(top, ast.ClassDef) for node in top.body]
    return {node.name for node in methods if isinstance(node, ast.FunctionDef)}


def test_files_are_short():
    long = {str(path.relative_to(ROOT)): lines(path) for path in FILES if lines(path) > FILE_LINES}
    assert not long
    assert statistics.median(lines(path) for path in FILES if path.name != "__init__.py") <= MEDIAN_LINES


def test_functions_fit_a_screen():
    long = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES
    }
    assert not long


@pytest.mark.parametrize("path", DOCUMENTED, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_public_says_what_it_is(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree) or not tree.body
    inherited = overrides(path)
    assert [name for name in undocumented(tree.body) if name.split(".")[-1] not in inherited] == []
