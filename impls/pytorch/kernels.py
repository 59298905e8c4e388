"""Triton kernels of the fused losses: per loss one pass forward, which reads the inputs once and writes a number or two
per example, and one backward, which reads them once more and writes the gradients that are asked for.

A program goes over ``ROWS`` examples in steps of ``COLUMNS`` dimensions. Inputs have any strides, gradients are
contiguous, offsets have 64 bits. Sums accumulate in the dtype of the losses, which is that of labels too. What is done
once per example and not exactly is done in float64: its cost is nothing beside the rows, and the fast exp and log of a
GPU in float32 are wrong by more than the specs allow where the loss is small.
"""

import triton
import triton.language as tl

LEAST_32, DOWN_32, UP_32 = tl.constexpr(2.0**-80), tl.constexpr(2.0**-100), tl.constexpr(2.0**100)
LEAST_64, DOWN_64, UP_64 = tl.constexpr(2.0**-900), tl.constexpr(2.0**-600), tl.constexpr(2.0**600)
"""A sum of squares below ``LEAST`` has lost bits; the factors keep squares of large and of small rows in range."""


@triton.jit
def _rows(ROWS: tl.constexpr):
    return tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)


@triton.jit
def _tile(x, row, column, B, D, by_row, by_column, WIDE: tl.constexpr):
    """The numbers [ROWS, COLUMNS] of an input, 0 beyond its ends."""
    inside = (row < B)[:, None] & (column < D)[None, :]
    at = x + row[:, None] * by_row + column[None, :].to(tl.int64) * by_column
    return tl.load(at, mask=inside, other=0.0).to(WIDE)


@triton.jit
def _write(x, row, column, B, D, values):
    """Into a contiguous gradient, rounded to its dtype."""
    inside = (row < B)[:, None] & (column < D)[None, :]
    tl.store(x + row[:, None] * D + column[None, :], values.to(x.dtype.element_ty), mask=inside)


@triton.jit
def _cotangents(g, by_row, row, B, count, WIDE: tl.constexpr):
    """Those of the losses, from ``g`` [B] (or one number: a stride of 0), shared among ``count`` examples."""
    return divided(tl.load(g + row * by_row, mask=row < B, other=0.0).to(WIDE), tl.full((), count, WIDE))


@triton.jit
def divided(x, y):
    """x / y, correctly rounded: ``/`` is not, in float32."""
    if x.dtype == tl.float32:
        return tl.div_rn(x, y)
    else:
        return x / y


@triton.jit
def _root(x):
    """√x, correctly rounded."""
    if x.dtype == tl.float32:
        return tl.sqrt_rn(x)
    else:
        return tl.sqrt(x)


@triton.jit
def _relu(x):
    """max(0, x); a NaN stays."""
    return tl.where(x <= 0, 0.0, x)


# -- ranking: hinge and BPR ------------------------------------------------------------------------------------------


@triton.jit
def _softplus(x):
    """log(1 + exp(x)) = max(x, 0) + log1p(t), t = exp(-|x|), with log1p(t) = log(w)·t/(w - 1) of w = 1 + t rounded."""
    t = tl.exp(-tl.abs(x))
    w = 1 + t
    return _relu(x) + tl.where(w == 1, t, tl.log(w) * (t / (w - 1)))


@triton.jit
def ranking_forward(
    u, d_pos, d_neg, loss, kept, B, D,
    u_row, u_column, pos_row, pos_column, neg_row, neg_column,
    margin: tl.float64, HINGE: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """``loss`` and ``kept`` [B]: the loss of x = ⟨u, d⁻ - d⁺⟩, and x."""
    WIDE: tl.constexpr = loss.dtype.element_ty
    row = _rows(ROWS)
    x = tl.zeros((ROWS,), WIDE)
    for start in range(0, D, COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        pos = _tile(d_pos, row, column, B, D, pos_row, pos_column, WIDE)
        neg = _tile(d_neg, row, column, B, D, neg_row, neg_column, WIDE)
        x += tl.sum((neg - pos) * _tile(u, row, column, B, D, u_row, u_column, WIDE), 1)
    found = _relu(x + tl.full((), margin, WIDE)) if HINGE else _softplus(x.to(tl.float64)).to(WIDE)
    tl.store(loss + row, found, mask=row < B)
    tl.store(kept + row, x, mask=row < B)


@triton.jit
def ranking_backward(
    u, d_pos, d_neg, kept, g, by_u, by_pos, by_neg, B, D,
    u_row, u_column, pos_row, pos_column, neg_row, neg_column,
    g_row, count, margin: tl.float64, HINGE: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """slope·(d⁻ - d⁺), -slope·u and slope·u, of what is not None."""
    WIDE: tl.constexpr = kept.dtype.element_ty
    row = _rows(ROWS)
    x = tl.load(kept + row, mask=row < B, other=0.0)
    slope = _cotangents(g, g_row, row, B, count, WIDE)
    if HINGE:
        slope *= tl.where(x > -tl.full((), margin, WIDE), 1.0, 0.0)
    else:
        slope *= (1 / (1 + tl.exp(-x.to(tl.float64)))).to(WIDE)
    for start in range(0, D, COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        if by_u is not None:
            pos = _tile(d_pos, row, column, B, D, pos_row, pos_column, WIDE)
            neg = _tile(d_neg, row, column, B, D, neg_row, neg_column, WIDE)
            _write(by_u, row, column, B, D, slope[:, None] * (neg - pos))
        if by_pos is not None or by_neg is not None:
            along = slope[:, None] * _tile(u, row, column, B, D, u_row, u_column, WIDE)
            if by_pos is not None:
                _write(by_pos, row, column, B, D, -along)
            if by_neg is not None:
                _write(by_neg, row, column, B, D, along)


# -- contrastive -----------------------------------------------------------------------------------------------------


@triton.jit
def _contrastive_terms(d, y, margin):
    push = _relu(tl.full((), margin, d.dtype) - d)
    return y * (d * d) + (1 - y) * (push * push)


@triton.jit
def _contrastive_slope(d, y, margin):
    return 2 * (y * d - (1 - y) * _relu(tl.full((), margin, d.dtype) - d))


@triton.jit
def contrastive_forward(d, y, loss, B, d_row, y_row, margin: tl.float64, ROWS: tl.constexpr):
    """``loss`` [B] of the distances."""
    row = _rows(ROWS)
    distance = tl.load(d + row * d_row, mask=row < B, other=0.0).to(loss.dtype.element_ty)
    label = tl.load(y + row * y_row, mask=row < B, other=0.0)
    tl.store(loss + row, _contrastive_terms(distance, label, margin), mask=row < B)


@triton.jit
def contrastive_backward(d, y, g, by_d, B, d_row, y_row, g_row, count, margin: tl.float64, ROWS: tl.constexpr):
    """2·y·d - 2·(1-y)·max(margin - d, 0)."""
    row = _rows(ROWS)
    label = tl.load(y + row * y_row, mask=row < B, other=0.0)
    distance = tl.load(d + row * d_row, mask=row < B, other=0.0).to(label.dtype)
    slope = _contrastive_slope(distance, label, margin) * _cotangents(g, g_row, row, B, count, label.dtype)
    tl.store(by_d + row, slope.to(by_d.dtype.element_ty), mask=row < B)


@triton.jit
def _squared_distance(
    x, y, row, B, D, x_row, x_column, y_row, y_column, factor, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """‖factor·(x - y)‖² [ROWS]."""
    total = tl.zeros_like(factor)
    for start in range(0, D, COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        here = _tile(x, row, column, B, D, x_row, x_column, factor.dtype)
        there = _tile(y, row, column, B, D, y_row, y_column, factor.dtype)
        apart = (here - there) * factor[:, None]
        total += tl.sum(apart * apart, 1)
    return total


@triton.jit
def contrastive_pair_forward(
    x1, x2, y, loss, kept, B, D, x1_row, x1_column, x2_row, x2_column, y_row,
    margin: tl.float64, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """``loss`` and ``kept`` [B]: the contrastive loss of d = ‖x1 - x2‖₂, and d."""
    WIDE: tl.constexpr = loss.dtype.element_ty
    row = _rows(ROWS)
    one = tl.full((ROWS,), 1.0, WIDE)
    squared = _squared_distance(x1, x2, row, B, D, x1_row, x1_column, x2_row, x2_column, one, ROWS, COLUMNS)
    if squared.dtype == tl.float64:
        least, down, up = LEAST_64, DOWN_64, UP_64
    else:
        least, down, up = LEAST_32, DOWN_32, UP_32
    ordinary = (squared > least) & (squared < float("inf")) | (row >= B)
    d = _root(squared)
    if tl.min(ordinary.to(tl.int32), 0) == 0:  # once more, with the squares in range
        small = squared <= least
        factor = tl.where(ordinary, one, tl.where(small, tl.full((), up, WIDE), tl.full((), down, WIDE)))
        back = tl.where(ordinary, one, tl.where(small, tl.full((), down, WIDE), tl.full((), up, WIDE)))
        squared = _squared_distance(x1, x2, row, B, D, x1_row, x1_column, x2_row, x2_column, factor, ROWS, COLUMNS)
        d = _root(squared) * back
    label = tl.load(y + row * y_row, mask=row < B, other=0.0)
    tl.store(loss + row, _contrastive_terms(d, label, margin), mask=row < B)
    tl.store(kept + row, d, mask=row < B)


@triton.jit
def contrastive_pair_backward(
    x1, x2, y, kept, g, by_x1, by_x2, B, D, x1_row, x1_column, x2_row, x2_column, y_row,
    g_row, count, margin: tl.float64, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """±slope·(x1 - x2)/d, of what is not None; 0 where d = 0."""
    WIDE: tl.constexpr = kept.dtype.element_ty
    row = _rows(ROWS)
    d = tl.load(kept + row, mask=row < B, other=1.0)
    label = tl.load(y + row * y_row, mask=row < B, other=0.0)
    slope = _contrastive_slope(d, label, margin) * _cotangents(g, g_row, row, B, count, WIDE)
    length = tl.where(d == 0, 1.0, d)
    for start in range(0, D, COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        here = _tile(x1, row, column, B, D, x1_row, x1_column, WIDE)
        there = _tile(x2, row, column, B, D, x2_row, x2_column, WIDE)
        unit = tl.where((d == 0)[:, None], 0.0, divided(here - there, length[:, None]))
        if by_x1 is not None:
            _write(by_x1, row, column, B, D, slope[:, None] * unit)
        if by_x2 is not None:
            _write(by_x2, row, column, B, D, -slope[:, None] * unit)


# -- labeled triplet ---------------------------------------------------------------------------------------------------


@triton.jit
def triplet_forward(
    anc, pos, neg, label, loss, B, D,
    anc_row, anc_column, pos_row, pos_column, neg_row, neg_column, label_row,
    margin: tl.float64, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """``loss`` [B]: 2‖near - anc‖² - ‖anc - far‖² - ‖near - far‖² + margin."""
    WIDE: tl.constexpr = loss.dtype.element_ty
    row = _rows(ROWS)
    y = tl.load(label + row * label_row, mask=row < B, other=0.0)
    ap, an, pn = tl.zeros((ROWS,), WIDE), tl.zeros((ROWS,), WIDE), tl.zeros((ROWS,), WIDE)
    for start in range(0, D, COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        a = _tile(anc, row, column, B, D, anc_row, anc_column, WIDE)
        p = _tile(pos, row, column, B, D, pos_row, pos_column, WIDE)
        n = _tile(neg, row, column, B, D, neg_row, neg_column, WIDE)
        ap += tl.sum((a - p) * (a - p), 1)
        an += tl.sum((a - n) * (a - n), 1)
        pn += tl.sum((p - n) * (p - n), 1)
    near, far = tl.where(y == 1, ap, an), tl.where(y == 1, an, ap)
    found = 2 * near - far - pn + tl.full((), margin, WIDE)
    tl.store(loss + row, tl.where(y == y, found, y), mask=row < B)  # a NaN label stays


@triton.jit
def triplet_backward(
    anc, pos, neg, label, g, by_anc, by_pos, by_neg, B, D,
    anc_row, anc_column, pos_row, pos_column, neg_row, neg_column, label_row,
    g_row, count, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The gradients of what is not None."""
    WIDE: tl.constexpr = label.dtype.element_ty
    row = _rows(ROWS)
    y = tl.load(label + row * label_row, mask=row < B, other=0.0)
    weight = _cotangents(g, g_row, row, B, count, WIDE)
    ap = tl.where(y == 1, 4 * weight, -2 * weight)[:, None]
    an = tl.where(y == 1, -2 * weight, 4 * weight)[:, None]
    pn = (-2 * weight)[:, None]
    for start in range(0, D, COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        a = _tile(anc, row, column, B, D, anc_row, anc_column, WIDE)
        p = _tile(pos, row, column, B, D, pos_row, pos_column, WIDE)
        n = _tile(neg, row, column, B, D, neg_row, neg_column, WIDE)
        if by_anc is not None:
            _write(by_anc, row, column, B, D, ap * (a - p) + an * (a - n))
        if by_pos is not None:
            _write(by_pos, row, column, B, D, pn * (p - n) - ap * (a - p))
        if by_neg is not None:
            _write(by_neg, row, column, B, D, -(an * (a - n)) - pn * (p - n))
