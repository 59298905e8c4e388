"""The Triton kernels where there is no GPU: their results in Triton's interpreter, and what they are compiled to."""

import collections
import re
import subprocess
from pathlib import Path

import pytest

from tests.test_conformance import held

torch = pytest.importorskip("torch")
triton = pytest.importorskip("triton")

INTERPRETED = """
import os
os.environ["TRITON_INTERPRET"] = "1"
import ml_dtypes
import triton.language as tl
from triton.runtime import interpreter
from lossmark.impls.pytorch import fused, triton_

converted = interpreter._convert_float

def rounded(x, of, to, mode):
    if to != tl.bfloat16:
        return converted(x, of, to, mode)
    return x.astype(ml_dtypes.bfloat16).view("uint16")  # to nearest, as on a GPU; the interpreter cuts off

interpreter._convert_float = rounded
triton_.TILE, triton_.WIDEST, triton_.EXAMPLES = 8192, 64, 256  # several programs of several steps, but not thousands
fused.few, fused.passes_for = (lambda x: False), (lambda x: triton_)
impl = fused.impl
"""


@pytest.mark.parametrize(
    ("dtype", "losses"),
    [
        ("float32", ("bpr", "contrastive", "contrastive_pair", "labeled_triplet", "pairwise_hinge")),
        ("bfloat16", ("labeled_triplet", "pairwise_hinge")),
        ("float64", ("bpr", "contrastive_pair")),
    ],
)
def test_the_kernels_conform(dtype, losses, tmp_path):
    few = "--case=*[!9][!0]??"  # all but 1000x1024, 150x2049 and 4097x9, for which the interpreter takes 10 s each
    chosen = [few, *[f"--loss={name}" for name in losses]]
    done, results = held(INTERPRETED, tmp_path, "--dtype", dtype, *chosen)
    wrong = [cell for cell in results.cells if cell.verdict in ("fail", "error")]
    assert not wrong, wrong[:3]
    assert done.returncode == 0, done.stdout[-2000:]
    assert results.counts["pass"] > 120 * len(losses)


@pytest.mark.parametrize(
    ("dtype", "losses"),
    [
        ("float32", ("cross_entropy", "cross_entropy_z", "linear_cross_entropy")),
        ("bfloat16", ("cross_entropy",)),
        ("float64", ("cross_entropy_z",)),
    ],
)
def test_the_kernels_over_classes_conform(dtype, losses, tmp_path):
    source = INTERPRETED.replace("8192, 64", "8192, 512")  # 128,256 classes in steps of 64 take the interpreter 20 s
    chosen = ["--case=*[!0]", *[f"--loss={name}" for name in losses]]
    done, results = held(source, tmp_path, "--dtype", dtype, *chosen)
    wrong = [cell for cell in results.cells if cell.verdict in ("fail", "error")]
    assert not wrong, wrong[:3]
    assert done.returncode == 0, done.stdout[-2000:]
    assert results.counts["pass"] > 120 * len(losses)


class Absent:
    """The driver of a GPU of some compute capability that is not here: enough to compile for it."""

    def __init__(self, capability):
        self.capability = capability

    def get_current_device(self):
        return self.capability

    def get_current_stream(self, device):
        return 0

    def get_current_target(self):
        return triton.backends.compiler.GPUTarget("cuda", self.capability, 32)


B, D = 4096, 128


@pytest.fixture(params=[80, 90], ids="sm_{}".format)
def compiled(request, monkeypatch):
    """What each launch is compiled to, instead of being launched."""
    from lossmark.impls.pytorch import triton_

    programs = []

    def launch(kernel, over, rows, *arguments, **constants):
        grid = (triton.cdiv(len(over), rows),)
        programs.append((kernel.warmup(*arguments, grid=grid, ROWS=rows, **constants), rows))

    monkeypatch.setattr(triton_, "_launch", launch)
    monkeypatch.setattr(triton.runtime.driver, "_active", Absent(request.param))
    return programs


def passes(dtype):
    """Losses with their inputs, how many of these are embeddings, and how often the code for forward reads them."""
    from lossmark.impls.pytorch import triton_

    embeddings = [torch.ones(B, D, dtype=dtype) for _ in range(3)]
    label = torch.ones(B, dtype=torch.float64 if dtype == torch.float64 else torch.float32)
    return [
        (triton_.Hinge(0.1), embeddings, 3, 1),
        (triton_.Bpr(), embeddings, 3, 1),
        (triton_.ContrastivePair(0.1), [*embeddings[:2], label], 2, 2),  # again where a square is out of range
        (triton_.LabeledTriplet(0.1), [*embeddings, label], 3, 1),
    ]


def logits_of(dtype):
    """Logits [B, C] with a class of each row and what it counts, the last row ignored."""
    share = torch.ones(B, dtype=torch.float64 if dtype == torch.float64 else torch.float32)
    index = torch.arange(B) % D
    index[-1] = -1
    return torch.ones(B, D, dtype=dtype), index, share


def spilled(program, folder):
    """Bytes of stack that a thread needs beside its registers."""
    cubin = folder / "kernel.cubin"
    cubin.write_bytes(program.asm["cubin"])
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    usage = subprocess.run([tool, "-res-usage", cubin], capture_output=True, text=True, check=True).stdout
    return sum(map(int, re.findall(r"(?:STACK|LOCAL):(\d+)", usage)))


def moved(program, what):
    """Bytes that a thread loads from or stores to global memory, by the bits of one instruction."""
    found = re.findall(rf"{what}\.global(?:\.v(\d))?\.b(\d+)", program.asm["ptx"])
    total = collections.Counter()
    for count, bits in found:
        total[int(count or 1) * int(bits)] += int(count or 1) * int(bits) // 8
    return total


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_rows_are_read_once_and_written_once_in_words_of_128_bits(dtype, compiled, tmp_path):
    dtype = getattr(torch, dtype)
    for loss, inputs, count, readings in passes(dtype):
        _, kept = loss.forward(*inputs)
        loss.backward(inputs, kept, torch.ones((), dtype=dtype), B, [True] * count)
        (forward, rows), (backward, _) = compiled[-2:]
        threads = 32 * forward.metadata.num_warps
        once = count * rows * D * dtype.itemsize // threads
        assert moved(forward, "ld")[128] == readings * once
        assert moved(backward, "ld")[128] == once
        assert moved(backward, "st") == {128: once}
        assert not spilled(forward, tmp_path)
        assert not spilled(backward, tmp_path)


def test_a_gradient_that_is_not_wanted_is_not_written(compiled):
    loss, inputs, *_ = passes(torch.float32)[0]
    _, kept = loss.forward(*inputs)
    found = loss.backward(inputs, kept, torch.ones(()), B, [False, False, True])
    assert [x is None for x in found] == [True, True, False]
    program, rows = compiled[-1]
    threads = 32 * program.metadata.num_warps
    assert moved(program, "st") == {128: rows * D * 4 // threads}
    assert moved(program, "ld")[128] == rows * D * 4 // threads  # u alone


@pytest.mark.parametrize("shape", [(1, 1), (7, 129), (16, 2000)])
def test_every_shape_and_layout_compiles(shape, compiled):
    from lossmark.impls.pytorch import triton_

    batch, width = shape
    wide = torch.ones(width, 2 * batch).t()[::2]  # neither rows nor columns are beside each other
    label = torch.ones(2 * batch)[::2]
    for loss, inputs, count in (
        (triton_.Hinge(0.1), [wide] * 3, 3),
        (triton_.Bpr(), [wide] * 3, 3),
        (triton_.Contrastive(0.1), [label, label], 1),
        (triton_.ContrastivePair(0.1), [wide, wide, label], 2),
        (triton_.LabeledTriplet(0.1), [wide, wide, wide, label], 3),
    ):
        _, kept = loss.forward(*inputs)
        for g, among in ((torch.ones(()), batch), (torch.ones(batch), 1)):
            loss.backward(inputs, kept, g, among, [True] * count)
            loss.backward(inputs, kept, g, among, [True] + [False] * (count - 1))
    assert all(program.asm["cubin"] for program, _ in compiled)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("form", [{}, {"smoothing": 0.1}, {"z": 0.1, "cap": 5.0}], ids=str)
def test_logits_are_read_once_and_their_gradient_is_written_once(dtype, form, compiled, tmp_path):
    from lossmark.impls.pytorch import triton_

    dtype = getattr(torch, dtype)
    inputs = logits_of(dtype)
    loss = triton_.CrossEntropy(**form)
    _, kept = loss.forward(*inputs)
    loss.backward(inputs, kept, torch.ones((), dtype=dtype), B, [True])
    assert len(compiled) == (3 if "smoothing" in form else 2)  # which reads once more, relative to the largest
    for program, rows in compiled:
        once = rows * D * dtype.itemsize // (32 * program.metadata.num_warps)
        assert moved(program, "ld")[128] == once
        assert not spilled(program, tmp_path)
    assert moved(program, "st") == {128: once}
