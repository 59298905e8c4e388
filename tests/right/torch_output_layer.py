"""Right but different implementations of linear_cross_entropy, in PyTorch."""

import torch
from torch.nn import functional

from ..mutants.cross_entropy import refused
from ..mutants.output_layer import checked_layer, classes_of
from ..mutants.torch_output_layer import OutputLayer, xp

make = OutputLayer(xp, "torch", globals())

# -- the product -----------------------------------------------------------------------------------------------------

make.layer("lce-linear", product=lambda xp, h, w: functional.linear(h, w), modes=("eager", "compile"))
make.layer("lce-einsum", product=lambda xp, h, w: torch.einsum("bd,cd->bc", h, w))
make.layer("lce-double-inside", wide=lambda x: x.double())
make.layer("lce-column-by-column", product=lambda xp, h, w: _outer(h, w))
make.layer("lce-padded-classes", product=lambda xp, h, w: _padded(h, w))
make.layer("lce-rows-in-chunks", product=lambda xp, h, w: torch.cat([part @ w.T for part in h.split(3)]))
make.layer("lce-classes-in-chunks", product=lambda xp, h, w: torch.cat([
    h @ part.T for part in w.split(max(2, len(w) // 8))], 1))  # fmt: skip


def _outer(h, w):
    """A sum over the dimensions, one after another where they are few."""
    if h.shape[1] > 16:
        return (h[:, None, :] * w).sum(2)
    logits = torch.zeros(len(h), len(w), dtype=h.dtype)
    for column, other in zip(h.T, w.T, strict=True):
        logits = logits + column[:, None] * other
    return logits


def _padded(h, w):
    """Rows of zeros behind those of the layer, whose logits are taken away again."""
    return (h @ functional.pad(w, (0, 0, 0, 3)).T)[:, : len(w)]


# -- the loss of a row -----------------------------------------------------------------------------------------------

make.layer("lce-log-softmax", cost=lambda xp, x, index: -xp.take(torch.log_softmax(x, 1), index))
make.layer("lce-nll", cost=lambda xp, x, index: functional.nll_loss(torch.log_softmax(x, 1), index, reduction="none"))
make.layer("lce-one-hot", cost=lambda xp, x, index: -torch.where(
    functional.one_hot(index, x.shape[1]) == 1, torch.log_softmax(x, 1), 0).sum(1))  # fmt: skip


def _online(h, w, index):
    """Logits by blocks of rows of the layer, with a running maximum and a running sum, of which none are kept.

    From each the own logit is taken away, which a first pass has found; the derivative of that is of the same block.
    """
    blocks = list(enumerate(w.split(size := 4 if len(w) < 64 else 256)))
    with torch.no_grad():
        found = [(h @ block.T, index - number * size) for number, block in blocks]
        own = sum(_entry(x, place) for x, place in found)
    most = torch.full_like(own, -torch.inf)
    total = torch.zeros_like(own)
    nothing = torch.zeros_like(own)
    for number, block in blocks:
        x = h @ block.T - own[:, None]
        larger = torch.maximum(most, x.detach().amax(1))
        shift = torch.where(larger == -torch.inf, 0, larger)
        total = total * torch.exp(most - shift) + torch.exp(x - shift[:, None]).sum(1)
        nothing = nothing + _entry(x, index - number * size)
        most = larger
    return most + torch.log(total) - nothing


def _entry(x, place):
    """The entries at places, 0 where a place is in another block."""
    here = (place >= 0) & (place < x.shape[1])
    return torch.where(here, xp.take(x, torch.where(here, place, 0)), 0)


make.layer("lce-online", fused=lambda xp, h, w, index, counted, parts: (
    _online(torch.where(counted[:, None], h, 0), w, index)))  # fmt: skip

# -- fused ones ------------------------------------------------------------------------------------------------------


class _FusedLayer(torch.autograd.Function):
    """Gradients made in the forward pass over blocks of rows, in float32, and scaled by what comes in."""

    @staticmethod
    def forward(ctx, h, w, index):
        losses, slopes = [], []
        for part, here in zip(h.split(4), index.split(4), strict=True):
            log_p = functional.log_softmax(part @ w.T, 1)
            slope = log_p.exp()
            slope[torch.arange(len(part)), here] = torch.expm1(xp.take(log_p, here))
            losses.append(-xp.take(log_p, here))
            slopes.append(slope)
        ctx.save_for_backward(h, w, torch.cat(slopes))
        return torch.cat(losses)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        h, w, slope = ctx.saved_tensors
        slope = g[:, None] * slope
        by_layer = torch.zeros_like(w)
        for part, here in zip(h.split(4), slope.split(4), strict=True):
            by_layer += here.T @ part
        return slope @ w, by_layer, None


make.layer("lce-fused", fused=lambda xp, h, w, index, counted, parts: (
    _FusedLayer.apply(torch.where(counted[:, None], h, 0), w, index)))  # fmt: skip


def _library(of, narrow=False):
    """The library's own on widened inputs; ``of`` makes the loss of hidden states, layer and target."""

    def linear_cross_entropy(hidden, weight, target, *, ignore_index=-100, reduction="mean"):
        checked_layer(hidden, weight, target, ignore_index, reduction)
        target = target.long()
        if not torch.compiler.is_compiling():
            refused(xp, torch.where(target == ignore_index, 0, target), classes_of(weight))
        h, w = (hidden, weight) if narrow else (xp.wide(hidden), xp.wide(weight))
        h = torch.where((target != ignore_index)[:, None], h, 0)
        return of(h, w, target, ignore_index=ignore_index, reduction=reduction).to(hidden.dtype)

    return linear_cross_entropy


def _of_linear(h, w, target, **options):
    return functional.cross_entropy(xp.wide(functional.linear(h, w)), target, **options)


make.bind("lce-native-widened", "linear_cross_entropy", _library(functional.linear_cross_entropy), ("eager", "compile"))
make.bind("lce-native-of-linear", "linear_cross_entropy", _library(_of_linear))
make.bind("lce-logits-of-16-bits", "linear_cross_entropy", _library(_of_linear, narrow=True))
