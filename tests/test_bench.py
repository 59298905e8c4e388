"""Benchmarks: the figures are what they say, and only what conforms gets one."""

import json
import os
import signal
import sys

import numpy as np
import pandas as pd
import pytest

from lossmark.adapters.installed import framework, framework_version
from lossmark.adapters.registry import peers
from lossmark.rooms import room
from lossmark.sandbox import peak_memory as memory
from lossmark.sandbox.messages import Failure, Staged, Streamed, Streaming
from lossmark.sandbox.process import Worker
from lossmark.sandbox.target import targets
from lossmark.specification.library import losses
from lossmark.timing.bench import Field, candidates_of
from lossmark.timing.exercise import Exercise
from lossmark.timing.grid import Group
from lossmark.timing.machine_limit import Ceilings, DeviceCeiling, Limit
from tests.miniatures import HEAD
from tests.processes import awaited, finished, lossmark, started

WRONG = HEAD.format(framework="numpy") + "@impl.loss\ndef bpr(u, d_pos, d_neg):\n    return np.float32(0.5)\n"


def test_peak_memory_is_that_of_a_known_allocation():
    assert memory.peak(lambda: None) == pytest.approx(0, abs=1 << 20)
    size = 100 << 20
    assert memory.peak(lambda: np.ones(size, np.uint8)) == pytest.approx(size, rel=0.02)

    def passing():
        return np.ones(size, np.uint8).sum() and np.ones(size // 4, np.uint8)  # the peak, not the end

    assert memory.peak(passing) == pytest.approx(size, rel=0.02)


def test_the_slowest_of_memory_and_arithmetic_is_the_limit():
    assert Limit(read=1.0, written=2.0, arithmetic=0.5, transcendental=0.0).seconds == 3.0
    assert Limit(read=1.0, written=2.0, arithmetic=0.5, transcendental=4.0).seconds == 4.0
    for backward in (False, True):
        exercise = Exercise(losses()["bpr"], (64, 16), backward=backward)
        written = exercise.loss.gradient_of if backward else ()
        ceilings = Ceilings(exercise.batches, written, 1, exercise.cost)
        found = ceilings.measure()
        ceilings.close()
        assert found.read > 0
        assert (found.written > 0) == backward
        assert 0 < found.arithmetic < found.seconds
        assert found.transcendental > 0


def test_sizes_whose_pairs_do_not_fit_are_left_out_with_the_reason():
    loss = losses()["info_nce"]
    assert Exercise(loss, (1 << 11, 16)).too_large == ""
    assert Exercise(loss, (1 << 14, 16)).too_large == "too many pairs: 16384^2, and the most is 4194304"
    assert Exercise(losses()["bpr"], (1 << 18, 16)).too_large == ""
    assert Exercise(losses()["bpr"], (1 << 18, 1024)).too_large == "too large"


def test_pairs_cost_the_square_of_the_batch():
    few, many = (Exercise(losses()["info_nce"], (batch, 16)).cost for batch in (64, 128))
    assert 3.9 < many.transcendental / few.transcendental < 4.1
    assert many.bytes < 2.1 * few.bytes


def test_large_inputs_are_mapped_from_files_while_they_are_needed():
    exercise = Exercise(losses()["labeled_triplet"], (1 << 13, 256), "bfloat16")
    stage = exercise.stage("torch", "eager", "cpu")
    for shared, own in zip(stage.batches, exercise.batches, strict=True):
        assert shared.keys() == own.keys()
        for name, stored in shared.items():
            found = stored.mapped()
            assert found.dtype == own[name].dtype
            np.testing.assert_array_equal(found, own[name])
            with pytest.raises(ValueError, match="read-only"):
                found[0] = 0
    path = stage.batches[0]["label"].path
    assert path.is_file()
    del exercise, stage
    assert not path.parent.exists()
    small = Exercise(losses()["bpr"], (64, 16))
    assert small.stage("torch", "eager", "cpu").batches is small.batches


def test_rows_have_every_figure_and_the_rest_a_reason(tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text(WRONG)
    found = [*targets(("numpy", "numpy-fused")), *targets((str(path),))]
    with Field(candidates_of(found), "default") as field:
        rows = {row.impl: row for row in field.measure(Group(losses()["bpr"], (1 << 15, 256)), 3, 5.0)}
    assert "no gradient" in rows["mini"].reason
    assert np.isnan(rows["mini"].seconds)
    fused = rows["numpy-fused"]
    assert fused.low <= fused.seconds <= fused.high
    assert fused.ratio_low <= fused.ratio <= fused.ratio_high
    assert rows["numpy"].ratio == 1
    assert fused.limit > 0
    assert fused.results == 3 * 4 << 23
    assert np.isnan(fused.traffic)
    assert fused.peak < 1.1 * fused.results < 1.5 * fused.results < rows["numpy"].peak
    with Field(candidates_of(found), "warm") as field:
        forward = {row.impl: row for row in field.measure(Group(losses()["bpr"], (64, 16), backward=False), 3, 1.0)}
    assert forward["mini"].reason.startswith("does not conform")


def test_results_are_kept_and_gone_on_with(tmp_path):
    options = ("bench", "--impl", "numpy", "--impl", "numpy-fused", "--size", "64x16", "-o", "b.parquet")
    done = lossmark(*options, "--loss", "bpr", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first = pd.read_parquet(tmp_path / "b.parquet")
    assert len(first) == 2
    assert first.attrs["environment"]["cores"] >= 1
    assert first["seconds"].notna().all()
    done = lossmark(*options, "--loss", "bpr", "--loss", "contrastive", "--resume", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    both = pd.read_parquet(tmp_path / "b.parquet")
    assert both["loss"].tolist() == ["bpr", "bpr", "contrastive", "contrastive"]
    assert both["seconds"][:2].tolist() == first["seconds"].tolist()


def test_what_is_asked_for_alone_is_timed(tmp_path):
    options = ("bench", "--impl", "numpy", "--loss", "bpr", "--size", "64x16", "-o", "b.parquet")
    done = lossmark(*options, "--full", "--dtype=float64", "--pass=fwd", "--allocator=default", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = pd.read_parquet(tmp_path / "b.parquet").to_dict("records")
    assert (row["dtype"], row["passes"], row["allocator"]) == ("float64", "fwd", "default")
    for nothing in (("--dtype", "float23"), ("--allocator", "default"), ("--mode", "jit"), ("--mode", "fast")):
        done = lossmark(*options, *nothing, cwd=tmp_path)
        assert done.returncode == 3
        assert len(done.stderr.strip().splitlines()) == 1


MEMORY = {"torch": lambda x: x.numpy(), "tensorflow": lambda x: np.asarray(memoryview(x)), "jax": np.asarray}
"""The memory of a tensor itself, as an array."""


@pytest.mark.parametrize("name", MEMORY)
def test_a_copy_lies_in_memory_of_its_own(name):
    if framework_version(name) is None:
        pytest.skip(f"{name} is not installed")
    adapter = framework(name)
    held = MEMORY[name]
    x = adapter.from_numpy(np.arange(1 << 12, dtype=np.float32))
    copy = adapter.copied(x)
    assert np.shares_memory(held(x), held(x))
    assert not np.shares_memory(held(x), held(copy))
    np.testing.assert_array_equal(held(copy), held(x))


def test_the_limit_of_a_device_is_the_least_bytes_at_the_bandwidth_of_its_copies():
    exercise = Exercise(losses()["bpr"], (64, 16))
    (target,) = targets(("torch",))
    worker = Worker(target.reference)
    try:
        assert isinstance(worker.run(exercise.stage(target.name, "eager", "cpu")), Staged)
        found = worker.run(Streaming())
        assert isinstance(found, Streamed)
        assert 0 < found.bandwidth < np.inf
        worker.run = lambda message: Streamed(2e9)
        ceiling = DeviceCeiling(worker, exercise.cost)
        assert ceiling.measure().seconds == exercise.cost.bytes / 2e9
        worker.run = lambda message: Failure("crashed")
        assert np.isnan(ceiling.measure().seconds)
    finally:
        worker.stop()


def test_where_there_is_no_gpu_nothing_is_timed_on_it(tmp_path):
    command = ("bench", "--impl", "numpy", "--loss", "bpr", "--size", "64x16", "--device", "gpu", "-o", "b.parquet")
    done = lossmark(*command, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert done.stderr.strip() == "lossmark: nothing was timed"
    rows = pd.read_parquet(tmp_path / "b.parquet")
    assert set(rows["device"]) == {"gpu"}
    assert set(rows["reason"]) == {"there is no gpu"}


def test_an_interrupt_keeps_what_is_measured(tmp_path):
    command = [sys.executable, "-m", "lossmark", "bench", "--impl", "numpy", "--size", "64x16", "-o", "b.parquet"]
    with started(command, cwd=tmp_path) as run:
        awaited((tmp_path / "b.parquet").exists)
        run.send_signal(signal.SIGINT)
        out, _ = run.communicate(timeout=60)
    assert run.returncode in (0, 2)
    assert len(pd.read_parquet(tmp_path / "b.parquet")) >= 1
    assert run.returncode == 0 or b"--resume" in out
    assert not list(tmp_path.glob(".b.parquet*"))


def test_the_catalogue_speaks_the_language_of_pytest_benchmark(tmp_path):
    command = [sys.executable, "-m", "pytest", str(room("benchmarks")), "-q", "-p", "no:cacheprovider"]
    chosen = ["-k", "bpr-64x16-float32-fwd+bwd and numpy-eager", "--benchmark-json", str(tmp_path / "b.json")]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    done = finished([*command, *chosen], cwd=tmp_path, env=alone)  # where it sees pytest-xdist it switches itself off
    assert done.returncode == 0, done.stdout[-2000:]
    (found,) = json.loads((tmp_path / "b.json").read_text())["benchmarks"]
    assert found["stats"]["rounds"] == 10
    assert 1e-6 < found["stats"]["median"] < 1
    assert found["extra_info"]["first_call"] > 0


@pytest.mark.parametrize(("framework", "plain", "fused"), [("torch", 2.1, 1.6), ("jax", 1.7, 1.2)])
def test_traffic_and_programs_are_counted(framework, plain, fused):
    if not framework_version(framework):
        pytest.skip(f"{framework} is not installed")
    field = candidates_of(targets((framework, f"{framework}-fused")), modes=("eager",))
    with Field(field, "warm") as processes:
        rows = {row.impl: row for row in processes.measure(Group(losses()["bpr"], (4096, 64)), 3, 1.0)}
    assert rows[framework].traffic == pytest.approx(plain, rel=0.1)
    assert rows[f"{framework}-fused"].traffic == pytest.approx(fused, rel=0.15)


def test_peers_are_found_and_held_to_the_specs_by_name(tmp_path):
    assert {"keras-rs", "optax", "recbole", "tensorflow-addons", "torch-nn"} <= set(peers())
    if framework_version("torch"):
        done = lossmark("check", "--impl", "recbole", "--case", "bpr/large*", "--dtype", "float32", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "pass, " in done.stdout
        assert ", 0 deviates" not in done.stdout
