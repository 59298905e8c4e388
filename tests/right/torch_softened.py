"""Right but different losses of softened logits, in PyTorch."""

import torch
from torch.nn import functional

from ..mutants.softened import Softened, capped, divergence, log_sum, own, with_square

make = Softened(globals())

# -- distillation ----------------------------------------------------------------------------------------------------

make.distill("dk-library-of-logs", lambda s, t, T: T * T * functional.kl_div(
    torch.log_softmax(s / T, 1), torch.log_softmax(t / T, 1), reduction="none", log_target=True).sum(1))  # fmt: skip
make.distill("dk-library", lambda s, t, T: T * T * functional.kl_div(
    torch.log_softmax(s / T, 1), torch.softmax(t / T, 1), reduction="none").sum(1))  # fmt: skip
make.distill("dk-double-inside", lambda s, t, T: T * T * divergence(s.double() / T, t.double() / T))
make.distill("dk-batch-reversed", lambda s, t, T: T * T * divergence(s.flip(0) / T, t.flip(0) / T).flip(0))
make.distill("dk-classes-reversed", lambda s, t, T: T * T * divergence(s.flip(1) / T, t.flip(1) / T))
make.distill("dk-per-row", lambda s, t, T: torch.stack([
    T * T * divergence(a[None] / T, b[None] / T)[0] for a, b in zip(s, t, strict=True)])
    if len(s) else s.sum(1))  # fmt: skip


class _Distilled(torch.autograd.Function):
    """The gradient T·(q - p), made in the forward pass."""

    @staticmethod
    def forward(ctx, s, t, temperature):
        ctx.save_for_backward(temperature * (torch.softmax(s / temperature, 1) - torch.softmax(t / temperature, 1)))
        return temperature * temperature * divergence(s / temperature, t / temperature)

    @staticmethod
    def backward(ctx, g):
        return ctx.saved_tensors[0] * g[:, None], None, None


make.distill("dk-gradient-by-hand", _Distilled.apply)

# -- the square of the normaliser, and the cap -----------------------------------------------------------------------

make.squared("cz-log-softmax", lambda x, y, z, cap: -torch.log_softmax(capped(x, cap), 1).gather(1, y[:, None])[:, 0]
             + z * log_sum(capped(x, cap)).square())  # fmt: skip
make.squared("cz-double-inside", lambda x, y, z, cap: with_square(x.double(), y, z, cap))
make.squared("cz-batch-reversed", lambda x, y, z, cap: with_square(x.flip(0), y.flip(0), z, cap).flip(0))
make.squared("cz-classes-reversed", lambda x, y, z, cap: with_square(x.flip(1), x.shape[1] - 1 - y, z, cap))
make.squared("cz-in-blocks", lambda x, y, z, cap: own(capped(x, cap), y) + z * log_sum(torch.stack([
    log_sum(block) for block in capped(x, cap).split(100, 1)], 1)) ** 2)  # fmt: skip
make.squared("cz-weight-first", lambda x, y, z, cap: own(capped(x, cap), y) + (
    lse := log_sum(capped(x, cap))) * (z * lse))  # fmt: skip

# -- focal -----------------------------------------------------------------------------------------------------------

make.focal("sf-exponent", lambda z, gamma: _focused(z, gamma))
make.focal("sf-log-sigmoid", lambda z, gamma: -torch.exp(gamma * functional.logsigmoid(-z)) * functional.logsigmoid(z))
make.focal("sf-double-inside", lambda z, gamma: _focused(z.double(), gamma))
make.focal("sf-per-element", lambda z, gamma: torch.stack([_focused(x, gamma) for x in z]) if len(z) else _soft(-z))
make.focal("sf-batch-reversed", lambda z, gamma: _focused(z.flip(0), gamma).flip(0))


def _soft(x):
    return torch.logaddexp(x, torch.zeros_like(x))


def _focused(z, gamma):
    return torch.exp(-gamma * _soft(z)) * _soft(-z)
