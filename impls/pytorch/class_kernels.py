"""Triton kernels of the losses over classes: forward reads the logits once and writes a few numbers per row, backward
reads them once more and writes the gradient. What is done once per row is done around them, in float64.

A program goes over ``ROWS`` rows in steps of ``COLUMNS`` classes, the largest logit and the sum relative to it running
with it. Rows of class -1 are ignored, and never read. Logits have any strides, and so has the gradient, which may be
written over them. Label smoothing reads them once more, for a sum that is relative to the largest.
"""

import triton
import triton.language as tl

from .kernels import divided


@triton.jit
def _tanh(x):
    """As Cephes has it: a rational function near 0, and 1 - 2/(exp(2·|x|) + 1) beyond."""
    size = tl.abs(x)
    z = x * x
    if x.dtype == tl.float64:
        above = (-9.64399179425052238628e-1 * z - 9.92877231001918586564e1) * z - 1.61468768441708447952e3
        below = ((z + 1.12811678491632931402e2) * z + 2.23548839060100448583e3) * z + 4.84406305325125486048e3
        near = x + x * z * (above / below)
    else:
        near = ((-5.70498872745e-3 * z + 2.06390887954e-2) * z - 5.37397155531e-2) * z + 1.33314422036e-1
        near = (near * z - 3.33332819422e-1) * z * x + x
    far = 1 - divided(tl.full(x.shape, 2.0, x.dtype), tl.exp(2 * size) + 1)
    return tl.where(size < 0.625, near, tl.where(x < 0, -far, far))


@triton.jit
def _bent(x, cap):
    """tanh(x/cap)."""
    return _tanh(divided(x, tl.full(x.shape, cap, x.dtype)))


@triton.jit
def _capped(x, cap, CAPPED: tl.constexpr):
    """cap·tanh(x/cap), or x as it is."""
    if CAPPED:
        return tl.full(x.shape, cap, x.dtype) * _bent(x, cap)
    else:
        return x


@triton.jit
def _at(x, row, column, by_row, by_column):
    return x + row[:, None] * by_row + column[None, :].to(tl.int64) * by_column


@triton.jit
def _weights(weight, column, C, WIDE: tl.constexpr):
    """Those of some classes, 1 where there are none, 0 beyond the last."""
    if weight is None:
        return tl.where(column < C, 1.0, 0.0).to(WIDE)
    else:
        return tl.load(weight + column, mask=column < C, other=0.0)


@triton.jit
def class_sums(
    logits, index, largest, total, at_y, B, C, by_row, by_column,
    cap: tl.float64, CAPPED: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Of each row m = max x, Σ exp(x - m) and x_y - m; [B] each."""
    WIDE: tl.constexpr = total.dtype.element_ty
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    y = tl.load(index + row, mask=row < B, other=-1)
    counted = y >= 0
    most, sums = tl.full((ROWS,), float("-inf"), WIDE), tl.zeros((ROWS,), WIDE)
    for start in range(0, C, COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        inside = counted[:, None] & (column < C)[None, :]
        x = tl.load(_at(logits, row, column, by_row, by_column), mask=inside, other=0.0).to(WIDE)
        x = tl.where(inside, _capped(x, cap, CAPPED), float("-inf"))
        more = tl.maximum(most, tl.max(x, 1))
        base = tl.where(more == float("-inf"), 0.0, more)  # nothing but -inf so far
        sums = sums * tl.exp(most - base) + tl.sum(tl.exp(x - base[:, None]), 1)
        most = more
    own = tl.load(logits + row * by_row + y * by_column, mask=counted, other=0.0).to(WIDE)
    tl.store(largest + row, most, mask=row < B)
    tl.store(total + row, sums, mask=row < B)
    tl.store(at_y + row, _capped(own, cap, CAPPED) - most, mask=row < B)


@triton.jit
def class_weighed(
    logits, index, weight, largest, even, B, C, by_row, by_column,
    cap: tl.float64, CAPPED: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Σ w·(x - m) of each row, where m is its largest; ``even`` [B]."""
    WIDE: tl.constexpr = even.dtype.element_ty
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    counted = tl.load(index + row, mask=row < B, other=-1) >= 0
    most = tl.load(largest + row, mask=counted, other=0.0)
    sums = tl.zeros((ROWS,), WIDE)
    for start in range(0, C, COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        inside = counted[:, None] & (column < C)[None, :]
        x = tl.load(_at(logits, row, column, by_row, by_column), mask=inside, other=0.0).to(WIDE)
        each = _weights(weight, column, C, WIDE)[None, :] * (_capped(x, cap, CAPPED) - most[:, None])
        sums += tl.sum(tl.where(inside, each, 0.0), 1)
    tl.store(even + row, sums, mask=row < B)


@triton.jit
def class_slopes(
    logits, index, weight, shift, by_exp, spread, at_y, out, B, C, by_row, by_column, out_row, out_column,
    cap: tl.float64, CAPPED: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """exp(x - shift)·by_exp - spread·w, or less nothing without a ``spread``; at_y at y; 0 in rows that are ignored."""
    WIDE: tl.constexpr = shift.dtype.element_ty
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    y = tl.load(index + row, mask=row < B, other=-1)
    counted = y >= 0
    most = tl.load(shift + row, mask=counted, other=0.0)
    factor = tl.load(by_exp + row, mask=counted, other=0.0)
    own = tl.load(at_y + row, mask=counted, other=0.0)
    for start in range(0, C, COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        inside = counted[:, None] & (column < C)[None, :]
        x = tl.load(_at(logits, row, column, by_row, by_column), mask=inside, other=0.0).to(WIDE)
        found = tl.exp(_capped(x, cap, CAPPED) - most[:, None]) * factor[:, None]
        if spread is not None:
            each = tl.load(spread + row, mask=counted, other=0.0)
            found -= each[:, None] * _weights(weight, column, C, WIDE)[None, :]
        found = tl.where(column[None, :] == y[:, None], own[:, None], found)
        if CAPPED:
            bent = _bent(x, cap)
            found *= 1 - bent * bent
        written = tl.where(counted[:, None], found, 0.0).to(out.dtype.element_ty)
        tl.store(_at(out, row, column, out_row, out_column), written, mask=(row < B)[:, None] & (column < C)[None, :])
