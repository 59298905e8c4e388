"""The wheel, built from the sdist, holds the five rooms and runs conformance outside the clone."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_runs_conformance_on_its_own(tmp_path):
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "lossmark/specs/bpr.yaml",
        "lossmark/specs/edges.yaml",
        "lossmark/specs/schema.json",
        "lossmark/impls/jax_/losses.py",
        "lossmark/conformance/expected.yaml",
        "lossmark/conformance/mutants.yaml",
        "lossmark/benchmarks/quick.py",
        "lossmark/reports/templates/index.html",
        "lossmark/py.typed",
    ):
        assert name in names
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    where = [sys.executable, "-c", "import lossmark; print(lossmark.__file__)"]
    environment = os.environ | {"PYTHONPATH": str(site), "LOSSMARK_REQUIRE": ""}
    found = subprocess.run(where, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment).stdout
    assert found.startswith(str(site))
    run = [sys.executable, "-m", "pytest", "-q", "--pyargs", "lossmark.conformance", "--impl", "numpy", "--loss", "bpr"]
    done = subprocess.run(run, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "0 fail, 0 error" in done.stdout
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
