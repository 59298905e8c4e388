"""Mutants of the losses of softened logits in PyTorch."""

import torch
from torch.nn import functional

from .common import mean_of_nonzero, reduced_wide, total_for_mean
from .softened import Softened, capped, divergence, own, surprise, with_square

make = Softened(globals())

# -- distillation ----------------------------------------------------------------------------------------------------

make.distill("dk-without-square", lambda s, t, T: divergence(s / T, t / T))
make.distill("dk-temperature-once", lambda s, t, T: T * divergence(s / T, t / T))
make.distill("dk-temperature-ignored", lambda s, t, T: divergence(s, t))
make.distill("dk-student-alone-softened", lambda s, t, T: T * T * divergence(s / T, t))
make.distill("dk-turned-round", lambda s, t, T: T * T * divergence(t / T, s / T))
make.distill("dk-without-entropy", lambda s, t, T: -T * T * (
    torch.softmax(t / T, 1) * torch.log_softmax(s / T, 1)).sum(1))  # fmt: skip
make.distill("dk-mean-over-classes", lambda s, t, T: T * T * divergence(s / T, t / T) / s.shape[1])
make.distill("dk-teacher-twice-softmax", lambda s, t, T: T * T * divergence(s / T, torch.softmax(t / T, 1)))
make.distill("dk-teacher-decided", lambda s, t, T: T * T * own(s / T, t.argmax(1)))
make.distill("dk-eps-in-log", lambda s, t, T: T * T * _logs(
    torch.softmax(s / T, 1), torch.softmax(t / T, 1), 1e-8))  # fmt: skip
make.distill("dk-log-of-softmax", lambda s, t, T: T * T * _logs(torch.softmax(s / T, 1), torch.softmax(t / T, 1), 0.0))
make.distill("dk-narrow", wide=False, reduce=reduced_wide)
make.distill("dk-nan-hidden", lambda s, t, T: T * T * divergence(s / T, torch.nan_to_num(t, 0, torch.inf) / T))
make.distill("dk-sum-for-mean", reduce=total_for_mean)


def _logs(q, p, eps):
    return (p * (torch.log(p + eps) - torch.log(q + eps))).sum(1)


# -- the square of the normaliser, and the cap -----------------------------------------------------------------------

make.squared("cz-square-missing", lambda x, y, z, cap: own(capped(x, cap), y))
make.squared("cz-square-halved", lambda x, y, z, cap: with_square(x, y, z / 2, cap))
make.squared("cz-not-squared", lambda x, y, z, cap: own(capped(x, cap), y) + z * torch.logsumexp(capped(x, cap), 1))
make.squared("cz-square-below-largest", lambda x, y, z, cap: own(capped(x, cap), y) + z * torch.logsumexp(
    capped(x, cap) - capped(x, cap).detach().amax(1, keepdim=True), 1) ** 2)  # fmt: skip
make.squared("cz-square-constant", lambda x, y, z, cap: own(capped(x, cap), y) + z * torch.logsumexp(
    capped(x, cap).detach(), 1) ** 2)  # fmt: skip
make.squared("cz-cap-ignored", lambda x, y, z, cap: with_square(x, y, z, 0.0))
make.squared("cz-cap-hard", lambda x, y, z, cap: with_square(x.clamp(-cap, cap) if cap else x, y, z, 0.0))
make.squared("cz-cap-not-in-square", lambda x, y, z, cap: own(capped(x, cap), y) + z * torch.logsumexp(x, 1) ** 2)
make.squared("cz-cap-without-slope", lambda x, y, z, cap: with_square(x + (capped(x, cap) - x).detach(), y, z, 0.0))
make.squared("cz-literal", lambda x, y, z, cap: (lse := torch.logsumexp(capped(x, cap), 1)) - capped(x, cap).gather(
    1, y[:, None])[:, 0] + z * lse**2)  # fmt: skip
make.squared("cz-ignored-squared", cleared=False)
make.squared("cz-mean-over-batch", mean=lambda loss, counted: loss.mean())
make.squared("cz-nothing-counts-is-zero", mean=lambda loss, counted: loss.sum() / counted.sum().clamp(min=1))
make.squared("cz-narrow", wide=False)

# -- focal -----------------------------------------------------------------------------------------------------------

make.focal("sf-alpha-ignored", share=lambda y, alpha: torch.ones_like(y))
make.focal("sf-alpha-turned", share=lambda y, alpha: torch.where(y == 1, 1 - alpha, alpha).to(y.dtype))
make.focal("sf-alpha-of-both", share=lambda y, alpha: torch.full_like(y, alpha))
make.focal("sf-gamma-two", lambda z, gamma: torch.sigmoid(-z) ** 2 * surprise(z))
make.focal("sf-gamma-ignored", lambda z, gamma: surprise(z))
make.focal("sf-weight-of-p", lambda z, gamma: torch.sigmoid(z) ** gamma * surprise(z))
make.focal("sf-weight-constant", lambda z, gamma: torch.sigmoid(-z).detach() ** gamma * surprise(z))
make.focal("sf-by-subtraction", lambda z, gamma: (1 - torch.sigmoid(z)) ** gamma * surprise(z))
make.focal("sf-log-of-sigmoid", lambda z, gamma: -(torch.sigmoid(-z) ** gamma) * torch.log(torch.sigmoid(z)))
make.focal(
    "sf-clipped", lambda z, gamma: -((1 - (p := torch.sigmoid(z).clamp(1e-7, 1 - 1e-7))) ** gamma) * torch.log(p)
)
make.focal("sf-library-softplus", lambda z, gamma: torch.sigmoid(-z) ** gamma * functional.softplus(-z, threshold=5))
make.focal("sf-nan-label-is-zero", label=torch.nan_to_num)
make.focal("sf-sum-for-mean", reduce=total_for_mean)
make.focal("sf-mean-of-nonzero", reduce=mean_of_nonzero)
