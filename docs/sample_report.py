"""The sample report that lies beside the pages: a real run and its times, with the README's mistaken BPR in it."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from lossmark.benchmarks import quick
from lossmark.reports.build import build as report

from lossmark.results.record import read

README = Path(__file__).resolve().parents[1] / "README.md"
RUNS = (
    ("--impl", "numpy", "--impl", "torch", "--impl", "torch-fused"),
    ("--impl", "my_losses.py"),
)
"""The options of the runs that the report shows."""
SECONDS = 20.0
"""About how long the first run's implementations are timed."""


def build(folder: Path) -> Path:
    """Run conformance and write the report into ``folder``; returns its first page. Raises RuntimeError."""
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "my_losses.py").write_text(example(), encoding="utf-8")
        results = []
        for number, options in enumerate(RUNS):
            results.append(Path(place) / f"run-{number}.jsonl")
            command = [sys.executable, "-m", "lossmark", "check", *options, "--results", str(results[-1]), "-q"]
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
            if done.returncode not in (0, 1):  # 1: the mistake is found
                raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        timed = quick.measure(read(results[0]), Path(place) / "bench.parquet", SECONDS)
        return report([*results, *([timed] if timed else [])], folder)


def example() -> str:
    """The file of the README's example."""
    found = re.search(r"^```python\n(# my_losses\.py\n.*?)^```$", README.read_text(encoding="utf-8"), re.M | re.S)
    if found is None:
        raise RuntimeError(f"{README} shows no my_losses.py")
    return found[1]
