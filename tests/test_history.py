"""A history keeps what it is given, whole, and shows when a level changed."""

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd
import pytest

from lossmark.errors import LossmarkError
from lossmark.results import history
from tests.processes import lossmark


def gate(folder, number, value, cpu="a"):
    """The file of a gate with one benchmark."""
    environment = {"cpu": cpu, "cores": 2, "date": f"2026-11-{number + 1:02}T00:00:00+00:00"}
    race = {"name": "bpr/mini/eager/64x16/fwd", "ratio": {"median": value}}
    path = folder / f"gate-{number}-{cpu}.json"
    path.write_text(json.dumps({"kind": "gate", "environment": environment, "benchmarks": [race]}))
    return path


def kept(folder, values, cpu="a"):
    for number, value in enumerate(values):
        history.add([gate(folder, number, value, cpu)], folder / "history")
    return history.series(history.runs(folder / "history"))


def test_a_step_is_found_where_it_is(tmp_path):
    noise = np.random.default_rng(1).normal(0, 0.01, 20)
    (series,) = kept(tmp_path, np.exp(noise) * np.where(np.arange(20) < 12, 1.0, 1.1))
    (step,) = series.steps
    assert step.after / step.before == pytest.approx(1.1, rel=0.02)
    assert step.run == history.runs(tmp_path / "history")[12].name


def test_noise_is_no_step_and_a_creeping_change_is_one(tmp_path):
    noise = np.random.default_rng(2).normal(0, 0.01, 24)
    (level,) = kept(tmp_path, np.exp(noise))
    assert not level.steps
    other = tmp_path / "other"
    other.mkdir()
    (creeping,) = kept(other, np.exp(noise / 3 + 0.01 * np.arange(24)))
    assert creeping.steps
    assert creeping.steps[-1].after / creeping.steps[0].before > 1.1


def test_machines_are_never_laid_side_by_side(tmp_path):
    kept(tmp_path, [1.0] * 6)
    found = kept(tmp_path, [2.0] * 6, cpu="b")
    assert len(found) == 2
    assert not any(series.steps for series in found)
    with pytest.raises(LossmarkError, match="different machines"):
        history.add([gate(tmp_path, 1, 1.0, "a"), gate(tmp_path, 1, 1.0, "b")], tmp_path / "history")


def test_two_writers_lose_nothing_and_leave_no_draft(tmp_path):
    paths = [gate(tmp_path, number, 1.0 + number / 100) for number in range(12)]
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(history.add, [[path] for path in paths * 2], [tmp_path / "history"] * 24))
    assert len(history.runs(tmp_path / "history")) == 12
    assert not list((tmp_path / "history").glob(".*"))


@pytest.mark.parametrize("broken", ["{}", "", '{"kind": "header"}\n', "PAR1"])
def test_what_is_no_result_is_refused(broken, tmp_path):
    for name in ("x.json", "x.jsonl", "x.parquet"):
        (tmp_path / name).write_text(broken)
        with pytest.raises(LossmarkError):
            history.add([tmp_path / name], tmp_path / "history")
    assert not list(tmp_path.glob("history/*"))


def test_a_file_cut_short_is_said_and_not_left_out(tmp_path):
    kept(tmp_path, [1.0, 1.0])
    path = next((tmp_path / "history").glob("run-*"))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(LossmarkError, match="no run of a history"):
        history.runs(tmp_path / "history")
    pd.DataFrame({"series": [], "figure": [], "value": []}).to_parquet(path)
    with pytest.raises(LossmarkError, match="no run of a history"):
        history.runs(tmp_path / "history")


def test_the_command_line_keeps_and_shows(tmp_path):
    for number in range(8):
        history.add([gate(tmp_path, number, 1.0 + (number > 3))], tmp_path / history.HISTORY_FOLDER)
    assert lossmark("history", "add", gate(tmp_path, 8, 2.0), cwd=tmp_path).returncode == 0
    listed = lossmark("history", "list", cwd=tmp_path)
    assert listed.returncode == 0
    assert listed.stdout.count("run-") == 9
    shown = lossmark("history", "show", "--format", "json", cwd=tmp_path)
    (series,) = json.loads(shown.stdout)
    assert len(series["steps"]) == 1
    assert lossmark("history", "list", "--folder", "nowhere", cwd=tmp_path).returncode == 3
