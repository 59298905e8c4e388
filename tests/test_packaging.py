"""The wheel, built from the sdist, holds the five rooms and runs conformance outside the clone, other people's too."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def built(project, folder):
    """The wheel of a project, built from its sdist without a network."""
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(project)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_the_wheel_runs_conformance_on_its_own(tmp_path):
    wheel = built(ROOT, tmp_path)
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "lossmark/specs/bpr.yaml",
        "lossmark/specs/edges.yaml",
        "lossmark/specs/schema.json",
        "lossmark/specs/ids.json",
        "lossmark/specification/starter.yaml",
        "lossmark/impls/pytorch/starter.py",
        "lossmark/impls/jax_/losses.py",
        "lossmark/impls/peers/crosswalk.yaml",
        "lossmark/conformance/costs.json",
        "lossmark/conformance/crosswalk.yaml",
        "lossmark/conformance/expected.yaml",
        "lossmark/conformance/mutants.yaml",
        "lossmark/benchmarks/quick.py",
        "lossmark/reports/templates/index.html",
        "lossmark/py.typed",
    ):
        assert name in names
    site = tmp_path / "site"
    project = shutil.copytree(ROOT / "tests" / "third_party" / "distribution", tmp_path / "third_party")
    wheels = [str(wheel), str(built(project, tmp_path / "third_party_wheel"))]
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), *wheels]
    subprocess.run(install, check=True, capture_output=True)
    where = [sys.executable, "-c", "import lossmark; print(lossmark.__file__)"]
    environment = os.environ | {"PYTHONPATH": str(site), "LOSSMARK_REQUIRE": ""}
    found = subprocess.run(where, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment).stdout
    assert found.startswith(str(site))
    for impl, loss in (("numpy", "bpr"), ("plain", "contrastive")):
        command = [sys.executable, "-m", "pytest", "-q", "--pyargs", "lossmark.conformance", "-p", "no:cacheprovider"]
        command += ["--impl", impl, "--loss", loss]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        assert "0 fail, 0 error" in done.stdout
    command = [sys.executable, "-m", "lossmark", "list"]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment).stdout
    assert re.search(r"^plain +registered under lossmark.implementations$", found, re.MULTILINE)
    own = subprocess.run([sys.executable, "-c", OWN], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert "looks like a factor of one half (the mutant torch/bpr-half)" in own.stderr


OWN = """
import numpy as np
from lossmark.testing import assert_conforms, bound

inputs = {name: np.linspace(-1, k, 6).reshape(2, 3) for k, name in enumerate(("u", "d_pos", "d_neg"))}
assert_conforms("bpr", inputs, bound("bpr", inputs).exact / 2)
"""


def test_importing_lossmark_imports_no_framework():
    code = "import sys, lossmark.pytest_plugin; print([m for m in ('torch', 'tensorflow', 'jax') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
