"""The hunt: seeded and resumable, it finds narrow defects without being told, and nothing where nothing is wrong."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lossmark.dtypes import DTYPES
from lossmark.errors import LossmarkError
from lossmark.golden.counterexample import read
from lossmark.hunt.catch import Catch, recalled
from lossmark.hunt.climb import climb_of
from lossmark.hunt.examine import Examiner
from lossmark.hunt.ground import candidates, grounds
from lossmark.hunt.pool import leg
from lossmark.hunt.quarry import HUNTED, Quarry, quarries
from lossmark.hunt.record import read_hunt, write_hunt
from lossmark.hunt.shrink import shrunk
from lossmark.hunt.step import stepped
from lossmark.rooms import room
from lossmark.specification.inputs import draw
from lossmark.specification.library import losses
from lossmark.suite.answers import Answers
from lossmark.suite.plan import Choice
from tests.miniatures import HEAD
from tests.processes import lossmark

LOSSES = losses()
BPR = """
@impl.loss
def bpr(u, d_pos, d_neg, *, reduction="mean"):
    x = (u * d_neg).sum(-1) - (u * d_pos).sum(-1)
    return reduced({each}, reduction)
"""
GROWING = "np.logaddexp(0, x) * (1 + 2.0**-53 * 0.35 * np.where((x > 1) & (x < 2**20), np.log2(np.abs(x) + 1), 0))"
"""Off by ever more roundings up to scores of a million, beyond its bound from about ten thousand on; right above."""
BCE = """
@impl.loss
def bce_with_logits(logits, target, *, reduction="mean"):
    return {call}
"""
GUESTS = {
    "softplus goes linear at 20": (
        HEAD.format(framework="torch") + "import torch\n" + BPR.format(each="torch.nn.functional.softplus(x)"),
        "bpr", "float64", "eager",
    ),
    "XLA rounds inside softplus in float16": (
        HEAD.format(framework="tensorflow") + "import tensorflow as tf\n" + BCE.format(
            call='{"none": lambda l: l, "sum": tf.reduce_sum, "mean": tf.reduce_mean}[reduction]'
            "((1 - target) * tf.nn.softplus(logits) + target * tf.nn.softplus(-logits))"
        ),
        "bce_with_logits", "float16", "xla",
    ),
    "confident negatives": (
        HEAD.format(framework="torch") + "import torch\n" + BCE.format(
            call="torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction=reduction)"
        ),
        "bce_with_logits", "float32", "eager",
    ),
    "the logarithm of the sum is rounded": (
        HEAD.format(framework="torch") + """
import torch
@impl.loss
def cross_entropy(logits, target, *, reduction="mean"):
    return torch.nn.functional.cross_entropy(logits, target, reduction=reduction)
""",
        "cross_entropy", "bfloat16", "eager",
    ),
}  # fmt: skip
"""Defects of frameworks that the hunt is told nothing of: an implementation, and where it is hunted."""


@pytest.fixture(scope="module")
def answers():
    found = Answers()
    yield found
    found.close()


def quarry(source, loss, dtype="float32", mode="eager") -> Quarry:
    (found,) = quarries(LOSSES, Choice((str(source),), (loss,), "cpu", (dtype,), (mode,)))
    return found


def guest(tmp_path: Path, code: str) -> Path:
    path = tmp_path / "guest.py"
    path.write_text(code, encoding="utf-8")
    return path


def hunted(found: Quarry, evaluations: int, seed: int = 0, state=None):
    state, more = leg(found, seed, state, evaluations)
    assert not more
    return state


def finds(state) -> set[str]:
    return {row["check"] for row in state["worst"] if row["beyond"]}


def test_a_seed_gives_the_same_again_and_a_hunt_goes_on_where_it_was_left():
    for loss in ("bpr", "cross_entropy", "linear_cross_entropy"):
        found = quarry("numpy", loss)
        few, many = (8, 16) if LOSSES[loss].coupled else (300, 640)
        whole, half = hunted(found, many, 3), hunted(found, few, 3)
        assert half["evaluations"] < whole["evaluations"]
        assert hunted(found, many, 3) == whole == hunted(found, many, 3, json.loads(json.dumps(half)))
        assert hunted(found, many, 4) != whole


def random_rows(examiner: Examiner) -> list[float]:
    """What the rows of the spec's random families take of their bounds: 64 of each."""
    loss, dtype = examiner.loss, DTYPES[examiner.quarry.dtype]
    found = []
    for family in loss.families:
        if not family.params and not family.full:
            rows = list(candidates(loss, draw(loss, family, dtype)))[:64]
            found += [cells["value"].budget_used or 0.0 for cells in examiner(rows)]
    return found


def test_a_defect_that_no_random_row_shows_is_found_and_made_simple(tmp_path, answers):
    found = quarry(guest(tmp_path, HEAD.format(framework="numpy") + BPR.format(each=GROWING)), "bpr", "float64")
    examiner = Examiner(found, LOSSES["bpr"], answers)
    assert max(random_rows(examiner)) < 1
    state = hunted(found, 1024)
    assert finds(state) == {"value"}
    worst = max((recalled(examiner.loss, row) for row in state["worst"]), key=lambda catch: catch.budget_used)
    assert worst.budget_used > 1.3
    example = shrunk(examiner, worst)
    x = float(np.sum(example.case.inputs["u"] * (example.case.inputs["d_neg"] - example.case.inputs["d_pos"])))
    assert 1 < x < 2**20
    assert example.case.batch == 1
    numbers = np.concatenate([array.reshape(-1) for array in example.case.inputs.values()])
    assert np.count_nonzero(numbers) <= 4


def test_climbing_comes_nearer_to_a_bound_than_random_rows(answers):
    for loss in ("huber", "cross_entropy"):
        examiner = Examiner(quarry("numpy", loss), LOSSES[loss], answers)
        share = max(row["budget_used"] for row in hunted(examiner.quarry, 2048)["worst"] if row["check"] == "value")
        assert max(random_rows(examiner)) + 0.05 < share <= 1


@pytest.mark.parametrize("defect", GUESTS)
def test_it_is_told_nothing_of_what_frameworks_do(defect, tmp_path):
    code, loss, dtype, mode = GUESTS[defect]
    found = quarry(guest(tmp_path, code), loss, dtype, mode)
    assert finds(hunted(found, 640)) == {"value", "gradient"}


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_right_implementations_stay_within_their_bounds(dtype):
    for loss in LOSSES.values():
        state = hunted(quarry("numpy", loss.id, dtype), 8 if loss.coupled else 192)
        assert not finds(state), state["worst"]
        assert state["judged"] >= state["evaluations"] // 2
        assert {row["check"] for row in state["worst"]} == {*HUNTED}


def test_steps_keep_to_what_a_loss_is_defined_for():
    generator = np.random.default_rng(5)
    changed = 0
    for loss in LOSSES.values():
        for dtype in DTYPES.values():
            for ground in grounds(loss, dtype.name, alike=False):
                case = ground.starts[0]
                for _ in range(40):
                    before, case = case, stepped(loss, case, ground.starts[-1], dtype, generator)
                    changed += any((case.inputs[name] != array).any() for name, array in before.inputs.items())
                for item in loss.inputs:
                    array = case.inputs[item.name]
                    assert array.shape == ground.starts[0].inputs[item.name].shape
                    assert np.isfinite(array).all()
                    assert dtype.holds(array).all()
                    if item.label in ("hard", "soft"):
                        assert ((array >= 0) & (array <= 1)).all()
                    elif item.label == "index":
                        marked = array == loss.mark(item, case.params)
                        assert (marked | ((array >= 0) & (array < case.sizes[item.index]))).all()
                    elif not loss.signed(item):
                        given = np.concatenate([start.inputs[item.name] for start in ground.starts])
                        assert ((array >= 0) | np.isin(array, given)).all()
    assert changed > 1000


def test_compiled_modes_are_hunted_on_one_ground():
    for loss in LOSSES.values():
        (ground,) = grounds(loss, "float32", alike=True)
        assert len({case.shape for case in ground.starts}) == 1
        assert len({repr(case.params) for case in ground.starts}) == 1


def test_rows_of_the_file_give_the_same_numbers_again(tmp_path, answers):
    found = quarry("torch", "cross_entropy", "bfloat16")
    path = tmp_path / "hunt.json"
    write_hunt(path, 2, {found.key: hunted(found, 640, 2)})
    examiner = Examiner(found, LOSSES["cross_entropy"], answers)
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    assert {(row["impl"], row["loss"], row["dtype"], row["mode"]) for row in rows} == {found.key}
    assert len(rows) == 4
    for row in rows:
        catch = recalled(examiner.loss, row)
        cell = examiner([catch.case])[0][row["check"]]
        assert isinstance(catch, Catch)
        assert (cell.error_ulp, cell.budget_used) == (row["error_ulp"], row["budget_used"])
        assert cell.verdict == ("fail" if row["beyond"] else "pass")


def test_a_declared_difference_is_hunted_as_it_is_declared(tmp_path):
    code = (
        HEAD.format(framework="numpy")
        + """
@impl.loss("huber", deviates=Deviation(why="half of the spec's", scale=0.5))
def half(x, t, *, delta=1.0, reduction="mean"):
    d = np.abs(x - t)
    return reduced(np.where(d <= delta, d * d / 4, delta / 2 * (d - delta / 2)), reduction)
"""
    )
    state = hunted(quarry(guest(tmp_path, code), "huber", "float64"), 512)
    assert not finds(state)
    assert max(row["budget_used"] for row in state["worst"]) > 0.3
    assert finds(hunted(quarry(guest(tmp_path, code.replace("0.5)", "0.25)")), "huber", "float64"), 512)) == {"value"}


def test_a_function_that_raises_ends_its_hunt_with_the_reason(tmp_path):
    code = HEAD.format(framework="numpy") + BPR.format(each="1 / 0")
    state = hunted(quarry(guest(tmp_path, code), "bpr"), 4096)
    assert "ZeroDivisionError" in state["reason"]
    assert state["judged"] == 0
    assert state["worst"] == []


def test_a_file_of_another_seed_or_of_nothing_is_refused(tmp_path):
    path = tmp_path / "hunt.json"
    found = quarry("numpy", "huber")
    states = {found.key: hunted(found, 64)}
    write_hunt(path, 0, states)
    assert read_hunt(path, 0) == states
    with pytest.raises(LossmarkError, match="seed"):
        read_hunt(path, 1)
    path.write_text(path.read_text(encoding="utf-8").replace('"hunts"', '"other"'), encoding="utf-8")
    with pytest.raises(LossmarkError, match="not the file of a hunt"):
        read_hunt(path, 0)
    with pytest.raises(LossmarkError, match="not a row"):
        climb_of(found, LOSSES["huber"], 0, {**states[found.key], "worst": [{"check": "value", "by": "error_ulp"}]})


@pytest.mark.parametrize(
    "wrong",
    [{"losses": ("nothing",)}, {"dtypes": ("float8",)}, {"modes": ("nothing",)}, {"modes": ("jit",)}],
)
def test_what_nobody_knows_or_has_is_refused(wrong):
    with pytest.raises(LossmarkError, match=r"unknown|nothing to hunt"):
        quarries(LOSSES, Choice(**{"impls": ("numpy",), **wrong}))


def test_the_command_line(tmp_path):
    some = ("hunt", "--impl", "numpy", "--loss", "huber", "--loss", "contrastive", "--dtype", "float16", "--seed", 7)
    assert lossmark(*some, "--evaluations", 128, "-o", "whole.json", cwd=tmp_path).returncode == 0
    for evaluations in (64, 128):
        done = lossmark(*some, "--evaluations", evaluations, "-o", "again.json", "--format", "json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "whole.json").read_bytes() == (tmp_path / "again.json").read_bytes()
    assert json.loads(done.stdout) == json.loads((tmp_path / "again.json").read_text(encoding="utf-8"))["rows"]
    for wrong in (("--loss", "nothing"), ("--impl", "nothing"), ("--evaluations", 1, "--seconds", 1)):
        assert lossmark("hunt", *wrong, "-o", "wrong.json", cwd=tmp_path).returncode == 3, wrong
    assert not (tmp_path / "wrong.json").exists()


def test_what_is_beyond_its_bound_is_offered_as_a_case(tmp_path):
    code, loss, dtype, _ = GUESTS["the logarithm of the sum is rounded"]
    some = ("--impl", guest(tmp_path, code), "--loss", loss, "--dtype", dtype, "--seconds", 4)
    done = lossmark("hunt", *some, "-o", "hunt.json", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    command = next(line for line in done.stdout.splitlines() if "lossmark promote" in line).split()
    record = read(tmp_path / command[2])
    assert (record["loss"], record["impl"], record["dtype"]) == (loss, "mini", dtype)
    specs = tmp_path / "specs"
    shutil.copytree(room("specs"), specs)
    case = command[command.index("--id") + 1]
    promoted = lossmark("promote", command[2], "--id", case, "--why", "x", "--specs", specs, cwd=tmp_path)
    assert promoted.returncode == 0, promoted.stderr
    assert losses(specs)[loss].case(case) is not None
