"""Workflows that others use: the plan of the matrix, what each step does, and that all of them are well formed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lossmark.results.record import read
from tests.sites import cell
from tests.test_merge import part

ROOT = Path(__file__).parents[1]
MATRIX = ROOT / ".github" / "workflows" / "matrix.yml"
TEMPLATES = sorted((ROOT / "docs" / "howto" / "workflows").glob("*.yml"))
RENT = ROOT / "docs" / "howto" / "rent-a-gpu.sh"


def step(job, name):
    steps = YAML(typ="safe").load(MATRIX)["jobs"][job]["steps"]
    (found,) = [each for each in steps if each.get("name") == name]
    return found


def planned(folder, **changed):
    """What the plan of the matrix puts out, with the defaults of the inputs."""
    inputs = YAML(typ="safe").load(MATRIX)["on"]["workflow_call"]["inputs"]
    given = {name.upper(): str(inputs[name]["default"]) for name in ("frameworks", "machines", "shards")} | changed
    output = folder / "output"
    output.write_text("")
    done = subprocess.run(
        [sys.executable, "-c", step("plan", "Plan")["run"]], env=os.environ | given | {"GITHUB_OUTPUT": str(output)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done, dict(line.split("=", 1) for line in output.read_text().splitlines())


@pytest.mark.parametrize("path", [*MATRIX.parent.glob("*.yml"), *TEMPLATES], ids=lambda path: path.name)
def test_workflows_are_well_formed(path, tmp_path):
    """By the schema of GitHub's workflows and by zizmor, with a commit for the place where a user writes one."""
    copy = tmp_path / ".github" / "workflows" / path.name
    copy.parent.mkdir(parents=True)
    copy.write_text(path.read_text(encoding="utf-8").replace("REVISION", "0" * 40), encoding="utf-8")
    (tmp_path / ".github" / "zizmor.yml").write_bytes((ROOT / ".github" / "zizmor.yml").read_bytes())
    tools = Path(sys.executable).parent
    for command in (
        [tools / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", copy],
        [tools / "zizmor", "--offline", "--no-progress", "--config", tmp_path / ".github" / "zizmor.yml", copy],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_plan_is_frameworks_by_machines_by_parts(tmp_path):
    machines = '[{"device": "cpu", "labels": ["a"]}, {"device": "gpu", "labels": ["b", "c"], "frameworks": ["torch"]}]'
    done, output = planned(tmp_path, MACHINES=machines, SHARDS="3")
    assert done.returncode == 0, done.stderr
    assert output["wholes"].split() == ["numpy-cpu-a", "torch-cpu-a", "torch-gpu-b-c", "tensorflow-cpu-a", "jax-cpu-a"]
    parts = json.loads(output["parts"])
    assert len(parts) == 15
    assert parts[3] == {
        "name": "torch", "requirement": ".[torch]", "impl": "torch torch-fused", "device": "cpu", "labels": ["a"],
        "whole": "torch-cpu-a", "part": 1, "of": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"SHARDS": "0"}, "0 jobs"),
        ({"SHARDS": "65"}, "260 jobs"),
        ({"MACHINES": '[{"device": "cpu", "labels": ["a b; rm"]}]'}, "not the name of a file"),
        ({"MACHINES": '[{"device": "cpu", "labels": ["a"]}, {"device": "cpu", "labels": ["a"]}]'}, "same device"),
    ],
)
def test_a_matrix_that_cannot_be_is_refused(changed, words, tmp_path):
    done, output = planned(tmp_path, **changed)
    assert done.returncode != 0
    assert words in done.stderr
    assert not output


def bash(script, folder, **variables):
    return subprocess.run(
        [shutil.which("bash"), "-eo", "pipefail", "-c", script],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_part_is_run_as_planned_and_nothing_is_taken_for_a_command(tmp_path):
    stub = tmp_path / "python"
    stub.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > arguments\nexit 1\n')
    stub.chmod(0o755)
    given = {"IMPL": "numpy $(touch\thacked)", "DEVICE": "cpu", "PART": "2", "OF": "4", "WHOLE": "numpy-cpu-a"}
    done = bash(step("part", "Part")["run"], tmp_path, PATH=f"{tmp_path}:{os.environ['PATH']}", **given)
    assert done.returncode == 1  # a cell that fails fails its part
    assert (tmp_path / "arguments").read_text().split("\n")[:-1] == [
        "-m", "lossmark", "check", "-q", "--impl=numpy", "--impl=$(touch", "--impl=hacked)", "--device", "cpu",
        "--shard", "2/4", "--results", "numpy-cpu-a.2.jsonl",
    ]  # fmt: skip
    assert not (tmp_path / "hacked").exists()


@pytest.fixture
def parts(tmp_path):
    """The parts of two plans as they are downloaded."""
    (tmp_path / "parts").mkdir()
    for whole, impl in (("numpy-cpu-a", "numpy"), ("torch-cpu-a", "torch")):
        for index in (1, 2, 3):
            cells = [cell(2 * index, impl=impl), cell(2 * index + 1, impl=impl)]
            part(tmp_path / "parts" / f"{whole}.{index}.jsonl", index, 3, cells)
    return tmp_path / "parts"


def merged(folder, result="success"):
    variables = os.environ | {"WHOLES": "numpy-cpu-a torch-cpu-a", "PARTS": result, "GITHUB_STEP_SUMMARY": "summary"}
    interpreter = Path(sys.executable).parent
    variables["PATH"] = f"{interpreter}:{os.environ['PATH']}"
    return bash(step("report", "Merge and report")["run"], folder, **variables)


def test_parts_become_one_green_page_with_a_badge(parts):
    done = merged(parts.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((parts.parent / "report" / "badge.json").read_text())["message"] == "pass"
    assert len(read(parts.parent / "wholes" / "torch-cpu-a.jsonl").cells) == 6
    assert "every judged cell conforms" in (parts.parent / "summary").read_text()


@pytest.mark.parametrize("lost", ["torch-cpu-a.2.jsonl", "torch-cpu-a.*.jsonl", "*"])
def test_what_never_came_is_a_banner(lost, parts):
    for path in parts.glob(lost):
        path.unlink()
    done = merged(parts.parent, result="failure")
    assert done.returncode == 1
    assert json.loads((parts.parent / "report" / "badge.json").read_text())["message"] == "fail"
    assert "incomplete" in (parts.parent / "summary").read_text()


def test_parts_that_do_not_belong_together_are_a_banner(parts):
    path = parts / "torch-cpu-a.2.jsonl"
    path.write_text(path.read_text().replace('"specs": "s"', '"specs": "other"'))
    done = merged(parts.parent)
    assert done.returncode == 1
    assert "the specs are other and s" in done.stderr
    assert json.loads((parts.parent / "report" / "badge.json").read_text())["message"] == "fail"


def test_a_failed_part_fails_the_run_though_all_cells_came(parts):
    assert merged(parts.parent, result="failure").returncode == 1


def test_a_rented_machine_takes_one_job_and_is_switched_off(tmp_path):
    said = tmp_path / "said"
    for name in ("shutdown", "nvidia-smi", "useradd", "curl", "sha256sum", "tar", "chown", "runuser"):
        stub = tmp_path / "bin" / name
        stub.parent.mkdir(exist_ok=True)
        # A check that left before it had read its input would end the pipe in which it stands.
        read = "cat > /dev/null\n" if name == "sha256sum" else ""
        stub.write_text(f'#!/bin/sh\n{read}echo {name} "$@" >> "{said}"\n')
        stub.chmod(0o755)
    text = RENT.read_text(encoding="utf-8").replace("cd /home/runner", f"cd '{tmp_path}'")
    assert len(text.splitlines()) <= 30
    (tmp_path / "bin" / "installdependencies.sh").write_text("")
    (tmp_path / "bin" / "installdependencies.sh").chmod(0o755)
    given = {
        "PATH": str(tmp_path / "bin"), "REPOSITORY": "https://github.com/o/n",
        "RUNNER_TOKEN": "secret", "RUNNER_VERSION": "2.1", "RUNNER_SHA256": "ab",
    }  # fmt: skip
    done = bash(text, tmp_path, **given)
    assert done.returncode == 0, done.stderr
    lines = said.read_text().splitlines()
    assert lines[0] == "shutdown -h +180"
    assert lines[-1] == "shutdown -h now"
    assert any("--ephemeral" in line and "--labels gpu" in line for line in lines)
    assert sum("secret" in line for line in lines) == 1
    (tmp_path / "bin" / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    said.unlink()
    assert bash(text, tmp_path, **given).returncode == 9
    assert said.read_text().splitlines() == ["shutdown -h +180", "shutdown -h now"]
    for name in ("REPOSITORY", "RUNNER_TOKEN", "RUNNER_VERSION", "RUNNER_SHA256"):
        said.unlink(missing_ok=True)
        lacking = {key: value for key, value in given.items() if key != name}
        assert bash(text, tmp_path, **lacking).returncode != 0
        assert not said.exists()


def test_the_pages_show_the_very_files(tmp_path):
    pages = [(ROOT / "docs" / "howto" / name).read_text(encoding="utf-8") for name in ("matrix.md", "collect.md")]
    shown = [name for page in pages for name in re.findall(r"{literalinclude} (\S+)", page)]
    assert sorted(shown) == ["rent-a-gpu.sh", *(f"workflows/{path.name}" for path in TEMPLATES)]
    called = YAML(typ="safe").load(TEMPLATES[0])["jobs"]["matrix"]["with"]
    inputs = YAML(typ="safe").load(MATRIX)["on"]["workflow_call"]["inputs"]
    assert set(called) <= set(inputs)
    done, output = planned(tmp_path, FRAMEWORKS=called["frameworks"], MACHINES=called["machines"])
    assert done.returncode == 0, done.stderr
    assert output["wholes"] == "torch-cpu-ubuntu-latest torch-gpu-self-hosted-gpu"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_jobs_that_run_what_strangers_wrote_may_only_read(path):
    """A job may write something only if it neither checks out nor installs anything, or leaves it to the matrix."""
    workflow = YAML(typ="safe").load(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        steps = job.get("steps", [])
        runs = [step for step in steps if "checkout" in step.get("uses", "") or "pip install" in step.get("run", "")]
        if runs:
            assert "permissions" not in job
            assert "secrets." not in str(job)
            assert "github.token" not in str(job)
