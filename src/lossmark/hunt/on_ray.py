"""A hunt on many machines: a leg of a quarry is a task of Ray, which runs it again where its process or machine dies.

What a leg gives depends on its quarry, seed and state alone, and one run of each is taken: nothing is lost or counted
twice. Ray is imported when a hunt begins, and nowhere else.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import platform
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from ..adapters.installed import framework_version, runtime
from ..adapters.runtime import COMMAND
from ..errors import LossmarkError
from ..specification.library import specs_digest
from ..version import __version__
from .pool import JUDGE_BYTES, Budget, leg
from .quarry import Quarry
from .record import HuntState, QuarryKey

LEG_ON_RAY = 60.0
"""Seconds of a task at most: what a machine's death costs each of its processors."""
RETRIES = 10
"""How often a task is run again whose process or machine died; one that dies more often kills what it runs in."""
STORE_BYTES = 100 << 20
"""The object store of a local Ray: states are small."""
MARK = 0.001
"""What a task takes of a resource that says what a machine has; 1 of it is enough for all of the machine's tasks."""
ANSWERS_WITHIN = 20.0
"""Seconds in which an address has to answer."""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""A Ray that is started here tells nobody of its use, and leaves the variables of accelerators alone, as the pool."""


def hunt_on_ray(
    quarries: Sequence[Quarry],
    seed: int,
    budget: Budget,
    states: Mapping[QuarryKey, HuntState],
    told: Callable[[Quarry, HuntState], None],
    address: str,
) -> None:
    """Hunt as :func:`.pool.hunt` does, on the Ray at an address; ``local`` starts one here and ends it.

    ``told`` gets the new state of a quarry after each of its legs. Raises :class:`LossmarkError` where there is no Ray,
    no machine that can hunt a quarry, one with other versions, or a leg that kills whatever it runs in.
    """
    with _connected(address) as ray:
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        asked = {quarry.key: _asked(quarry, machines) for quarry in quarries}
        specs = specs_digest()
        expected = {quarry.key: _expected(quarry, specs) for quarry in quarries}
        processors = min(len(quarries), sum(machine.get("CPU", 0) for machine in machines))
        left = dict.fromkeys(asked, budget.share(processors, len(quarries)))
        task = ray.remote(max_retries=RETRIES)(_leg)

        def begun(quarry: Quarry, state: HuntState | None) -> Any:
            seconds = min(LEG_ON_RAY, left[quarry.key])
            left[quarry.key] -= seconds
            here = task.options(**asked[quarry.key])
            return here.remote(expected[quarry.key], os.getcwd(), quarry, seed, state, budget.evaluations, seconds)

        running = {begun(quarry, states.get(quarry.key)): quarry for quarry in quarries}
        while running:
            (done,), _ = ray.wait(list(running))
            quarry = running.pop(done)
            state, more = _result(ray, done, quarry)
            if more and left[quarry.key] > 0:
                running[begun(quarry, state)] = quarry
            told(quarry, state)


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Ray, connected; disconnected in the end, and ended where it was started here."""
    try:
        import ray
    except ImportError:
        raise LossmarkError("--ray: Ray is not installed: pip install 'lossmark[ray]'") from None
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if address == "local":  # else Ray would make a token and leave it in the user's home, for all later clusters
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex())
    _reached(address)
    store = STORE_BYTES if address == "local" else None
    try:
        ray.init(
            address, object_store_memory=store, include_dashboard=False, log_to_driver=False,
            logging_level=logging.ERROR,
        )  # fmt: skip
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise LossmarkError(f"--ray {address}: no Ray there: {_first_line(error)}") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _reached(address: str) -> None:
    """Refuse an address where nobody listens: Ray itself would try for many minutes."""
    host, _, port = address.rpartition(":")
    if port.isdigit() and "/" not in host:
        try:
            socket.create_connection((host.strip("[]"), int(port)), ANSWERS_WITHIN).close()
        except OSError as error:
            raise LossmarkError(f"--ray {address}: no Ray there: {error}") from None


def _asked(quarry: Quarry, machines: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """What a quarry's task takes of a machine, as Ray's options; marks that no machine has are not asked for.

    Refuses what no machine could ever run: it would wait for ever.
    """
    framework = quarry.target.reference.framework
    memory = runtime(framework).worker_bytes + JUDGE_BYTES
    marks = {f"framework:{framework}", "device:cpu"}.intersection(chain.from_iterable(machines))
    wanted = {"CPU": 1, "memory": memory, **dict.fromkeys(sorted(marks), MARK)}
    if not any(all(machine.get(name, 0) >= much for name, much in wanted.items()) for machine in machines):
        what = ", ".join(f"{name} {much:g}" for name, much in wanted.items())
        raise LossmarkError(f"--ray: no machine can hunt {' '.join(quarry.key)}, which takes {what}")
    return {"num_cpus": 1, "memory": memory, "resources": dict.fromkeys(marks, MARK)}


def _expected(quarry: Quarry, specs: str) -> dict[str, str]:
    """What has to be the same everywhere for a quarry to give the same: versions, and the file of a guest."""
    reference = quarry.target.reference
    found = {"lossmark": __version__, "specs": specs}
    if reference.framework != COMMAND.name:
        found[reference.framework] = framework_version(reference.framework) or "not installed"
    if reference.source.endswith(".py"):
        path = Path(reference.source)
        found[reference.source] = hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else "not there"
    return found


def _leg(
    expected: Mapping[str, str],
    folder: str,
    quarry: Quarry,
    seed: int,
    state: HuntState | None,
    evaluations: int | None,
    seconds: float,
) -> tuple[HuntState, bool]:
    """A leg in a process of Ray; raises :class:`LossmarkError` if it is not the one that is expected.

    ``folder`` is where the hunt was begun, from which files and modules are found if this machine has it too.
    """
    with contextlib.suppress(OSError):
        os.chdir(folder)
    for name, here in _expected(quarry, specs_digest()).items():
        if here != expected[name]:
            raise LossmarkError(f"{platform.node()}: {name} is {here}, and {expected[name]} where the hunt was begun")
    return leg(quarry, seed, state, evaluations, seconds)


def _result(ray: Any, done: Any, quarry: Quarry) -> tuple[HuntState, bool]:
    """What a leg gave; raises :class:`LossmarkError` for what it refused, and if it died too often."""
    try:
        found: tuple[HuntState, bool] = ray.get(done)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, LossmarkError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise LossmarkError(f"--ray: {' '.join(quarry.key)}: {_first_line(error)}") from None
    return found


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
