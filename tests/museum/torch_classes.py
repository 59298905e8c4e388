"""Reported defects of losses over classes, as losses in PyTorch."""

import torch

from ..mutants.common import Maker
from ..mutants.cross_entropy import Entropy, below_largest, mean_of_all
from ..mutants.output_layer import OutputLayer
from ..mutants.softened import Softened, with_square
from ..mutants.softened import divergence as distilled
from ..mutants.torch_ import xp
from ..mutants.torch_cross_entropy import xp as over_classes
from ..mutants.torch_output_layer import _Forward
from ..mutants.torch_output_layer import xp as of_a_layer

entropies = Entropy(over_classes, "torch", globals())
layers = OutputLayer(of_a_layer, "torch", globals())
divergences = Maker(xp, "torch", globals())
softened = Softened(globals())


class _FirstCotangent(torch.autograd.Function):
    """The losses of the rows, whose backward pass takes the first number of what comes in for all of them."""

    @staticmethod
    def forward(ctx, loss):
        return loss.clone()

    @staticmethod
    def backward(ctx, g):
        return g[:1].expand_as(g) if len(g) else g


# -- cross entropy ---------------------------------------------------------------------------------------------------


class _InTheBuffer(torch.autograd.Function):
    """-log softmax of the class; the share of the class is rounded to the buffer's dtype before 1 is taken away."""

    @staticmethod
    def forward(ctx, x, index, narrow):
        log_p = torch.log_softmax(x, 1)
        ctx.save_for_backward(log_p.exp(), index)
        ctx.narrow = narrow
        return -log_p.gather(1, index[:, None])[:, 0]

    @staticmethod
    def backward(ctx, g):
        p, index = ctx.saved_tensors
        kept = (g[:, None] * p).to(ctx.narrow).to(p.dtype)
        return kept.scatter_add(1, index[:, None], -g[:, None]), None, None


def _kept(x, like):
    """The tensor ``x`` with the dtype that ``like`` came in."""
    x.buffer_dtype = getattr(like, "buffer_dtype", like.dtype)
    return x


entropies.entropy(
    "ce-class-rounded-in-the-buffer",
    wide=lambda x: _kept(xp.wide(x).view_as(x), x),
    visible=lambda xp, x, counted: _kept(torch.where(counted[:, None], x, 0), x),
    log_p=lambda xp, x: x,
    pick=lambda xp, x, index: -_InTheBuffer.apply(x, index, x.buffer_dtype),
    smooth=lambda xp, x, w, index: mean_of_all(xp, below_largest(xp, x), w, index),
)
entropies.entropy("ce-first-cotangent", pick=lambda xp, log_p, index: _FirstCotangent.apply(xp.take(log_p, index)))
entropies.entropy("ce-mean-over-samples", divisor=lambda xp, w_y, counted: len(counted))
entropies.entropy("ce-unknown-class-taken", index=lambda xp, index, logits: index.clamp(0, logits.shape[1] - 1))

# -- an output layer -------------------------------------------------------------------------------------------------


def _summed_by_chunks(slope, h, index):
    """Chunks of four rows, whose sum is kept in bfloat16."""
    found = torch.zeros(slope.shape[1], h.shape[1], dtype=torch.bfloat16)
    for a, b in zip(slope.split(4), h.split(4), strict=True):
        found = (found + a.T @ b).to(torch.bfloat16)
    return found.to(h.dtype)


layers.layer("lce-layer-by-first-cotangent", fused=lambda xp, h, w, index, counted, parts: _Forward.apply(
    h, w, index, counted, {"scaled": lambda slope, g: g[:1] * slope}))  # fmt: skip
layers.layer("lce-layer-summed-in-bfloat16", fused=lambda xp, h, w, index, counted, parts: _Forward.apply(
    h, w, index, counted, {"layer": _summed_by_chunks}))  # fmt: skip
layers.layer("lce-none-is-a-sum", reduce=lambda xp, loss, reduction: loss.sum())

# -- softened and weighted -------------------------------------------------------------------------------------------

softened.squared("cz-square-when-off", lambda x, y, z, cap: with_square(x, y, z or 1e-4, cap))
softened.distill("dk-logits-rounded-first", lambda s, t, T: T * T * distilled(
    *((x / T).to(torch.bfloat16).to(x.dtype) for x in (s, t))))  # fmt: skip
softened.focal("sf-alpha-of-all-classes", share=lambda y, alpha: torch.full_like(y, alpha))
divergences.kl("kl-log-of-nothing", lambda xp, x, y: (y * (torch.log(y) - x)).sum(1))
divergences.kl("kl-nothing-is-infinite", lambda xp, x, y: torch.where(
    y == 0, torch.inf, y * (torch.log(torch.where(y == 0, 1, y)) - x)).sum(1))  # fmt: skip
