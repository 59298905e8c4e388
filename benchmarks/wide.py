"""Losses over classes and pairs where logits are most of the memory: ``python -m lossmark.benchmarks.wide [OPTIONS]``.

At these sizes ``lossmark bench`` times nothing, because exact values of every element would take longer than all of it.
Here the contestants take turns in one process, in random order, on the same inputs, each with its gradient, and the
machine's limit is measured in the same rounds; a result that is not near that of the plain form has no row. Times are
taken under the allocator's policy that keeps memory, peaks of memory under the default one, each in a process of its
own. Ratios are medians inside rounds.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from lossmark.impls.pytorch import fused, losses
from torch import Tensor
from torch.nn import functional

from lossmark.adapters.framework import Tensor as Given
from lossmark.dtypes import DTYPES
from lossmark.readings.cost import forward_backward
from lossmark.results.environment import cores, environment
from lossmark.sandbox.peak_memory import peak
from lossmark.specification.library import losses as specs
from lossmark.timing.contestant import WARM
from lossmark.timing.machine_limit import Ceilings

SIZES: Mapping[str, Mapping[str, int]] = {
    "cross_entropy": {"B": 4096, "C": 32000},
    "cross_entropy_z": {"B": 4096, "C": 32000},
    "linear_cross_entropy": {"B": 4096, "C": 32000, "D": 1024},
    "info_nce": {"B": 8192, "J": 8192, "D": 128},
    "clip": {"B": 8192, "J": 8192, "D": 128},
}
NEAR = 1e-3
"""How far values and gradients may be from the plain form's, as a share of its largest, to count as the same work."""
Call = Callable[..., Given]


def _similarities(x: Tensor, y: Tensor) -> Tensor:
    return functional.normalize(x) @ functional.normalize(y).T


def _info_nce(query: Tensor, key: Tensor) -> Tensor:
    scores = _similarities(query, key) / 0.07
    return functional.cross_entropy(scores, torch.arange(len(query)))


def _clip(image: Tensor, text: Tensor) -> Tensor:
    scores, own = 14.285714 * _similarities(image, text), torch.arange(len(image))
    return (functional.cross_entropy(scores, own) + functional.cross_entropy(scores.T, own)) / 2


def _linear_in_chunks(hidden: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    return functional.linear_cross_entropy(hidden, weight, target, options=torch.nn.LinearCrossEntropyOptions())


PEERS: Mapping[str, Mapping[str, Call]] = {
    "cross_entropy": {"torch.nn": functional.cross_entropy},
    "cross_entropy_z": {},
    "linear_cross_entropy": {"torch.nn": functional.linear_cross_entropy, "torch.nn in chunks": _linear_in_chunks},
    "info_nce": {"torch.nn": _info_nce},
    "clip": {"torch.nn": _clip},
}


def _inputs(loss: str, sizes: Mapping[str, int]) -> dict[str, Tensor]:
    """Random inputs as they occur: normal embeddings and logits, a layer whose logits are normal, any class."""
    torch.manual_seed(0)
    found = {}
    for item in specs()[loss].inputs:
        if item.optional is not None:
            continue
        shape = [sizes[axis] for axis in item.dims]
        if item.label:
            found[item.name] = torch.randint(0, sizes["C"], shape)
        else:
            scale = sizes["D"] ** -0.5 if item.name == "weight" else 1.0
            found[item.name] = (scale * torch.randn(shape)).requires_grad_()
    return found


def _contestants(loss: str, compiled: bool) -> dict[str, Call]:
    plain = getattr(losses, loss)
    found = {"torch": plain, "torch-fused": getattr(fused, loss), **PEERS[loss]}
    return found | ({"torch, compiled": torch.compile(plain, fullgraph=True)} if compiled else {})


def _work(call: Call, inputs: Mapping[str, Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
    value = call(*inputs.values())
    return value.detach(), torch.autograd.grad(value, [x for x in inputs.values() if x.requires_grad])


def _alike(found: Sequence[Tensor], expected: Sequence[Tensor]) -> bool:
    return all(
        bool((x - y).abs().max() <= NEAR * y.abs().max().clamp_min(1e-30)) for x, y in zip(found, expected, strict=True)
    )


def measured(loss: str, sizes: Mapping[str, int], rounds: int, compiled: bool, threads: int) -> dict[str, Any]:
    """What one process sees: seconds of every round and the limit's, or under the default policy peaks in bytes."""
    torch.set_num_threads(threads)
    inputs, contestants = _inputs(loss, sizes), _contestants(loss, compiled)
    value, gradients = _work(contestants["torch"], inputs)
    expected = [value, *gradients]
    for name in list(contestants):
        value, gradients = _work(contestants[name], inputs)
        if not _alike([value, *gradients], expected):
            del contestants[name]
    del expected, gradients, value
    if "MALLOC_TOP_PAD_" not in os.environ:
        return {"peak": {name: peak(functools.partial(_work, call, inputs)) for name, call in contestants.items()}}
    arrays = {name: x.detach().numpy() for name, x in inputs.items()}
    slopes = [name for name, x in inputs.items() if x.requires_grad]
    cost = forward_backward(specs()[loss].gradients({}), sizes, DTYPES["float32"])
    ceilings = Ceilings([arrays], slopes, threads, cost)
    times: dict[str, list[float]] = {name: [] for name in (*contestants, "limit")}
    order = random.Random(0)
    for _ in range(rounds):
        times["limit"].append(ceilings.measure().seconds)
        for name in order.sample(list(contestants), len(contestants)):
            start = time.perf_counter()
            _work(contestants[name], inputs)
            times[name].append(time.perf_counter() - start)
    ceilings.close()
    return {"seconds": times}


def _process(loss: str, sizes: Mapping[str, int], options: argparse.Namespace, more: Mapping[str, str]) -> Any:
    command = [sys.executable, "-m", "lossmark.benchmarks.wide", "--loss", loss, "--rounds", str(options.rounds)]
    command += ["--threads", str(options.threads), "--inside", *(["--compiled"] if options.compiled else [])]
    command += ["--sizes", ",".join(f"{axis}={size}" for axis, size in sizes.items())]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(options.threads))
    done = subprocess.run(command, env=os.environ | threads | dict(more), stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def rows(loss: str, sizes: Mapping[str, int], options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each contestant, from the two processes."""
    times = _process(loss, sizes, options, WARM)["seconds"]
    peaks = _process(loss, sizes, options, {})["peak"]

    def ratio(over: str, under: str) -> float:
        return statistics.median(x / y for x, y in zip(times[over], times[under], strict=True))

    def row(name: str) -> dict[str, Any]:
        held = peaks[name] / peaks["torch"] if peaks[name] and peaks["torch"] else None
        return {
            "loss": loss, "size": dict(sizes), "impl": name, "threads": options.threads, "rounds": len(times[name]),
            "seconds": statistics.median(times[name]), "of_limit": ratio("limit", name), "speed": ratio("torch", name),
            "fused_is": ratio(name, "torch-fused"), "peak": peaks[name], "memory": held,
        }  # fmt: skip

    return [row(name) for name in times if name != "limit"]


def main(arguments: Sequence[str]) -> None:
    """Print a line for each contestant, and write all into a file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loss", action="append", choices=list(SIZES), help="only this loss (repeatable)")
    parser.add_argument("--sizes", help="lengths of the axes in place of the loss's own: B=1024,C=8000,D=256")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=cores(), help="with others beside, 1 is what can be measured")
    parser.add_argument("--compiled", action="store_true", help="time the plain form under torch.compile, too")
    parser.add_argument("-o", "--output", help="results file, JSON")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    found = []
    for loss in options.loss or SIZES:
        given = dict(pair.split("=") for pair in options.sizes.split(",")) if options.sizes else {}
        sizes = {axis: int(given.get(axis, size)) for axis, size in SIZES[loss].items()}
        if options.inside:
            print(json.dumps(measured(loss, sizes, options.rounds, options.compiled, options.threads)))
            return
        for row in rows(loss, sizes, options):
            memory = "–" if row["memory"] is None else f"{row['memory']:.2f}"
            print(
                f"{loss:21} {row['impl']:19} {row['seconds']:8.3f} s  {row['of_limit']:5.0%} of the limit  "
                f"{row['speed']:5.2f}x plain  torch-fused is {row['fused_is']:5.2f}x it  {memory} of plain's memory",
                flush=True,
            )
            found.append(row)
    if options.output:
        kept = {"environment": environment({"torch": torch.__version__}, {}), "rows": found}
        with open(options.output, "w", encoding="utf-8") as file:
            json.dump(kept, file, indent=1)


if __name__ == "__main__":
    main(sys.argv[1:])
