"""Results made up for the tests of the report."""

from dataclasses import asdict

import pandas as pd
from lossmark.reports.build import build

from lossmark.results.cell import Cell
from lossmark.results.environment import environment
from lossmark.results.record import Recorder, write_parquet
from lossmark.timing.row import BenchRow

HOSTILE = "<script>alert(1)</script> \"'`=1+1|[x](javascript:1) \u202eabc\u202c \x00 {{ 7*7 }}"
LOSSES = ("bpr", "contrastive", "contrastive_pair", "labeled_triplet", "pairwise_hinge")
KEY = ("impl", "device", "dtype", "mode", "case", "check")


def cell(number=0, verdict="pass", impl="torch", detail="", **changed):
    """One of many different cells."""
    found = {
        "impl": impl, "framework": "torch", "device": "cpu", "dtype": ("float32", "float64")[number % 2],
        "mode": "eager", "loss": LOSSES[number % 5], "case": f"{LOSSES[number % 5]}/case-{number}", "check": "value",
        "verdict": verdict, "error_ulp": 0.3 + number % 7, "budget_used": 0.1 + number % 9 / 10, "detail": detail,
    }  # fmt: skip
    return Cell(**(found | changed))


HALF = "mean: got 0.3465735912322998 (0x1.62e42fp-2), expected 0.693147 (0x1.62e42fp-1), off by 4e+06 ulp, bound 1e-7"
FAILING = cell(0, "fail", detail=HALF, case="bpr/worked", loss="bpr", dtype="float32")


def written(path, cells, *, footer=True, planned=None, version=None):
    with path.open("w", encoding="utf-8") as stream:
        recorder = Recorder(stream)
        surroundings = environment({}, {}) | {"implementations": {"torch": "my losses.py"}}
        recorder.header(len(cells) if planned is None else planned, surroundings)
        recorder.cells([each.record() for each in cells])
        if footer:
            recorder.footer()
    if version:
        path.write_text(path.read_text(encoding="utf-8").replace('"lossmark": "', f'"lossmark": "{version}'))
    return path


def page(folder, cells, *others, **options):
    return build([written(folder / "results.jsonl", cells), *others], folder / "site", **options)


def timed(path):
    """Benchmarks of a plain form and one that is compiled in a fifth of a second and saves a millisecond a call."""
    place = ("bpr", 4096, 128, "float32", "cpu", "fwd+bwd", "warm")
    plain = BenchRow(*place, "torch", "torch", "eager", 2, seconds=2e-3, low=1.9e-3, high=2.2e-3, ratio=1.0)
    compiled = BenchRow(
        *place, "torch-fused", "torch", "compile", 2, seconds=1e-3, low=9e-4, high=2e-3, compilation=0.2
    )
    frame = pd.DataFrame([asdict(plain), asdict(compiled)])
    frame.attrs["environment"] = environment({}, {})
    write_parquet(frame, path)
    return path
