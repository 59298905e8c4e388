"""The house: which folder of the engine imports which, that no modules import each other, that faces are true."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import lossmark
import lossmark.testing

ENGINE = Path(__file__).parents[1] / "src" / "lossmark"
FLOORS = (
    ("cache", "errors", "dtypes", "version"),
    ("formula", "adapters", "results", "rooms"),
    ("readings",),
    ("specification",),
    ("golden", "tolerance", "sandbox"),
    ("checks",),
    ("suite", "timing", "vectors"),
    ("crosswalk", "gate", "hunt", "sharpness", "pytest_plugin"),
    ("cli", "testing"),
)
"""From the ground: what stands on a floor imports from lower floors only, or from its own folder."""
DOORS = {"__init__", "__main__", "worker", "discover", "plugin"}
"""Ways in that hold nothing themselves."""
FACES = {"testing"}
"""Folders whose own module is imported by others than the engine, and says what it has."""
TABLES = {"RULES"}
"""What every reading has under the same name, and is meant to."""
FLOOR = {box: number for number, floor in enumerate(FLOORS) for box in floor}
MODULES = sorted(path.relative_to(ENGINE).with_suffix("").as_posix() for path in ENGINE.rglob("*.py"))


def imported(module: str) -> set[str]:
    """The engine's modules that a module imports, wherever in it, for a type checker or when a function is called."""
    found = set()
    parents = module.split("/")[:-1]
    tree = ast.parse((ENGINE / f"{module}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            base = parents[: len(parents) - node.level + 1]
        elif (node.module or "").split(".")[0] == "lossmark":
            base = []
        else:
            continue
        words = (node.module or "").removeprefix("lossmark").strip(".")
        path = [*base, *(part for part in words.split(".") if part)]
        for name in node.names:
            whole = "/".join([*path, name.name])
            found.add(whole if whole in MODULES else "/".join(path) or "__init__")
    return {name if name in MODULES else f"{name}/__init__" for name in found if name}


def box(module: str) -> str:
    """The folder that a module lies in, or the module itself where it lies in none."""
    return module.split("/")[0]


ARROWS = {module: imported(module) for module in MODULES}


def test_every_module_stands_on_a_floor():
    assert {box(module) for module in MODULES} - DOORS == set(FLOOR)
    assert len([module for module in MODULES if "/" not in module]) <= 12


def test_imports_go_down():
    up = {
        f"{module} -> {other}"
        for module, others in ARROWS.items()
        if box(module) not in DOORS
        for other in others
        if box(other) != box(module) and (box(other) in DOORS or FLOOR[box(other)] >= FLOOR[box(module)])
    }
    assert not up


def test_no_modules_import_each_other():
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for other in sorted(ARROWS[module]):
                visit(other, (*path, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())


@pytest.mark.parametrize("folder", sorted({box(module) for module in MODULES if "/" in module}))
def test_a_folder_says_what_it_is_for_and_re_exports_nothing(folder):
    tree = ast.parse((ENGINE / folder / "__init__.py").read_text(encoding="utf-8"))
    text = ast.get_docstring(tree) or ""
    assert len(re.findall(r"[.?!](?=\s|$)", text)) >= 2, text
    assert len(tree.body) == 1 or folder in FACES


@pytest.mark.parametrize("face", [lossmark, lossmark.testing])
def test_the_face_is_true(face):
    assert all(hasattr(face, name) for name in face.__all__)
    assert set(face.__all__) <= set(dir(face))
    assert not hasattr(face, "no_such_name")


def test_the_face_is_what_the_page_on_versions_promises():
    page = (ENGINE.parents[1] / "docs" / "project" / "versions.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| the Python face: (.*) of `lossmark`,", page, re.MULTILINE)
    assert re.findall(r"`(\w+)`", row) == sorted(lossmark.__all__)
    code = "import sys, lossmark; print([name for name in dir(lossmark) if not name.startswith('_')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    public = set(ast.literal_eval(done.stdout))
    folders = {box(module) for module in MODULES}
    assert public - folders - {"Path", "annotations"} == {name for name in lossmark.__all__ if not name.startswith("_")}


def test_no_public_name_is_defined_twice():
    """A name means one thing: constants and classes of two modules would have to be told apart by their modules."""
    homes = defaultdict(list)
    for module in MODULES:
        tree = ast.parse((ENGINE / f"{module}.py").read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(module)
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    if isinstance(target, ast.Name):
                        homes[target.id].append(module)
    twice = {name: where for name, where in homes.items() if len(where) > 1 and not name.startswith("_")}
    assert set(twice) == TABLES
