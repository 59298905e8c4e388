"""The README and the documentation: the site builds without warnings, and what pages show is what happens.

A fenced ``python`` block whose first line is ``# NAME.py`` is that file. A fenced ``console`` block begins with ``$``
and a command; it is run where the files of its page lie, and prints what is shown below it, in that order. ``…`` in a
line stands for any text, a line of ``…`` alone for any lines. Blocks in other languages are not run.
"""

import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from lossmark.checks import catalogue

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w.]+\.py)\n")
FIGURE = re.compile(r"\d[\d.,]* ?(ms|µs|times as|× as|million|cells per second|% of the limit)")
WRITTEN = [page for page in sorted(DOCS.rglob("*.md")) if "_build" not in page.parts]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *WRITTEN]


def blocks(page, language):
    """The fenced blocks of a page in one language."""
    return [text for found, text in BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


def commands(page):
    """The commands of a page with what each is said to print."""
    return [(lines[0].removeprefix("$ "), lines[1:]) for lines in map(str.splitlines, blocks(page, "console"))]


RUN = [(page, *each) for page in PAGES for each in commands(page)]


def shown(lines):
    """A pattern that matches a text which holds the lines in their order."""
    parts = []
    for line in lines:
        if line.strip() == "…":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(".*".join(map(re.escape, line.rstrip().split("…"))) + r"[ ]*\n")
    return re.compile("".join(parts))


@pytest.fixture
def folder(request, tmp_path):
    """A folder with the files that a page shows."""
    for text in blocks(request.getfixturevalue("page"), "python"):
        name = FILE.match(text)
        if name:
            (tmp_path / name[1]).write_text(text, encoding="utf-8")
    return tmp_path


def names(value):
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else None


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=names)
def test_every_python_block_is_a_file_that_compiles(page):
    for text in blocks(page, "python"):
        name = FILE.match(text)
        assert name, f"the first line of a block is # NAME.py: {text}"
        compile(text, name[1], "exec")


@pytest.mark.parametrize(("page", "command", "lines"), RUN, ids=names)
def test_what_a_page_shows_is_printed(page, command, lines, folder):
    for needed in ("torch", "triton", "tensorflow", "jax"):
        shown_here = any(re.search(rf"^import {needed}\b", text, re.MULTILINE) for text in blocks(page, "python"))
        if shown_here and find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed")
    words = shlex.split(command)
    assert words[0] in ("lossmark", "pytest"), "of a console block, the first word is one of these"
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"COLUMNS": "120", "TRITON_INTERPRET": "1"},
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr[-2000:]
    assert shown(lines).search(done.stdout), f"{command}\nshown:\n" + "\n".join(lines) + f"\nprinted:\n{done.stdout}"


def test_the_site_builds_without_warnings_and_its_links_resolve(tmp_path):
    build = [sys.executable, str(DOCS / "build.py"), str(tmp_path)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    remote = [
        f"{path.name}: {found}"
        for path in tmp_path.rglob("html/**/*.html")
        for found in re.findall(r'(?:src|<link[^>]*href)="(https?://[^"]*)', path.read_text(encoding="utf-8"))
    ]
    assert not remote, "the site asks nothing of the network"


DIFFS = [(page, number, text) for page in PAGES for number, text in enumerate(blocks(page, "diff"))]


def applies(text, *options):
    """Whether git can apply a diff to the tree; with ``--reverse``, whether the tree has what the diff adds."""
    command = ["git", "apply", "--check", *options, "-"]
    return subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=False).returncode == 0


@pytest.mark.parametrize(("page", "number", "text"), DIFFS, ids=names)
def test_every_diff_applies_to_the_tree_or_is_in_it(page, number, text):
    assert "\n@@ " in text
    assert applies(text) != applies(text, "--reverse")


def test_the_spec_file_of_a_diff_can_be_certified(tmp_path):
    (text,) = [text for *_, text in DIFFS if "+++ b/specs/" in text]
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=text, text=True, check=True)
    certify = [sys.executable, "-m", "lossmark", "certify", "--specs", "specs"]
    assert subprocess.run(certify, cwd=tmp_path, check=False).returncode == 0
    assert "expect: {}" not in next((tmp_path / "specs").iterdir()).read_text(encoding="utf-8")
    assert subprocess.run([*certify, "--check"], cwd=tmp_path, check=False).returncode == 0


def test_every_check_is_explained():
    text = (DOCS / "reference" / "checks.md").read_text(encoding="utf-8")
    for check in (check.name for check in (*catalogue.CHECKS, catalogue.REFUSAL)):
        assert f"| `{check}` |" in text


def test_the_readme_is_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 90


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=names)
def test_links_of_pages_outside_the_site_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_no_measured_figure_is_typed(page):
    prose = BLOCK.sub("", page.read_text(encoding="utf-8"))
    assert not FIGURE.search(prose), FIGURE.search(prose)
