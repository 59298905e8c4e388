"""Broken spec files are refused in one line that names the place, with exit code 3 and no traceback."""

import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from lossmark.errors import SpecError
from lossmark.rooms import room
from lossmark.specification.assemble import load
from lossmark.specification.document import parse

TEXT = (room("specs") / "contrastive.yaml").read_text()
FORMULA = 'loss: "y*d**2 + (1 - y)*max(margin - d, 0)**2"'
DISTANCES = 'd: ["0x1p-1"]'


def _replaced(old: str, new: str) -> Callable[[], bytes]:
    assert old in TEXT
    return lambda: TEXT.replace(old, new, 1).encode()


def _laughs(levels: int) -> str:
    """A list of nine, and on each level nine aliases of the level below: 9**levels texts if it were unfolded."""
    lists = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, levels + 1)]
    return f"a0: &a0 [{', '.join(['ha'] * 9)}]\n{''.join(lists)}"


BROKEN = {
    "truncated": lambda: TEXT[: TEXT.index("value: [") + 10].encode(),
    "truncated between lines": lambda: TEXT[: TEXT.index("      mean:")].encode(),
    "truncated at the end of a line": lambda: TEXT[: TEXT.index("    inputs:", len(TEXT) // 2) - 1].encode(),
    "duplicate key": _replaced("since:", 'since: "1.0"\nsince:'),
    "unknown key": _replaced("since:", "sinse: 1\nsince:"),
    "wrong shape": _replaced(DISTANCES, 'd: ["0x1p-1", "0x1p-1"]'),
    "ragged list": _replaced(DISTANCES, 'd: [["0x1p-1"], ["0x1p-1", "0x1p-1"]]'),
    "NaN param": _replaced('params: {margin: "0x1p+1"}', 'params: {margin: "nan"}'),
    "unknown function": _replaced(FORMULA, 'loss: "sinh(d)*y"'),
    "import in a formula": _replaced(FORMULA, "loss: \"__import__('os').system('true')\""),
    "attribute in a formula": _replaced(FORMULA, 'loss: "d.__class__*y"'),
    "deep nesting in a formula": _replaced(FORMULA, 'loss: "' + "(" * 100_000 + "d" + ")" * 100_000 + '"'),
    "deep nesting in a list": _replaced(DISTANCES, "d: " + "[" * 100_000),
    "deep nesting by signs": _replaced(FORMULA, 'loss: "' + "-" * 1990 + 'd*y"'),
    "huge power of ten": _replaced(FORMULA, 'loss: "d*y*1e999999999"'),
    "not UTF-8": lambda: TEXT.encode().replace(b"Contrastive", b"Contr\xff\xfestive", 1),
    "duplicate id": _replaced("id: contrastive/worked-similar", "id: contrastive/worked"),
    "undefined flag": _replaced("flags: [Dyadic]", "flags: [Dyadik]"),
    "billion laughs": lambda: (TEXT + _laughs(9)).encode(),
    "alias": _replaced("title:", "title: &a x\nsummary: *a\ntitle:"),
    "not representable": _replaced(DISTANCES, 'd: ["0x1.123456789p-1"]'),
    "decimal for hex": _replaced(DISTANCES, "d: [0.5]"),
    "empty": lambda: b"",
    "a list": lambda: b"- 1\n",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_spec_is_refused_in_one_line(kind, tmp_path):
    path = tmp_path / "contrastive.yaml"
    path.write_bytes(BROKEN[kind]())
    command = [sys.executable, "-m", "lossmark", "certify", "--check", "--specs", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 3, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(str(path))
    assert "Traceback" not in done.stderr
    assert len(lines[0]) < 1500


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (_laughs(9), "1:5: a0"),
        (f"x: 1\n{_laughs(9)}", "2:5: a0"),
        (f"deep:\n  - {{b: 1}}\n  - {{c: {_laughs(0)[4:-1]}}}\n", "3:9: deep.1.c"),
        ('{"x":&a [*a, *a]}\n', "1:6: x"),
        ('{"x":*a}\n', "1:6: x"),
        ("? &a x\n: 1\n", "1:3: x"),
        ("&a x: 1\n", "1:1: x"),
        ("? [&a x]\n: 1\n", "1:4: 0"),
    ],
)
def test_an_anchor_is_refused_where_it_stands_before_it_is_unfolded(text, place):
    started = time.process_time()
    with pytest.raises(SpecError, match="anchors and aliases are not allowed") as refused:
        parse(text, "FILE")
    assert str(refused.value).startswith(f"FILE:{place}: ")
    assert time.process_time() - started < 2


def test_an_ampersand_or_a_star_in_a_text_is_no_anchor():
    assert parse('a: "x &a *b"\nb: R&D *\nc: "&a"\n').data == {"a": "x &a *b", "b": "R&D *", "c": "&a"}


def test_rows_of_a_coupled_loss_have_no_borders(tmp_path):
    text = (room("specs") / "linear_cross_entropy.yaml").read_text()
    path = tmp_path / "linear_cross_entropy.yaml"
    path.write_text(text.replace("distribution: normal", "distribution: borders", 1))
    with pytest.raises(SpecError, match=r"families\.0\.distribution: a loss whose examples share .* no borders family"):
        load(path)


@pytest.mark.parametrize(
    ("loss", "shape", "larger", "numbers"),
    [
        ("cross_entropy", "{B: 8, C: 128256}", "{B: 4096, C: 128256}", 4096 * 128256),
        ("info_nce", "{B: 7, D: 3}", "{B: 8192, D: 3}", 8192**2),
    ],
)
def test_a_family_that_does_not_fit_into_memory_is_refused(tmp_path, loss, shape, larger, numbers):
    text = (room("specs") / f"{loss}.yaml").read_text()
    assert shape in text
    path = tmp_path / f"{loss}.yaml"
    path.write_text(text.replace(shape, larger))
    with pytest.raises(SpecError, match=rf"families\.\d+\.shape: found {numbers} numbers, expected 16777216 at most"):
        load(path)
