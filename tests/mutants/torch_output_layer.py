"""Mutants of linear_cross_entropy in PyTorch."""

import types

import torch
from torch.nn import functional

from . import torch_cross_entropy
from .cross_entropy import below_largest, literal, refused
from .output_layer import OutputLayer, all_rows, checked_layer, classes_of
from .torch_ import _tf32

xp = types.SimpleNamespace(**vars(torch_cross_entropy.xp), matmul=lambda h, w: h @ w.T)
make = OutputLayer(xp, "torch", globals())

# -- the loss from the logits ----------------------------------------------------------------------------------------

make.layer("lce-in-the-dtype", wide=lambda x: x)
make.layer("lce-single-inside", wide=lambda x: x.float())
make.layer("lce-literal", cost=lambda xp, x, index: -xp.take(literal(xp, x), index))
make.layer("lce-no-shift", cost=lambda xp, x, index: torch.exp(x).sum(1).log() - xp.take(x, index))
make.layer("lce-softcap", product=lambda xp, h, w: 30 * torch.tanh(h @ w.T / 30))
make.layer("lce-tf32", product=lambda xp, h, w: _tf32(h) @ _tf32(w).T)
make.layer("lce-parts-not-shifted", cost=lambda xp, x, index: _joined(x, index))
make.layer("lce-target-of-another-part", cost=lambda xp, x, index: _parted(x, index))
make.layer("lce-mean-over-all-rows", divisor=all_rows)
make.layer("lce-ignore-index-fixed", counted=lambda xp, target, ignore_index: target != -100)
make.layer("lce-last-classes-lost", product=lambda xp, h, w: _without_rest(h, w))
make.layer("lce-weight-detached", product=lambda xp, h, w: h @ w.detach().T)


def _joined(x, index):
    """Two halves of the classes, whose log-sum-exps are joined without the larger of them."""
    parts = [torch.logsumexp(part, 1) for part in x.tensor_split(2, dim=1) if part.shape[1]]
    return torch.stack([torch.exp(part) for part in parts]).sum(0).log() - xp.take(x, index)


def _parted(x, index):
    """Two halves of the classes: a class of the second is looked up among those of the first where it has the room."""
    half = max(x.shape[1] // 2, 1)
    return torch.logsumexp(x, 1) - xp.take(x, torch.where(index >= half, (index - half) % half, index))


def _without_rest(h, w):
    """Of more than 32 classes only whole blocks of 16 have a logit; that of the others is -1e30."""
    classes = len(w)
    read = classes // 16 * 16 if classes > 32 else classes
    return functional.pad(h @ w[:read].T, (0, classes - read), value=-1e30)


# -- gradients that are made in the forward pass, beside values that are right ---------------------------------------


class _Forward(torch.autograd.Function):
    """The sum of the losses, with gradients that are made while the logits are there, as fused kernels have it.

    ``slopes(slope)`` changes the gradient by the logits, ``layer(slope, h, index)`` makes that by the layer of it, and
    ``scaled(slope, g)`` multiplies it by what comes in.
    """

    @staticmethod
    def forward(ctx, h, w, index, counted, how):
        x = torch.where(counted[:, None], h, 0) @ w.T
        log_p = below_largest(xp, x)
        kept = functional.one_hot(index, len(w)).to(x.dtype)
        slope = torch.where(counted[:, None], how.get("slopes", _same)(log_p.exp() - kept), 0)
        ctx.save_for_backward(h, w, slope, index)
        ctx.how = how
        return -xp.take(log_p, index)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        h, w, slope, index = ctx.saved_tensors
        layer, scaled = ctx.how.get("layer", _products), ctx.how.get("scaled", _times)
        return (g[:, None] * slope) @ w, layer(scaled(slope, g), h, index), None, None, None


def _same(slope):
    return slope


def _times(slope, g):
    return g[:, None] * slope


def _products(slope, h, index):
    return slope.T @ h


def _made_in_forward(name, wide=None, **how):
    make.layer(name, wide, fused=lambda xp, h, w, index, counted, parts: _Forward.apply(h, w, index, counted, how))


def _blocks_of_rows(slope, h):
    return [(a, b) for a, b in zip(slope.split(4), h.split(4), strict=True) if len(a)]


def _averaged(slope, h, index):
    """Blocks of four rows, whose parts are averaged."""
    return torch.stack([a.T @ b for a, b in _blocks_of_rows(slope, h)] or [slope.T @ h]).mean(0)


def _last_block_lost(slope, h, index):
    whole = len(h) // 32 * 32 if len(h) > 32 else len(h)
    return slope[:whole].T @ h[:whole]


def _bfloat16_sums(slope, h, index):
    """A sum that is kept in bfloat16 from one row to the next."""
    found = torch.zeros(slope.shape[1], h.shape[1], dtype=torch.bfloat16)
    for a, b in zip(slope, h, strict=True):
        found = (found + a[:, None] * b).to(torch.bfloat16)
    return found.to(h.dtype)


def _of_the_batch_only(slope, h, index):
    """Classes that no row has get nothing: a row of the layer is updated where its class occurs."""
    return torch.where(functional.one_hot(index, slope.shape[1]).any(0)[:, None], slope.T @ h, 0)


_made_in_forward("lce-gradient-averaged-over-chunks", layer=_averaged)
_made_in_forward("lce-last-rows-lost", layer=_last_block_lost)
_made_in_forward("lce-cotangent-forgotten", scaled=lambda slope, g: slope)
_made_in_forward("lce-bfloat16-sums", layer=_bfloat16_sums)
_made_in_forward("lce-rare-classes-without-gradient", layer=_of_the_batch_only)
_made_in_forward("lce-filtered", slopes=lambda slope: torch.where(slope.abs() < 2.0**-12, 0, slope))
_made_in_forward("lce-matrix-read-across", layer=lambda slope, h, index: slope.reshape(slope.shape[::-1]) @ h)
make.layer("lce-ignored-in-layer", fused=lambda xp, h, w, index, counted, parts: _Leaking.apply(h, w, index, counted))


class _Leaking(torch.autograd.Function):
    """A loss that is masked for the value and for the hidden states, and not for the layer."""

    @staticmethod
    def forward(ctx, h, w, index, counted):
        log_p = below_largest(xp, h @ w.T)
        ctx.save_for_backward(h, w, log_p.exp() - functional.one_hot(index, len(w)), counted)
        return -xp.take(log_p, index)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        h, w, slope, counted = ctx.saved_tensors
        kept = torch.where(counted, g, g.max() if len(g) else 0)
        return (g[:, None] * slope) @ w, (kept[:, None] * slope).T @ h, None, None


# -- the library's own -----------------------------------------------------------------------------------------------


def _native_layer(hidden, weight, target, *, ignore_index=-100, reduction="mean"):
    """The library's own in the dtype of the inputs."""
    checked_layer(hidden, weight, target, ignore_index, reduction)
    target = target.long()
    refused(xp, torch.where(target == ignore_index, 0, target), classes_of(weight))
    return functional.linear_cross_entropy(hidden, weight, target, ignore_index=ignore_index, reduction=reduction)


make.bind("lce-native", "linear_cross_entropy", _native_layer)
