"""What is measured: each subject's commands, the files that these write, and how long they take."""

from collections.abc import Iterator
from dataclasses import dataclass

OUT = "reports/out/measured"
"""Where commands leave their files, from the root of a clone; ignored by git."""


@dataclass(frozen=True)
class Command:
    """A line for the shell, run in the root of a clone; it writes ``file``, and ends with one of ``codes``."""

    text: str
    file: str
    codes: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Subject:
    """What is measured together and kept in one file; ``minutes`` is about what it takes on two quiet processors."""

    commands: tuple[Command, ...]
    minutes: int


def _command(words: str, file: str, codes: tuple[int, ...] = (0,)) -> Command:
    path = f"{OUT}/{file}"
    return Command(words.replace("FILE", path), path, codes)


def _bench(words: str, file: str) -> Command:
    return _command(f"lossmark bench --full --dtype float32 --allocator warm {words} -o FILE", file)


SIZES = (
    *(f"{batch}x16" for batch in (64, 256, 1024, 4096, 16384, 65536, 262144)),
    *(f"{batch}x128" for batch in (64, 256, 1024, 4096, 16384)),
    *(f"{batch}x1024" for batch in (64, 256, 1024)),
)
"""Small and middle ones, at which a fast form could lose what it gains at large ones."""
TORCH, TENSORFLOW, JAX = (f"--impl {name} --impl {name}-fused" for name in ("torch", "tensorflow", "jax"))
PEERS = {
    "torch": f"{TORCH} --impl recbole --impl torch-nn",
    "tensorflow": f"{TENSORFLOW} --impl keras-rs --impl tensorflow-addons",
    "jax": f"{JAX} --impl optax",
}
GUESTS = "--impl recbole --impl torch-nn --impl keras-rs --impl tensorflow-addons --impl optax"


def _sizes() -> Iterator[Command]:
    sizes = " ".join(f"--size {size}" for size in SIZES)
    for name, chosen in (
        ("numpy", "--impl numpy --impl numpy-fused"),
        ("torch", f"{TORCH} --mode eager"),
        ("tensorflow", f"{TENSORFLOW} --mode eager --mode graph"),
        ("jax", JAX),
    ):
        yield _bench(f"--pass fwd+bwd {chosen} {sizes}", f"sizes-{name}.parquet")


def _peers() -> Iterator[Command]:
    for name, chosen in PEERS.items():
        yield _bench(f"--pass fwd+bwd --size 65536x128 {chosen}", f"peers-{name}.parquet")
    yield _bench(f"--pass fwd+bwd --loss contrastive --size 65536x16 {PEERS['tensorflow']}", "peers-flat.parquet")
    yield _command(f"pytest conformance -q {GUESTS} --results FILE", "peers.jsonl", codes=(0, 1))


def _of_each_framework(what: str, codes: tuple[int, ...] = (0,)) -> Iterator[Command]:
    for name in ("numpy", "torch", "tensorflow", "jax"):
        words = f"lossmark mutants --{what} --framework {name} --results FILE"
        yield _command(words, f"{what}-{name}.json", codes=codes)


def _gate() -> Iterator[Command]:
    for slowdown, gates in (("0.0", 34), ("0.1", 7), ("0.3", 3), ("0.033", 3)):
        for neighbours in (0, 2, 4):
            words = f"LOSSMARK_FIGURES=FILE LOSSMARK_POWER={gates} pytest tests/gate_power.py -m soak -s"
            yield _command(f"{words} -k 'rates and [{slowdown}-{neighbours}]'", f"gate-{slowdown}-{neighbours}.jsonl")
    words = "LOSSMARK_FIGURES=FILE LOSSMARK_POWER=3 pytest tests/gate_power.py -m soak -s"
    yield _command(f"{words} -k memory", "gate-memory.jsonl")


SUBJECTS = {
    "conformance": Subject((_command("pytest conformance -q --results FILE", "conformance.jsonl"),), 3),
    "sharpness": Subject((_command("lossmark mutants --results FILE", "sharpness.json"),), 10),
    "museum": Subject(tuple(_of_each_framework("museum", (0, 1))), 15),
    "right": Subject(tuple(_of_each_framework("right")), 60),
    "soak": Subject((_command("LOSSMARK_SOAK=FILE pytest tests/test_soak.py -m soak -s", "soak.jsonl"),), 5),
    "speed": Subject(
        (
            _bench("--size 65536x128", "speed.parquet"),
            _bench("--loss contrastive --size 64x16 --size 65536x16 --size 262144x16 --size 1048576x16",
                   "speed-flat.parquet"),
        ),
        15,
    ),
    "memory": Subject(
        (_command("lossmark bench --allocator default --pass fwd+bwd --size 65536x128 -o FILE", "memory.parquet"),), 3
    ),
    "peers": Subject(tuple(_peers()), 15),
    "sizes": Subject(tuple(_sizes()), 45),
    "hunt": Subject((_command("python -m lossmark.benchmarks.hunt_scale FILE", "hunt.json"),), 10),
    "compare": Subject(
        (_command("LOSSMARK_FIGURES=FILE LOSSMARK_REPEATS=4 pytest tests/compare_repeats.py -m soak -s",
                  "compare.jsonl"),),
        6,
    ),
    "gate": Subject(tuple(_gate()), 180),
}  # fmt: skip
"""By name, in the order in which they are measured: what takes longest comes last."""
