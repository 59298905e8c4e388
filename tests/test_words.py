"""Words for those who start: what fits no loss is refused in a sentence, what fits in another way is taken."""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lossmark import Implementation
from lossmark.adapters.arguments import Arguments, Renamed, arguments
from lossmark.adapters.installed import framework_version
from lossmark.errors import LoadError
from lossmark.sandbox.fit import misfit
from lossmark.sandbox.target import targets
from lossmark.specification.library import losses
from tests.miniatures import HEAD
from tests.test_conformance import conformance, held

NUMPY = HEAD.format(framework="numpy")
REFUSED = {
    "no loss, and one near": ("@impl.loss\ndef bpr_loss(u, d_pos, d_neg): ...", "the nearest is 'bpr'"),
    "no loss, and none near": (
        "@impl.loss\ndef ctc(u): ...",
        "registers the loss 'ctc', which is no loss: losses are b",
    ),
    "no loss beside one": (
        "@impl.loss\ndef bpr(u, d_pos, d_neg): ...\n@impl.loss\ndef BPRLoss(u): ...",
        "registers the loss 'BPRLoss', which is no loss: the nearest is 'bpr'",
    ),
    "a gradient of no loss": ('@impl.gradient("triplet")\ndef g(u): ...', "the nearest is 'labeled_triplet'"),
    "other names": (
        "@impl.loss\ndef bpr(user, item_pos, item_neg): ...",
        '@impl.loss("bpr", names={"u": "user", "d_pos": "item_pos", "d_neg": "item_neg"}) maps them',
    ),
    "other names, in another order": (
        "@impl.loss\ndef bpr(negative, positive, query, **options): ...",
        'names={"u": "query", "d_pos": "positive", "d_neg": "negative"}',
    ),
    "labels first": (
        "@impl.loss\ndef contrastive(y_true, y_pred): ...",
        'names={"d": "y_pred", "y": "y_true"}',
    ),
    "one name is missing": (
        '@impl.loss("bpr", names={"u": "user"})\ndef f(user, pos, d_neg): ...',
        'names={"u": "user", "d_pos": "pos"}',
    ),
    "a gradient by other names": (
        '@impl.gradient("contrastive")\ndef g(distance, y): ...',
        '@impl.gradient("contrastive", names={"d": "distance"})',
    ),
    "too few": ("@impl.loss\ndef bpr(user, item): ...", "it has nothing that could be 'd_neg'"),
    "one more": ("@impl.loss\ndef bpr(u, d_pos, d_neg, tau): ...", "requires 'tau', which bpr(u, d_pos,"),
    "by position": ("@impl.loss\ndef contrastive(d, y, /): ...", "requires 'd', 'y' in a way that no keyword reaches"),
    "names of nothing": ('@impl.loss("bpr", names={"usr": "u"})\ndef f(u): ...', "names for 'usr', which bpr does not"),
    "names for nothing": ('@impl.loss("bpr", names={"u": "user"})\ndef f(u): ...', "does not take 'user'"),
    "a class": (
        'class C:\n    def __call__(self, d, y): ...\nimpl.loss("contrastive")(C)',
        "is a class and is called with d, y: register an object of it",
    ),
    "an object without a name": ("class C:\n    def __call__(self, d, y): ...\nimpl.loss(C())", 'loss("ID")(…) gives'),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_fits_no_loss_is_refused_in_a_sentence(name, tmp_path):
    source, words = REFUSED[name]
    (tmp_path / "mini.py").write_text(NUMPY + source)
    with pytest.raises(LoadError) as error:
        targets((str(tmp_path / "mini.py"),))
    assert words in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "mini.py"))


@pytest.mark.parametrize(
    "command",
    ["check --impl mini.py", "compare numpy mini.py", "bench --impl mini.py", "gate --base numpy --impl mini.py",
     "gate --base mini.py --impl numpy"],
)  # fmt: skip
def test_every_command_refuses_it(command, tmp_path):
    (tmp_path / "mini.py").write_text(NUMPY + "@impl.loss\ndef bpr_loss(u, d_pos, d_neg): ...")
    done = subprocess.run(
        [sys.executable, "-m", "lossmark", *command.split()], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "mini registers the loss 'bpr_loss', which is no loss: the nearest is 'bpr'" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_pytest_refuses_it(tmp_path):
    (tmp_path / "mini.py").write_text(NUMPY + "@impl.loss\ndef bpr_loss(u, d_pos, d_neg): ...")
    done = conformance("--impl", "mini.py", cwd=tmp_path)
    assert done.returncode == 3
    assert "the nearest is 'bpr'" in done.stdout + done.stderr


RENAMED = """
MAP = {"d": "distance", "y": "same", "margin": "width", "reduction": "how"}
def prepared(distance, same):
    floating(distance)
    if distance.shape != same.shape: raise ValueError("shapes")
    w = np.float64 if distance.dtype == np.float64 else np.float32
    return distance.astype(w), same.astype(w)
@impl.loss("contrastive", names=MAP)
def f(distance, same, *, width=1.0, how="mean"):
    d, y = prepared(distance, same)
    l = y * d**2 + (1 - y) * np.maximum(d.dtype.type(width) - d, 0) ** 2
    return np.asarray(reduced(l, how)).astype(distance.dtype)
@impl.gradient("contrastive", names=MAP)
def g(distance, same, *, width=1.0, how="mean"):
    d, y = prepared(distance, same)
    g = 2 * y * d - 2 * (1 - y) * np.maximum(d.dtype.type(width) - d, 0)
    return {"d": (g / (len(d) if how == "mean" else 1)).astype(distance.dtype)}
assert f.__name__ == "f" and impl.losses["contrastive"](d=np.ones(2), y=np.ones(2), reduction="sum") == 2
"""


def test_names_map_inputs_parameters_and_the_reduction(tmp_path):
    done, results = held(NUMPY + RENAMED, tmp_path, "--dtype", "float64", "--dtype", "float32")
    assert done.returncode == 0, done.stdout[-2000:]
    assert not results.counts["unsupported"]
    passed = {cell.check for cell in results.cells if cell.verdict == "pass"}
    assert {"value", "gradient", "refusal", "arguments", "defaults", "state"} <= passed


TORCH = (
    HEAD.format(framework="torch")
    + """
import torch
class Contrastive(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("one", torch.ones(()))
    def forward(self, {d}, {y}):
        if {d}.shape != {y}.shape or not {d}.is_floating_point(): raise ValueError("shapes, or dtypes")
        w = torch.float64 if {d}.dtype == torch.float64 else torch.float32
        d, y = {d}.to(w), {y}.to(w)
        return (y * d**2 + (1 - y) * torch.relu(self.one.to(w) - d) ** 2).mean().to({d}.dtype)
"""
)
MODULES = {
    "a module": TORCH.format(d="d", y="y") + 'impl.loss("contrastive")(Contrastive())',
    "a module with other names": TORCH.format(d="x", y="target")
    + 'impl.loss("contrastive", names={"d": "x", "y": "target"})(Contrastive())',
    "a compiled module": TORCH.format(d="d", y="y")
    + 'impl.loss("contrastive")(torch.compile(Contrastive(), backend="eager"))',
}


@pytest.mark.skipif(framework_version("torch") is None, reason="the modules are torch's")
@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_held_to_the_mean(name, tmp_path):
    options = ("--dtype", "float32", "--case", "contrastive/[wg]*", "--mode", "eager")
    options += () if "compiled" in name else ("--mode", "compile")
    done, results = held(MODULES[name], tmp_path, *options)
    assert done.returncode == 0, done.stdout[-2000:]
    assert results.counts["pass"] > 10
    assert not results.counts["fail"] + results.counts["error"]


KERAS = (
    HEAD.format(framework="tensorflow")
    + """
import keras
class Contrastive(keras.losses.Loss):
    def call(self, {first}, {second}):
        y = keras.ops.cast({y}, {d}.dtype)
        return y * {d}**2 + (1 - y) * keras.ops.relu(1 - {d}) ** 2
"""
)
KERAS_LOSSES = {
    "by Keras' names": KERAS.format(first="y_true", second="y_pred", d="y_pred", y="y_true")
    + 'impl.loss("contrastive", names={"d": "y_pred", "y": "y_true"})(Contrastive())',
    "by its own names": KERAS.format(first="d", second="y", d="d", y="y") + 'impl.loss("contrastive")(Contrastive())',
    "by names for its own": KERAS.format(first="same", second="d", d="d", y="same")
    + 'impl.loss("contrastive", names={"y": "same"})(Contrastive())',
}


@pytest.mark.parametrize("name", KERAS_LOSSES)
def test_a_keras_loss_is_held_to_the_mean(name, tmp_path):
    pytest.importorskip("keras")
    options = ("--dtype", "float32", "--case", "contrastive/worked")
    done, results = held(KERAS_LOSSES[name], tmp_path, *options)
    assert done.returncode == 0, done.stdout[-2000:]
    assert results.counts["pass"] >= 4


def test_what_an_object_takes_is_found_without_its_framework():
    def plain(u, *, margin=1.0): ...

    @functools.wraps(plain)
    def handing_on(*given, **keywords): ...

    @functools.wraps(plain)
    def naming(query, **keywords): ...

    class Forwards:
        def __call__(self, *given, **keywords): ...

        def forward(self, u, margin=1.0): ...

    taken = Arguments(("u", "margin"), ("u",))
    assert [arguments(each) for each in (plain, handing_on, Forwards())] == [taken] * 3
    assert arguments(functools.partial(plain, margin=2.0)) == taken
    assert arguments(Renamed(plain, {"x": "u"})) == Arguments(("x", "margin"), ("x",))
    assert arguments(lambda *a, **k: None).takes("anything")
    assert misfit(lambda *a, **k: None, losses()["bpr"]) == ""


def test_names_are_names():
    impl = Implementation("mini", framework="numpy")
    with pytest.raises(TypeError, match="names of bpr must be like"):
        impl.loss("bpr", names=["u"])(print)
    with pytest.raises(ValueError, match="gives two arguments one name"):
        impl.loss("bpr", names={"u": "x", "d_pos": "x"})(print)
    with pytest.raises(TypeError, match="must be a function, got 3"):
        impl.loss(3)


def test_what_always_raises_passes_nothing(tmp_path):
    source = "@impl.loss\ndef {name}(d, y, *, reduction='mean'):\n    1 / 0\n".format(name="contrastive")
    done, results = held(NUMPY + source, tmp_path, "--dtype", "float32")
    assert done.returncode == 1
    assert results.counts["pass"] == 0
    found = {cell.check: cell for cell in results.cells if cell.verdict == "not-run"}
    assert {"unmodified", "labels", "empty", "arguments", "deterministic", "state", "refusal"} <= set(found)
    assert "ZeroDivisionError" in found["unmodified"].detail


@pytest.mark.skipif(framework_version("torch") is None, reason="numpy has no second derivatives")
def test_second_derivatives_of_what_has_no_first_are_not_refused(tmp_path):
    source = "@impl.loss\ndef contrastive(d, y):\n    raise ValueError('never')\n"
    _, results = held(HEAD.format(framework="torch") + source, tmp_path, "--dtype", "float32")
    assert results.counts["pass"] == 0
    assert {cell.verdict for cell in results.cells if cell.check == "curvature"} == {"not-run"}


def test_a_run_warns_of_nothing(tmp_path):
    command = [sys.executable, "-m", "lossmark", "check", "--impl", "numpy", "--case", "bpr/worked"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "arning" not in done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
@pytest.mark.parametrize(("target", "where"), [("report", "reports/out/index.html"), ("test", "conformance.jsonl")])
def test_make_says_first_what_it_does_how_long_and_where_the_result_will_be(target, where):
    root = Path(__file__).parents[1]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "-n", "-B", "--no-print-directory", target]
    done = subprocess.run(command, cwd=root, env=alone, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    first, second = lines[:2]
    assert first.startswith("echo")
    assert where in first
    assert "minutes" in first
    assert "minutes the first time" in second
