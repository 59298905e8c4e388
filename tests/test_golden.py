"""The golden values agree with a second derivation, and every digit is guarded."""

import math
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from mpmath import mpf

from lossmark.golden.certified import certified
from lossmark.golden.verify import check
from lossmark.rooms import room
from lossmark.specification.assemble import load
from lossmark.specification.hexfloat import parse
from lossmark.specification.library import losses
from lossmark.specification.model import Between
from tests.independent import LOSSES
from tests.independent_classes import DIVISORS
from tests.independent_pairs import BATCHES, in_rows

FINITE = [
    case
    for loss in losses().values()
    for case in loss.cases
    if case.error is None and case.few is None and all(np.isfinite(array).all() for array in case.inputs.values())
]
"""Those in structured rows are held to the same cases written out: ``test_structured``."""


def _near(text, exact):
    """Whether a golden leaf is the float64 nearest to the independent value (or a set that holds it)."""
    numbers = [parse(x) for x in (text.between if isinstance(text, Between) else getattr(text, "one_of", [text]))]
    if isinstance(text, Between):
        return numbers[0] <= exact <= numbers[1]
    nearest = float(exact)
    return any(x == nearest or (math.isinf(x) and abs(exact) > mpf(2) ** 1024 * (1 - mpf(2) ** -54)) for x in numbers)


def _of_one_example(loss, case, name, row):
    """What one example takes of an input: its row, or all of what examples share; the number of a class as an int."""
    array = case.inputs[name][row] if case.by_example(name) else case.inputs[name]
    if name in loss.indices:
        return int(array)
    return np.vectorize(mpf, otypes=[object])(array).tolist()


def _flat(numbers):
    """The numbers of a nested list, or a number by itself, in the order of memory."""
    return [x for part in numbers for x in _flat(part)] if isinstance(numbers, list) else [numbers]


def _agree(golden, slopes, place):
    for text, exact in zip(_flat(golden), _flat(slopes), strict=True):
        assert _near(text, exact), (place, text, exact)


@pytest.mark.parametrize("case", FINITE, ids=[case.id for case in FINITE])
def test_golden_values_agree_with_an_independent_derivation(case):
    loss = losses()[case.loss]
    params = {name: x if isinstance(x, str) else mpf(x) for name, x in loss.params(case.params).items()}
    expect = case.golden.expect
    coupled = in_rows(case.loss, case.inputs, params) if case.loss in BATCHES else None
    total, divisor = mpf(0), mpf(0)
    of_all = {}
    for row in range(case.batch):
        arguments = {name: _of_one_example(loss, case, name, row) for name in case.inputs}
        value, gradient = coupled[row] if coupled else LOSSES[case.loss](**arguments, **params)
        total += value
        divisor += DIVISORS[case.loss](**arguments, **params) if case.loss in DIVISORS else 1
        assert _near(expect.value[row], value), (row, expect.value[row], value)
        for name, slopes in gradient.items():
            if case.by_example(name):
                _agree(expect.grad[name][row], slopes, (row, name))
            else:
                before = of_all.get(name, [0] * len(_flat(slopes)))
                of_all[name] = [x + y for x, y in zip(before, _flat(slopes), strict=True)]
    for name, slopes in of_all.items():
        _agree(expect.grad[name], slopes, name)
    assert _near(expect.mean, total / divisor) if divisor else np.isnan(parse(expect.mean))


def test_there_are_enough_cases_of_each_class():
    for loss in losses().values():
        classes = [case.case_class for case in loss.cases]
        assert len(classes) >= 20
        assert min(classes.count(name) for name in ("exact-dyadic", "generic", "adversarial")) >= 4
        sizes = {tuple(case.sizes.values()) for case in loss.cases if case.error is None}
        widths = {()} if loss.widens else {size[1:] for size in sizes}  # which no zeros make alike
        assert len(sizes) <= 5 + len(widths) * len(loss.axes[1:] or "1")


def test_the_figures_of_tensorflow_addons():
    """tfa.losses.ContrastiveLoss, its documented test: every digit that it prints."""
    import lossmark

    contrastive = lossmark.load("numpy").losses["contrastive"]
    d, y = np.array([0.1, 0.3, 1.3, 0.7, 1.1, 0.5]), np.array([0, 0, 1, 1, 0, 1])
    found = [f"{x:.6f}" for x in contrastive(d, y, reduction="none")]
    assert found == ["0.810000", "0.490000", "1.690000", "0.490000", "0.000000", "0.250000"]
    assert f"{contrastive(d, y):.9f}".startswith("0.621666")
    assert f"{contrastive(d, y, margin=2.0):.9f}".startswith("1.623333")


def _certify(folder):
    command = [sys.executable, "-m", "lossmark", "certify", "--check", "--specs", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_one_changed_digit_is_found_and_named(tmp_path):
    text = (room("specs") / "bpr.yaml").read_text()
    start = text.index("value: [", text.index("bpr/generic-unit"))
    digit = re.search(r"0x1\.([0-9a-f]+)p", text[start:])
    at = start + digit.end(1) - 1
    changed = text[:at] + ("2" if text[at] != "2" else "6") + text[at + 1 :]
    (tmp_path / "bpr.yaml").write_text(changed)
    done = _certify(tmp_path)
    assert done.returncode == 1
    assert "bpr/generic-unit" in done.stderr


def test_every_golden_number_is_guarded(tmp_path):
    """Whatever single expected number of a spec is changed, the check objects (sampled: every 40th number)."""
    path = tmp_path / "contrastive.yaml"
    text = (room("specs") / "contrastive.yaml").read_text()
    numbers = [
        m
        for m in re.finditer(r'"(-?0x1\.[0-9a-f]+)(p[+-]\d+)"', text)
        if text.rfind("expect:", 0, m.start()) > text.rfind("inputs:", 0, m.start())
    ]
    assert len(numbers) > 100
    for match in numbers[::40]:
        last = match.end(1) - 1
        path.write_text(text[:last] + ("2" if text[last] != "2" else "6") + text[last + 1 :])
        assert list(check(load(path))), match.group()


def test_comments_and_order_survive(tmp_path):
    original = (room("specs") / "contrastive.yaml").read_text()
    text = "# a comment that must stay\n" + original
    (tmp_path / "contrastive.yaml").write_text(text)
    shutil.copy(room("specs") / "bpr.yaml", tmp_path)
    command = [sys.executable, "-m", "lossmark", "certify", "--specs", str(tmp_path)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert (tmp_path / "contrastive.yaml").read_text() == text


def test_a_kink_is_a_set():
    loss = losses()["pairwise_hinge"]
    truth = certified(loss, loss.case("pairwise_hinge/kink"))
    assert {"between": ["0x0p+0", "0x1p+0"]} in [leaf for row in truth.grad["d_neg"] for leaf in row]
