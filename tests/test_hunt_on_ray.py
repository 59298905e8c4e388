"""The hunt on Ray: the same as on one machine, whatever dies under it, and Ray only where it is asked for."""

import sys
from collections import Counter

import pytest

from lossmark.adapters.installed import runtime
from lossmark.errors import LossmarkError
from lossmark.hunt import on_ray
from lossmark.hunt.on_ray import hunt_on_ray
from lossmark.hunt.pool import Budget, leg
from lossmark.hunt.quarry import quarries
from lossmark.specification.library import losses, specs_digest
from lossmark.suite.plan import Choice
from tests.miniatures import HEAD
from tests.processes import finished, lossmark

GUEST = (
    HEAD
    + """
import os, pathlib, psutil, time
FOLDER = pathlib.Path(__file__).parent

def lurk():
    hunter = next((each for each in psutil.Process().parents() if each.name().startswith("ray::")), None)
    if hunter is None:
        return
    with open(FOLDER / "calls", "ab", 0) as calls:
        calls.write(b".")
        number = calls.tell()
    {lurking}

@impl.loss
def bpr(u, d_pos, d_neg, *, reduction="mean"):
    lurk()
    return reduced(np.logaddexp(0, (u * d_neg).sum(-1) - (u * d_pos).sum(-1)), reduction)
"""
)
"""An implementation that does something to whoever hunts it, but only on Ray; ``number`` is that of the call."""
KILLS_ONCE = "number == 5 and ((FOLDER / 'killed').touch(), hunter.kill())"
KILLS = "hunter.kill()"
STAYS = """
    here = os.environ["RAY_RAYLET_PID"] == (FOLDER / "doomed").read_text()
    while here or not (FOLDER / "stays").exists():
        here and (FOLDER / "stays").touch()
        time.sleep(0.05)
"""
"""On the machine that is doomed a call has no end, and elsewhere none before there is one there."""
EVALUATIONS = 512
MACHINE = {"num_cpus": 1, "object_store_memory": on_ray.STORE_BYTES, "include_dashboard": False}


@pytest.fixture(scope="module")
def cluster():
    """A cluster of one machine with one processor, which notices soon when another dies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        checks = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500}
        found = Cluster(initialize_head=True, head_node_args={**MACHINE, "_system_config": checks})
        yield found
        found.shutdown()


def guests(folder, lurking, source=None):
    """The quarries of a guest: one loss in three dtypes; ``source`` is what the file is called, if not by its path."""
    path = folder / "guest.py"
    path.write_text(GUEST.format(framework="numpy", lurking=lurking), encoding="utf-8")
    dtypes = ("float64", "float32", "float16")
    return quarries(losses(), Choice((source or str(path),), ("bpr",), "cpu", dtypes, ("eager",)))


def here(found):
    """The states of quarries that are hunted in this process."""
    return {each.key: leg(each, 0, None, EVALUATIONS)[0] for each in found}


class Told:
    """The states of a hunt on Ray, and how often each quarry had a new one."""

    def __init__(self, meanwhile=lambda: None):
        self.states, self.times, self._meanwhile = {}, Counter(), meanwhile

    def __call__(self, quarry, state):
        self.states[quarry.key] = state
        self.times[quarry.key] += 1
        self._meanwhile()


def test_a_process_that_dies_costs_nothing(tmp_path, cluster):
    found, told = guests(tmp_path, KILLS_ONCE), Told()
    hunt_on_ray(found, 0, Budget(EVALUATIONS), {}, told, cluster.address)
    assert (tmp_path / "killed").exists()
    assert told.states == here(found)
    assert {*told.times.values()} == {1}


def test_a_machine_that_dies_costs_nothing(tmp_path, cluster):
    doomed = cluster.add_node(**MACHINE)
    (tmp_path / "doomed").write_text(str(doomed.all_processes["raylet"][0].process.pid), encoding="utf-8")
    found, left = guests(tmp_path, STAYS), [doomed]

    def dies():
        if left:
            cluster.remove_node(left.pop(), allow_graceful=False)

    told = Told(dies)
    hunt_on_ray(found, 0, Budget(EVALUATIONS), {}, told, cluster.address)
    assert (tmp_path / "stays").exists()
    assert not left
    assert told.states == here(found)
    assert {*told.times.values()} == {1}


def test_a_quarry_that_kills_every_process_ends_the_hunt_with_its_name(tmp_path, cluster, monkeypatch):
    monkeypatch.setattr(on_ray, "RETRIES", 1)
    with pytest.raises(LossmarkError, match="mini bpr float"):
        hunt_on_ray(guests(tmp_path, KILLS), 0, Budget(EVALUATIONS), {}, Told(), cluster.address)
    assert (tmp_path / "calls").stat().st_size >= 2


def test_seconds_are_shared_and_a_long_hunt_is_told_on_the_way(tmp_path, cluster, monkeypatch):
    monkeypatch.setattr(on_ray, "LEG_ON_RAY", 0.25)
    found, told = guests(tmp_path, "pass"), Told()
    hunt_on_ray(found, 0, Budget(seconds=1.5), {}, told, cluster.address)
    assert told.times == {each.key: 2 for each in found}
    assert all(state["evaluations"] >= 2 * 64 for state in told.states.values())


def test_a_machine_with_other_versions_is_refused(tmp_path, cluster, monkeypatch):
    monkeypatch.setattr(on_ray, "__version__", "another")
    with pytest.raises(LossmarkError, match=r"lossmark is .*, and another where the hunt was begun"):
        hunt_on_ray(guests(tmp_path, "pass"), 0, Budget(EVALUATIONS), {}, Told(), cluster.address)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nothing"])
def test_an_address_without_a_ray_is_refused(tmp_path, address):
    with pytest.raises(LossmarkError, match=f"--ray {address}: no Ray there: "):
        hunt_on_ray(guests(tmp_path, "pass"), 0, Budget(EVALUATIONS), {}, Told(), address)


def test_a_file_is_found_from_the_folder_of_who_hunts_and_has_to_be_the_same(tmp_path, cluster, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found, told = guests(tmp_path, "pass", "guest.py")[:1], Told()
    hunt_on_ray(found, 0, Budget(EVALUATIONS), {}, told, cluster.address)
    assert told.states == here(found)
    expected = on_ray._expected(found[0], specs_digest())
    (tmp_path / "guest.py").write_text("another = 1\n", encoding="utf-8")
    with pytest.raises(LossmarkError, match=r"guest\.py is [0-9a-f]+, and [0-9a-f]+ where"):
        on_ray._leg(expected, str(tmp_path), found[0], 0, None, EVALUATIONS, 1.0)
    (tmp_path / "guest.py").unlink()
    with pytest.raises(LossmarkError, match=r"guest\.py is not there, and [0-9a-f]+ where"):
        on_ray._leg(expected, str(tmp_path), found[0], 0, None, EVALUATIONS, 1.0)


def test_a_task_asks_for_what_machines_declare_and_some_machine_has(tmp_path):
    quarry, plain = guests(tmp_path, "pass")[0], {"CPU": 4.0, "memory": float(4 << 30)}
    asked = on_ray._asked(quarry, [plain])
    assert asked["num_cpus"] == 1
    assert asked["memory"] > runtime("numpy").worker_bytes
    assert asked["resources"] == {}
    marked = {**plain, "framework:numpy": 1.0, "framework:torch": 1.0, "device:cpu": 1.0}
    assert on_ray._asked(quarry, [plain, marked])["resources"] == {"framework:numpy": 0.001, "device:cpu": 0.001}
    for lacking in ([], [{**plain, "CPU": 0.0}], [{**plain, "framework:numpy": 1.0}, {**plain, "device:cpu": 1.0}]):
        with pytest.raises(LossmarkError, match="no machine can hunt mini bpr"):
            on_ray._asked(quarry, lacking)


def test_the_command_line_gives_the_file_of_the_pool_and_leaves_nothing_at_home(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("LOSSMARK_CACHE", "off")
    some = ("hunt", "--impl", "numpy", "--loss", "huber", "--loss", "contrastive", "--dtype", "float16")
    for name, more in (("pool", ()), ("ray", ("--ray", "local"))):
        done = lossmark(*some, *more, "--evaluations", 128, "-o", name, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "pool").read_bytes() == (tmp_path / "ray").read_bytes()
    assert not (home / ".ray").exists()


def test_ray_is_imported_only_where_it_is_asked_for_and_may_be_absent(tmp_path):
    program = "import sys, lossmark.cli.main as cli; assert 'ray' not in sys.modules; sys.modules['ray'] = None; "
    some = ("hunt", "--impl", "numpy", "--loss", "huber", "-o", "hunt.json", "--ray", "local")
    done = finished([sys.executable, "-c", program + "sys.exit(cli.main())", *some], cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == "lossmark: --ray: Ray is not installed: pip install 'lossmark[ray]'"
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "hunt.json").exists()
