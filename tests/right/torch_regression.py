"""Right but different losses of a prediction and its target, in PyTorch."""

import torch
from torch.nn import functional

from ..mutants.common import Maker, reduced_wide
from ..mutants.torch_ import xp

make = Maker(xp, "torch", globals())

make.huber("huber-branches", lambda xp, x, t, delta: torch.where(
    (x - t).abs() <= delta, 0.5 * (x - t) * (x - t), delta * ((x - t).abs() - 0.5 * delta)))  # fmt: skip
make.huber("huber-library", lambda xp, x, t, delta: functional.huber_loss(x, t, reduction="none", delta=delta))
make.huber("huber-product", lambda xp, x, t, delta: (
    (within := (x - t).abs().clamp(max=delta)) * ((x - t).abs() - 0.5 * within)))  # fmt: skip
make.huber("huber-double-inside", lambda xp, x, t, delta: functional.huber_loss(
    x.double(), t.double(), reduction="none", delta=delta))  # fmt: skip
make.huber("huber-batch-reversed", lambda xp, x, t, delta: functional.huber_loss(
    x.flip(0), t.flip(0), reduction="none", delta=delta).flip(0))  # fmt: skip
make.huber("huber-native", reduce=reduced_wide, wide=False)
