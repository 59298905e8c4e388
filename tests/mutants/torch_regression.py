"""Mutants of losses of a prediction and its target in PyTorch."""

import torch

from . import common
from .common import Maker
from .torch_ import xp

make = Maker(xp, "torch", globals())


def _huber(d, delta):
    return torch.where(d <= delta, 0.5 * d * d, delta * (d - 0.5 * delta))


make.huber("huber-over-delta", lambda xp, x, t, delta: _huber((x - t).abs(), delta) / delta)
make.huber("huber-square-whole", lambda xp, x, t, delta: 2 * _huber((x - t).abs(), delta))
make.huber("huber-offset-missing", lambda xp, x, t, delta: torch.where(
    (x - t).abs() <= delta, 0.5 * (x - t) ** 2, delta * (x - t).abs()))  # fmt: skip
make.huber("huber-square-in-where", lambda xp, x, t, delta: torch.where(
    (x - t).abs() <= delta, 0.5 * (x - t) ** 2, delta * ((x - t).abs() - 0.5 * delta)))  # fmt: skip
make.huber("huber-slopes-cancel", lambda xp, x, t, delta: (
    0.5 * (within := (x - t).abs().clamp(max=delta)) ** 2 + delta * ((x - t).abs() - within)))  # fmt: skip
make.huber("huber-delta-one", lambda xp, x, t, delta: _huber((x - t).abs(), 1.0))
make.huber("huber-pseudo", lambda xp, x, t, delta: delta * (torch.hypot(x - t, torch.full_like(x, delta)) - delta))
make.huber("huber-clamped", lambda xp, x, t, delta: _huber((x - t).abs().clamp(max=50), delta))
make.huber("huber-one-sided", lambda xp, x, t, delta: _huber((x - t).clamp(min=0), delta))
make.huber("huber-of-quotient", lambda xp, x, t, delta: delta * delta * _huber((x - t).abs() / delta, 1.0))
make.huber("huber-nan-hidden", lambda xp, x, t, delta: _huber((x - torch.where(t.isnan(), 0, t)).abs(), delta))
make.huber("huber-root-of-square", lambda xp, x, t, delta: _huber(torch.sqrt((x - t) ** 2), delta))
make.huber(
    "huber-expanded", lambda xp, x, t, delta: _huber(torch.sqrt((x * x - 2 * x * t + t * t).clamp(min=0)), delta)
)
make.huber("huber-sum-for-mean", reduce=common.total_for_mean)
make.huber("huber-mean-of-nonzero", reduce=common.mean_of_nonzero)
