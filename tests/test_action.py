"""Where people meet the gate: the GitHub action and the pre-commit hook."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lossmark.rooms import room


@pytest.mark.parametrize(
    ("code", "tolerated", "exits"), [(0, "pass", 0), (1, "pass", 1), (2, "pass", 0), (2, "fail", 2), (3, "pass", 3)]
)
def test_the_action_tells_the_outcome_of_the_gate(code, tolerated, exits, tmp_path):
    action = YAML(typ="safe").load(Path(__file__).parents[1] / "action.yml")
    (step,) = [step for step in action["runs"]["steps"] if step.get("id") == "gate"]
    stub = tmp_path / "python"
    stub.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > arguments\necho "# a summary"\nexit {code}\n')
    stub.chmod(0o755)
    given = {"IMPL": "a file.py\nother.py\n", "OUTPUT": "out", "BASE": "$(touch hacked)", "THRESHOLD": "0.05"}
    given |= {"SIZE": "64x16", "INSTALL": "", "INCONCLUSIVE": tolerated, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    files = {name: str(tmp_path / name) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", step["run"]], cwd=tmp_path, env=given | files, check=False)
    assert done.returncode == exits
    words = ["pass", "regression", "inconclusive", "harness error"]
    assert (tmp_path / "GITHUB_OUTPUT").read_text() == f"verdict={words[code]}\n"
    assert (tmp_path / "GITHUB_STEP_SUMMARY").read_text() == "# a summary\n"
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert {"--impl=a file.py", "--impl=other.py", "$(touch hacked)"} <= set(arguments)
    assert not (tmp_path / "hacked").exists()


def test_the_hook_refuses_a_value_that_is_not_certified(tmp_path):
    hook = YAML(typ="safe").load(Path(__file__).parents[1] / ".pre-commit-hooks.yaml")[0]
    specs = tmp_path / "specs"
    specs.mkdir()
    text = (room("specs") / "contrastive.yaml").read_text(encoding="utf-8")
    command = [sys.executable, "-m", *hook["entry"].split(), *hook["args"]]
    for changed, code in ((text, 0), (text.replace('mean: "0x1', 'mean: "0x2', 1), 1)):
        (specs / "contrastive.yaml").write_text(changed, encoding="utf-8")
        assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == code
