"""Parts of a plan: the same on every machine, balanced by measured cost, and together the plan."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from lossmark.adapters.installed import framework_version
from lossmark.errors import LossmarkError
from lossmark.results.record import read
from lossmark.rooms import room
from lossmark.specification.library import losses, specs_digest
from lossmark.suite.costs import Costs, CostsTable, costs
from lossmark.suite.part import PlanPart, cells_of, cut, divided, part_of, plan_digest
from lossmark.suite.plan import Choice, plan
from tests.miniatures import HEAD
from tests.same_cells import differences
from tests.test_conformance import conformance

NUMPY = Choice(impls=("numpy", "numpy-fused"))


@pytest.fixture(scope="module")
def default_plan():
    return plan(losses(), Choice())


@pytest.fixture(scope="module")
def numpy_plan():
    return plan(losses(), NUMPY)


@pytest.mark.parametrize("of", [1, 4, 7])
def test_parts_are_together_the_plan(of, numpy_plan):
    parts = [divided(numpy_plan, f"{index}/{of}").runs for index in range(1, of + 1)]
    assert all(parts)
    assert Counter(run.id for part in parts for run in part) == Counter(run.id for run in numpy_plan)
    order = {run.id: place for place, run in enumerate(numpy_plan)}
    for part in parts:
        assert [order[run.id] for run in part] == sorted(order[run.id] for run in part)


@pytest.mark.parametrize("of", [2, 4, 7, 20])
def test_parts_of_the_default_plan_cost_the_same_by_the_table(of, default_plan):
    seconds = cut(default_plan, of, costs()).seconds
    assert max(seconds) < 1.05 * min(seconds)
    assert sum(seconds) < 1.6 * cut(default_plan, 1, costs()).seconds[0]  # what is paid in more than one part


def test_counts_would_not_be_balanced(default_plan):
    """The dearest of four parts with as many runs each costs much more than the cheapest."""
    table, groups = costs(), {}
    for run in default_plan:
        groups.setdefault(shared(run), []).append(run)
    loads = [[0, 0.0] for _ in range(4)]
    for group in sorted(groups.values(), key=len, reverse=True):
        least = min(loads)
        least[0] += len(group)
        least[1] += sum(table.run(run) for run in group)
    assert max(x for _, x in loads) > 1.1 * min(x for _, x in loads)


def test_what_shares_programs_is_never_divided(default_plan):
    found = cut(default_plan, 7, costs())
    for index in range(1, 8):
        mine = found.runs(default_plan, index)
        kept = {run.id for run in mine}
        others = [run for run in default_plan if run.id not in kept]
        assert not {shared(run) for run in mine} & {shared(run) for run in others}


def shared(run):
    return run.target.name, run.mode, run.dtype, run.loss.id


def test_the_cut_does_not_depend_on_the_order_of_the_plan(numpy_plan):
    shuffled = list(numpy_plan)
    random.Random(0).shuffle(shuffled)
    assert plan_digest(shuffled) == plan_digest(numpy_plan)
    assert cut(shuffled, 7, costs()) == cut(numpy_plan, 7, costs())


def test_the_cut_is_the_same_in_another_process(numpy_plan):
    code = (
        "from lossmark.suite.part import divided\nfrom lossmark.suite.plan import Choice, plan\n"
        "from lossmark.specification.library import losses\n"
        f"print(divided(plan(losses(), {NUMPY!r}), '3/7').facts())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == repr(divided(numpy_plan, "3/7").facts())


def test_other_code_under_test_is_said(tmp_path):
    path, elsewhere = tmp_path / "mini.py", tmp_path / "elsewhere" / "mini.py"
    elsewhere.parent.mkdir()
    text = HEAD.format(framework="numpy") + "@impl.loss\ndef bpr(u, d_pos, d_neg, *, reduction='mean'): ...\n"
    facts = []
    for place, source in ((path, text), (elsewhere, text), (path, text + "# changed\n")):
        place.write_text(source)
        choice = Choice(impls=(str(place),), losses=("bpr",), dtypes=("float32",))
        facts.append(divided(plan(losses(), choice), "").facts()["plan"])
    assert facts[0] == facts[1]  # wherever the file lies
    assert facts[0]["code"] != facts[2]["code"]
    assert facts[0]["digest"] == facts[2]["digest"]


def test_other_costs_are_another_cut(numpy_plan):
    table = CostsTable(
        measured={}, starts=(), exact=(),
        runs=({"impl": "numpy", "framework": "numpy", "mode": "eager", "loss": "bpr", "runs": 1, "seconds": 100.0},),
    )  # fmt: skip
    assert cut(numpy_plan, 4, Costs(table)).digest != cut(numpy_plan, 4, costs()).digest


def test_what_cannot_be_made_costs_nothing(numpy_plan):
    lacking = [replace(run, reason="not installed") if run.target.name == "numpy-fused" else run for run in numpy_plan]
    with_fused, without = (cut(runs, 1, costs()).seconds[0] for runs in (numpy_plan, lacking))
    assert without < with_fused


def test_the_nearest_known_cost_is_taken():
    rows = [
        {"impl": "numpy", "framework": "numpy", "mode": "eager", "loss": "bpr", "runs": 2, "seconds": 2.0},
        {"impl": "numpy", "framework": "numpy", "mode": "eager", "loss": "contrastive", "runs": 2, "seconds": 8.0},
    ]
    table = Costs(CostsTable(measured={}, starts=(), exact=(), runs=tuple(rows)))
    runs = plan(losses(), Choice(impls=("numpy", "numpy-fused", "torch"), case="*/worked"))
    found = {(run.target.name, run.loss.id): table.run(run) for run in runs if run.mode == "eager"}
    assert found["numpy", "bpr"] == found["numpy-fused", "bpr"] == 1.0
    assert found["numpy", "huber"] == found["torch", "bpr"] == 2.5


@pytest.mark.parametrize(
    "text", ["", "2", "2/", "/4", "0/4", "5/4", "1/0", "-1/4", "1/4/5", "1.0/4", "1/²", "a/b", "1 /4"]
)
def test_what_is_no_part_is_refused(text):
    with pytest.raises(LossmarkError, match="expected i"):
        part_of(text)


def test_a_part_is_read():
    assert part_of("4/4") == PlanPart(4, 4)


def test_more_parts_than_groups_are_refused():
    runs = plan(losses(), Choice(impls=("numpy",), losses=("bpr",)))
    assert divided(runs, "4/4").runs
    with pytest.raises(LossmarkError, match="into 4 parts at most"):
        divided(runs, "1/5")


@pytest.mark.parametrize("text", ["", "{}", '{"measured": {}, "starts": [], "exact": [], "runs": [{"impl": "x"}]}'])
def test_a_table_of_costs_that_is_none_is_refused(text, tmp_path):
    path = tmp_path / "costs.json"
    path.write_text(text)
    with pytest.raises(LossmarkError, match="no table of costs"):
        costs(path)


def test_the_table_knows_most_of_the_default_plan(default_plan):
    """Where it does not, `python -m lossmark.benchmarks.run_costs LOSS …` measures what is new."""
    kept = json.loads((room("conformance") / "costs.json").read_text(encoding="utf-8"))
    assert kept["measured"]["command"]
    rows = {(row["impl"], row["mode"], row["loss"]) for row in kept["runs"]}
    known = sum((run.target.name, run.mode, run.loss.id) in rows for run in default_plan)
    assert known > 0.8 * len(default_plan)


def test_a_spec_that_changes_has_another_digest(tmp_path):
    (tmp_path / "bpr.yaml").write_text("a")
    before = specs_digest(tmp_path)
    (tmp_path / "bpr.yaml").write_text("b")
    assert len({before, specs_digest(tmp_path), specs_digest()}) == 3


def test_a_part_runs_with_xdist_as_without(tmp_path):
    options = ("--impl", "numpy", "--loss", "contrastive", "--shard", "2/3", "--dtype", "float32", "--dtype", "float16")
    options += ("--dtype", "float64")
    done = [
        conformance(*options, "--results", str(tmp_path / name), *more, cwd=tmp_path)
        for name, more in (("alone.jsonl", ()), ("two.jsonl", ("-n", "2")))
    ]
    assert [each.returncode for each in done] == [0, 0], done[1].stdout[-2000:]
    assert not differences(tmp_path / "alone.jsonl", tmp_path / "two.jsonl")
    alone = read(tmp_path / "alone.jsonl")
    assert alone.part == "2/3"
    assert not alone.complete  # a part is not the whole, however well it ended
    assert len(alone.cells) == alone.header["planned"] < alone.header["plan"]["cells"]
    assert alone.header["plan"]["cells"] == cells_of(
        plan(losses(), Choice(impls=("numpy",), losses=("contrastive",), dtypes=("float32", "float16", "float64")))
    )


def test_a_part_that_does_not_exist_is_one_line_and_exit_3(tmp_path):
    done = conformance("--impl", "numpy", "--loss", "bpr", "--shard", "9/4", cwd=tmp_path)
    assert done.returncode == 3
    assert "expected i from 1 to N" in done.stdout + done.stderr


@pytest.mark.skipif(framework_version("torch") is None, reason="the plan has torch")
def test_known_failures_of_other_parts_are_not_complained_about(tmp_path):
    """What a part cannot know, the merge says: see test_merge."""
    (tmp_path / "known.yaml").write_text('- {impl: torch, case: "bpr/nothing", reason: "never so"}\n')
    options = ("--impl", "numpy", "--impl", "torch", "--loss", "bpr", "--dtype", "float32", "--mode", "eager")
    options += ("--case", "bpr/worked", "--expected", "known.yaml")
    whole = conformance(*options, cwd=tmp_path)
    assert whole.returncode == 1
    assert "matches no cell" in whole.stdout
    for index in (1, 2):
        part = conformance(*options, "--shard", f"{index}/2", "--results", f"{index}.jsonl", cwd=tmp_path)
        assert part.returncode == 0, part.stdout[-2000:]
        assert "matches no cell" not in part.stdout
