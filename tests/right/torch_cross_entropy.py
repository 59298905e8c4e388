"""Right but different implementations of cross_entropy, in PyTorch."""

import torch
from torch.nn import functional

from ..mutants.cross_entropy import checked, refused
from ..mutants.torch_cross_entropy import Entropy, xp

make = Entropy(xp, "torch", globals())

# -- the logarithm of softmax ----------------------------------------------------------------------------------------

make.entropy("ce-log-softmax", log_p=lambda xp, x: functional.log_softmax(x, 1), modes=("eager", "compile"))
make.entropy("ce-double-inside", wide=lambda x: x.double())
make.entropy("ce-classes-reversed", log_p=lambda xp, x: functional.log_softmax(x.flip(1), 1).flip(1))
make.entropy("ce-rows-in-chunks", log_p=lambda xp, x: torch.cat(
    [functional.log_softmax(part, 1) for part in x.split(3)]) if len(x) else x)  # fmt: skip
make.entropy("ce-padded", log_p=lambda xp, x: functional.log_softmax(
    functional.pad(x, (0, 5), value=-torch.inf), 1)[:, : x.shape[1]])  # fmt: skip
make.entropy("ce-online", log_p=lambda xp, x: _online(x))
make.entropy("ce-online-by-one", log_p=lambda xp, x: _online(x, 1) if x.shape[1] < 64 else _online(x, 16))
make.entropy("ce-by-softplus", log_p=lambda xp, x: _by_softplus(x))


def _online(x, width=4):
    """A running maximum and a running sum, which is rescaled where a larger one comes."""
    most = torch.full_like(x[:, :1], -torch.inf)
    total = torch.zeros_like(most)
    for part in x.split(width, 1):
        larger = torch.maximum(most, part.detach().amax(1, keepdim=True))
        shift = torch.where(larger == -torch.inf, 0, larger)
        total = total * torch.exp(most - shift) + torch.exp(part - shift).sum(1, keepdim=True)
        most = larger
    return (x - most) - torch.log(total)


def _by_softplus(x):
    """Of two classes log p = -softplus(the difference)."""
    if x.shape[1] != 2:
        return functional.log_softmax(x, 1)
    return functional.logsigmoid(x - x.flip(1))


# -- fused ones ------------------------------------------------------------------------------------------------------


class _Fused(torch.autograd.Function):
    """log softmax that keeps no more than itself."""

    @staticmethod
    def forward(ctx, x):
        z = x - x.amax(1, keepdim=True)
        log_p = z - torch.exp(z).sum(1, keepdim=True).log()
        ctx.save_for_backward(log_p)
        return log_p

    @staticmethod
    def backward(ctx, g):
        (log_p,) = ctx.saved_tensors
        return g - log_p.exp() * g.sum(1, keepdim=True)


make.entropy("ce-fused", log_p=lambda xp, x: _Fused.apply(x))
make.entropy("ce-one-hot", pick=lambda xp, x, i: torch.where(functional.one_hot(i, x.shape[1]) == 1, x, 0).sum(1))


def _native(widened):
    """The library's own on widened logits, with everything passed through."""

    def cross_entropy(logits, target, *, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean"):
        checked(logits, target, weight, ignore_index, label_smoothing, reduction)
        target = target.long()
        if not torch.compiler.is_compiling():
            refused(xp, torch.where(target == ignore_index, 0, target), logits)
        x = widened(logits)
        weight = None if weight is None else weight.to(x.dtype)
        loss = functional.cross_entropy(
            x, target, weight, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction=reduction
        )
        return loss.to(logits.dtype)

    return cross_entropy


make.bind("ce-native-widened", "cross_entropy", _native(xp.wide), modes=("eager", "compile"))
make.bind("ce-native-double", "cross_entropy", _native(lambda x: x.double()))
