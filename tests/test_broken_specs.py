"""Broken spec files are refused in one line that names the place, with exit code 3 and no traceback."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from lossmark.rooms import room

TEXT = (room("specs") / "contrastive.yaml").read_text()
FORMULA = 'loss: "y*d**2 + (1 - y)*max(margin - d, 0)**2"'
DISTANCES = 'd: ["0x1p-1"]'


def _replaced(old: str, new: str) -> Callable[[], bytes]:
    assert old in TEXT
    return lambda: TEXT.replace(old, new, 1).encode()


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
