"""A file of many implementations: as many workers live as there is memory for, no cell is lost, the end is short."""

import re
from collections import Counter

import pytest

from lossmark.adapters.registry import Reference
from lossmark.sandbox import living
from lossmark.sandbox.living import Living
from lossmark.sandbox.process import Worker
from lossmark.sandbox.target import targets
from lossmark.specification.library import losses
from lossmark.suite import failure_table as table
from lossmark.suite import first_failures
from lossmark.suite.plan import Choice, plan, plan_targets
from lossmark.suite.suite import Suite
from tests.test_conformance import held
from tests.test_retries import source

MIB = 1 << 20
NAMES = ("one", "two", "three", "four")
WRONG = "u = u * u.dtype.type(1.5)"
CHOICE = Choice(losses=("bpr",), dtypes=("float32",), case="bpr/generic-*")


class Pretended:
    """A worker that takes no memory."""

    def __init__(self, framework="numpy"):
        self.reference, self.running = Reference("mini.py", "mini", framework), True

    def stop(self):
        self.running = False


@pytest.fixture
def room(monkeypatch):
    """Sets the memory that workers may have, of which processes of pytest-xdist, as this may be one, take a share."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    return lambda size: monkeypatch.setattr(living, "WORKERS_BYTES", size)


@pytest.fixture
def alive(monkeypatch):
    """The workers that run now, how many have been started, and the most that ran at a time."""
    counts, start, stop = Counter(), Worker.start, Worker.stop
    running = set()

    def started(worker):
        was = worker._process
        hello = start(worker)
        if worker._process is not was:
            running.add(worker)
            counts["started"] += 1
            counts["most"] = max(counts["most"], len(running))
        return hello

    def stopped(worker):
        stop(worker)
        running.discard(worker)

    monkeypatch.setattr(Worker, "start", started)
    monkeypatch.setattr(Worker, "stop", stopped)
    return running, counts


def used(workers, *which, size=100 * MIB):
    for worker in which:
        workers.begin(worker)
        workers.finish(worker, size)


def test_the_worker_that_is_idle_the_longest_is_ended_for_another(room):
    room(350 * MIB)
    workers = Living()
    first, second, third, fourth = (Pretended() for _ in range(4))
    with workers.changed:
        used(workers, first, second, third, first)
        assert not workers.admits(fourth)
        assert workers.admits(second)
        workers.begin(third)
        workers.begin(fourth)
        assert [each.running for each in (first, second, third, fourth)] == [True, False, True, True]


def test_a_worker_that_is_used_is_not_ended_and_each_framework_keeps_one(room):
    room(150 * MIB)
    workers = Living()
    alone, first, second = Pretended("jax"), Pretended(), Pretended()
    with workers.changed:
        used(workers, alone, first)
        workers.begin(first)
        workers.begin(second)
        assert first.running
        workers.finish(first, 100 * MIB)
        used(workers, second)
        assert not first.running
        assert alone.running


def test_what_has_ended_by_itself_leaves_room(room):
    room(150 * MIB)
    workers = Living()
    first, second = Pretended(), Pretended()
    with workers.changed:
        used(workers, first)
        assert not workers.admits(second)
        used(workers, first, size=0)
        assert workers.admits(second)


def cells(runs, **options):
    suite = Suite(runs, **options)
    try:
        return [(cell.record(), cell.retried) for run in runs for cell in suite.cells(run)]
    finally:
        suite.close()


@pytest.mark.parametrize("ahead", [True, False])
def test_workers_that_are_ended_and_started_anew_lose_no_cell(ahead, tmp_path, room, alive):
    """Case by case, so that each case ends workers that the next one needs, unless they have worked ahead."""
    (tmp_path / "guests.py").write_text(source(**dict.fromkeys(NAMES, "pass")))
    runs = plan_targets(losses(), CHOICE, targets((str(tmp_path / "guests.py"),)))
    running, counts = alive
    usual = cells(runs, ahead=ahead)
    assert counts == {"started": 4, "most": 4}
    counts.clear()
    room(150 * MIB)
    assert cells(runs, ahead=ahead) == usual
    assert counts["started"] > 4 or ahead
    assert counts["most"] <= 3
    assert not running
    assert not any(retried for _, retried in usual)


def test_a_worker_is_ended_with_its_last_run(tmp_path, room, alive):
    room(1024 * MIB)
    (tmp_path / "guests.py").write_text(source(**dict.fromkeys(NAMES, "pass")))
    runs = plan(losses(), Choice((str(tmp_path / "guests.py"),), CHOICE.losses, "cpu", ("float32",), (), CHOICE.case))
    running, counts = alive
    suite = Suite(runs, ahead=False)
    try:
        for place, run in enumerate(runs):
            suite.cells(run)
            left = {each.target.name for each in runs[place + 1 :]}
            assert {worker.reference.name for worker in running} <= left
    finally:
        suite.close()
    assert counts == {"started": 4, "most": 2}


@pytest.mark.parametrize(("size", "block"), [(1024, 2), (512, 1), (100, 1), (4096, 4)])
def test_as_many_implementations_as_fit_are_planned_together(size, block, tmp_path, room):
    room(size * MIB)
    (tmp_path / "guests.py").write_text(source(**dict.fromkeys(NAMES, "pass")))
    runs = plan(losses(), Choice((str(tmp_path / "guests.py"), "numpy"), ("bpr",), "cpu", ("float32",)))
    guests = [run.target.name for run in runs if run.target.name != "numpy"]
    each = len(guests) // len(NAMES) * block
    blocks = [set(guests[start : start + each]) for start in range(0, len(guests), each)]
    assert blocks == [set(NAMES[start : start + block]) for start in range(0, len(NAMES), block)]
    own = [run for run in runs[: len(runs) - len(guests) + each] if run.target.name == "numpy"]
    assert len(own) == len(runs) - len(guests), "lossmark's own are all in the first block"


def summary(tmp_path, *arguments):
    faults = {"one": WRONG, "two": "pass", "three": WRONG, "four": "if not len(u): os.abort()"}
    options = ("--dtype", "float32", "--loss", "bpr", "--case", "bpr/s*", *arguments)
    done, results = held(source(**faults), tmp_path, *options)
    assert done.returncode == 1
    assert len(results.cells) == results.header["planned"]
    return done.stdout, results.cells


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_the_first_failures_are_told_in_full_and_all_are_counted(arguments, tmp_path):
    out, found = summary(tmp_path, *arguments)
    wrong = [cell for cell in found if cell.verdict in ("fail", "error")]
    failed = Counter(impl for impl, _ in {(cell.impl, cell.case) for cell in wrong})
    assert failed["one"] == failed["three"] > first_failures.FIRST
    told = Counter(re.findall(r"^(\w+) \(numpy, .*does not conform", out, re.M))
    assert told == {name: min(first_failures.FIRST, count) for name, count in failed.items()}
    assert out.count("\nFAILED ") == told.total()
    left = failed.total() - told.total()
    assert f"{left} more failed" in out
    assert re.search(rf"^{failed.total()} failed, ", out, re.M)
    for (impl, check), count in Counter((cell.impl, cell.check) for cell in wrong).items():
        assert re.search(rf"^{impl} +bpr +{check} +{count}$", out, re.M)


def test_one_failure_ends_a_run_that_is_to_end_at_the_first(tmp_path):
    out, found = summary(tmp_path, "-x", "--tb=line")
    assert "1 failed" in out
    assert "more failed" not in out
    assert sum(cell.verdict == "fail" for cell in found) == len(re.findall(r"^one +bpr ", out, re.M))


@pytest.mark.parametrize(
    ("losses_", "checks", "columns"), [(1, 2, "impl loss check"), (2, 2, "impl loss"), (3, 1, "impl")]
)
def test_the_table_is_as_detailed_as_its_rows_allow(losses_, checks, columns):
    wrong = {
        table.TableKey(f"i{i}", f"loss{loss}", f"check{check}", dtype): 1
        for i in range(table.ROWS // 2)
        for loss in range(losses_)
        for check in range(checks)
        for dtype in ("float32", "float64")
    }
    head, *rows = table.failure_table(wrong)
    assert head.split() == [*columns.split(), "float64", "float32"]
    assert len(rows) <= table.ROWS
    assert sum(int(row.split()[-1]) for row in rows) * 2 == sum(wrong.values())


def test_a_table_of_too_many_implementations_says_how_many_it_leaves_out():
    wrong = {table.TableKey(f"i{i}", "bpr", "value", "float32"): 1 for i in range(table.ROWS + 5)}
    *_, last = table.failure_table(wrong)
    assert last == "and 5 more implementations"
