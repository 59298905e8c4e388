"""Hinge and BPR in PyTorch: sums in other orders and blocks, and gradients written by hand."""

import torch
from lossmark.tests.right_elsewhere.refusals import refuse_misfits
from lossmark.tests.right_elsewhere.shared_torch import REDUCE, ranking, wide
from lossmark.tests.right_elsewhere.torch_ranking import (
    by_roots,
    clamp,
    late_softplus,
    logaddexp,
    logsigmoid,
    masked,
    maximum,
    maximum_and_log1p,
    relu,
    two_sided,
    where,
)
from torch import Tensor
from torch.nn import functional

from lossmark import Implementation

ROWS, COLUMNS = 5, 48


def by_rows(x: Tensor, y: Tensor) -> Tensor:
    """A few rows at a time."""
    parts = [torch.einsum("bd,bd->b", a, b) for a, b in zip(x.split(ROWS), y.split(ROWS), strict=True)]
    return torch.cat(parts) if parts else (x * y).sum(1)


def by_columns(x: Tensor, y: Tensor) -> Tensor:
    """A few columns at a time, added to what is there."""
    total = x.new_zeros(x.shape[0])
    for a, b in zip(x.split(COLUMNS, dim=1), y.split(COLUMNS, dim=1), strict=True):
        total = total + (a * b).sum(1)
    return total


def compensated(x: Tensor, y: Tensor) -> Tensor:
    """Kahan's sum over blocks of columns; the compensation, whose derivative is 0, is no part of the graph."""
    total = x.new_zeros(x.shape[0])
    lost = torch.zeros_like(total)
    for a, b in zip(x.split(COLUMNS, dim=1), y.split(COLUMNS, dim=1), strict=True):
        term = (a * b).sum(1) - lost
        after = total + term
        lost = ((after - total) - term).detach()
        lost = torch.where(lost.isfinite(), lost, torch.zeros_like(lost))
        total = after
    return total


def halved(x: Tensor, y: Tensor) -> Tensor:
    """A tree: the one half of the columns is added to the other until one is left."""
    terms = x * y
    while terms.shape[1] > 1:
        half = terms.shape[1] // 2
        joined = terms[:, :half] + terms[:, half : 2 * half]
        terms = torch.cat([joined, terms[:, 2 * half :]], dim=1)
    return terms.squeeze(1)


def scattered(x: Tensor, y: Tensor) -> Tensor:
    """Every product is added to its example's entry."""
    batch, size = x.shape
    index = torch.arange(batch, device=x.device).repeat_interleave(size)
    return x.new_zeros(batch).index_add(0, index, (x * y).reshape(-1))


def cumulated(x: Tensor, y: Tensor) -> Tensor:
    """The last partial sum."""
    return (x * y).cumsum(1)[:, -1]


def padded(x: Tensor, y: Tensor) -> Tensor:
    """Zeros up to whole blocks of 4 rows and 16 columns."""
    batch, size = x.shape
    room = (0, -size % 16, 0, -batch % 4)
    return (functional.pad(x, room) * functional.pad(y, room)).sum(1)[:batch]


def sorted_batch(x: Tensor, y: Tensor) -> Tensor:
    """In the order of the first column, and back."""
    order = x[:, 0].detach().argsort()
    scores = (x[order] * y[order]).sum(1)
    return scores[order.argsort()]


def fused_difference(u: Tensor, d_pos: Tensor, d_neg: Tensor) -> Tensor:
    """<u, d- - d+>, which the specs declare an equal evaluation."""
    return (u.unsqueeze(1) @ (d_neg - d_pos).unsqueeze(2)).flatten()


difference = Implementation("elsewhere/torch-difference-first", framework="torch", modes=("eager", "compile", "vmap"))


@difference.loss("pairwise_hinge")
def hinge_of_difference(u, d_pos, d_neg, *, margin=1.0, reduction="mean"):
    """max(0, margin + <u, d- - d+>)."""
    refuse_misfits(u, d_pos, d_neg)
    loss = torch.relu(fused_difference(wide(u), wide(d_pos), wide(d_neg)) + margin)
    return REDUCE[reduction](loss).to(u.dtype)


@difference.loss("bpr")
def bpr_of_difference(u, d_pos, d_neg, *, reduction="mean"):
    """softplus(<u, d- - d+>)."""
    refuse_misfits(u, d_pos, d_neg)
    x = fused_difference(wide(u), wide(d_pos), wide(d_neg))
    return REDUCE[reduction](logaddexp(torch.zeros_like(x), x)).to(u.dtype)


class DiagonalGap(torch.autograd.Function):
    """s- - s+ as diagonals of products of blocks of rows; by autograd, 0 times another row's NaN would leak."""

    @staticmethod
    def forward(u: Tensor, d_pos: Tensor, d_neg: Tensor) -> Tensor:
        """[B, D] three times to [B]."""
        blocks = zip(u.split(32), d_pos.split(32), d_neg.split(32), strict=True)
        gaps = [(a @ n.T).diagonal() - (a @ p.T).diagonal() for a, p, n in blocks]
        return torch.cat(gaps) if gaps else u.new_zeros(0)

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Backward needs the inputs."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad):
        """The rows, each times its example's cotangent."""
        u, d_pos, d_neg = ctx.saved_tensors
        slope = grad[:, None]
        return slope * d_neg - slope * d_pos, -(slope * u), slope * u


class Softplus(torch.autograd.Function):
    """log(1 + exp(x)) with the sigmoid as its backward."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        """[B] to [B]."""
        return torch.logaddexp(x, torch.zeros_like(x))

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Backward needs x."""
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx, grad):
        """Differentiable in its turn."""
        return grad * torch.sigmoid(ctx.saved_tensors[0])


by_hand = Implementation("elsewhere/torch-autograd-function", framework="torch")


@by_hand.loss("bpr")
def bpr_by_hand(u, d_pos, d_neg, *, reduction="mean"):
    """Two functions with gradients by hand."""
    refuse_misfits(u, d_pos, d_neg)
    gap = DiagonalGap.apply(wide(u), wide(d_pos), wide(d_neg))
    return REDUCE[reduction](Softplus.apply(gap)).to(u.dtype)


@by_hand.loss("pairwise_hinge")
def hinge_by_hand(u, d_pos, d_neg, *, margin=1.0, reduction="mean"):
    """The gap's gradient by hand, the hinge's by torch."""
    refuse_misfits(u, d_pos, d_neg)
    gap = DiagonalGap.apply(wide(u), wide(d_pos), wide(d_neg))
    return REDUCE[reduction](torch.clamp_min(gap + margin, 0)).to(u.dtype)


rows = ranking("blocks-of-rows", by_rows, relu, logaddexp)
columns = ranking("blocks-of-columns", by_columns, where, two_sided, cosine=by_roots)
kahan = ranking("kahan", compensated, clamp, logsigmoid)
tree = ranking("tree", halved, maximum, maximum_and_log1p)
scatter = ranking("scatter-add", scattered, masked, late_softplus)
running = ranking("cumsum", cumulated, relu, two_sided)
pad = ranking("padded", padded, clamp, logaddexp, modes=("eager", "compile"))
in_order = ranking("sorted", sorted_batch, where, logsigmoid)
