"""Losses of logits that are softened or weighted first, with exchangeable parts, in PyTorch."""

import torch
from lossmark.impls.arguments import (
    check_class,
    check_indices,
    check_mark,
    check_not_negative,
    check_positive,
    check_reduction,
    check_share,
    check_tensors,
)
from torch.nn import functional

from .common import Maker, check_label, reduced
from .torch_ import xp


def divergence(s, t):
    """The divergence of the softmax of each row of t from that of s."""
    log_p = functional.log_softmax(t, 1)
    return (log_p.exp() * (log_p - functional.log_softmax(s, 1))).sum(1)


def own(x, index):
    """-log softmax(x) of the class."""
    return functional.cross_entropy(x, index, reduction="none")


def capped(x, softcap):
    """The logits under a soft cap."""
    return softcap * torch.tanh(x / softcap) if softcap else x


def log_sum(x):
    """The log-sum-exp of each row, whose gradient is that of the differences to the largest."""
    largest = x.detach().amax(1, keepdim=True)
    largest = torch.where(largest.isfinite(), largest, 0)
    return torch.logsumexp(x - largest, 1) + largest[:, 0]


def with_square(x, index, z, cap):
    """The cross entropy and the square of the normaliser, of capped logits."""
    x = capped(x, cap)
    return own(x, index) + z * log_sum(x) ** 2


def counted_mean(loss, counted):
    """The sum over the rows that count, divided by their number."""
    return loss.sum() / counted.sum()


def surprise(z):
    """-log sigmoid(z)."""
    return torch.logaddexp(-z, torch.zeros_like(z))


def focal(z, gamma):
    """The weighted loss of logits with the sign of their label."""
    return torch.exp(-gamma * surprise(-z)) * surprise(z)


class Softened(Maker):
    """Makes implementations of distill_kl, cross_entropy_z and sigmoid_focal."""

    def __init__(self, bound):
        super().__init__(xp, "torch", bound)

    def distill(self, name, body=None, reduce=None, wide=True, modes=("eager",)):
        """``body(s, t, temperature)`` of the logits of student and teacher."""

        def distill_kl(student, teacher, *, temperature=1.0, reduction="mean"):
            batch, _ = check_tensors({"student": student, "teacher": teacher}, rank=2, across="C")
            check_positive("temperature", temperature)
            check_reduction(reduction, batch)
            s, t = self._ready(student, teacher.detach(), wide=wide)
            if body is None:
                loss = temperature * temperature * divergence(s / temperature, t / temperature)
            else:
                loss = body(s, t, temperature)
            return self._result(loss, reduction, student, reduce)

        self.bind(name, "distill_kl", distill_kl, modes)

    def squared(self, name, body=with_square, mean=counted_mean, wide=True, cleared=True, modes=("eager",)):
        """``body(x, index, z_weight, softcap)``; ``mean(loss, counted)``; ``cleared``: ignored rows cost 0."""

        def cross_entropy_z(logits, target, *, z_weight=1e-4, softcap=0.0, ignore_index=-100, reduction="mean"):
            batch, classes = check_tensors({"logits": logits}, rank=2, across="C")
            check_class("target", target, batch)
            check_not_negative("z_weight", z_weight)
            check_not_negative("softcap", softcap)
            check_mark(ignore_index)
            check_reduction(reduction, batch)
            counted = target != ignore_index
            index = torch.where(counted, target, 0).long()
            check_indices("target", index.numpy(), classes)
            (x,) = self._ready(logits, wide=wide)
            loss = body(torch.where(counted[:, None], x, 0), index, z_weight, softcap)
            loss = torch.where(counted, loss, 0) if cleared else loss
            found = mean(loss, counted) if reduction == "mean" else reduced(xp, loss, reduction)
            return xp.cast(found, logits.dtype)

        self.bind(name, "cross_entropy_z", cross_entropy_z, modes)

    def focal(self, name, body=focal, share=None, reduce=None, wide=True, label=None, modes=("eager",)):
        """``body(z, gamma)`` of logits with the sign of their label, ``share(y, alpha)``, ``label(y)`` before both."""

        def sigmoid_focal(logits, target, *, alpha=0.25, gamma=2.0, reduction="mean"):
            check_label(target, logits)
            check_share("alpha", alpha)
            check_not_negative("gamma", gamma)
            (x,) = self._ready(logits, wide=wide)
            y = xp.cast(target, x.dtype)
            if ((y != 0) & (y != 1) & ~y.isnan()).any():
                raise ValueError("a target is not 0 or 1")
            y = label(y) if label else y
            z = torch.where(y == 1, x, torch.where(y.isnan(), y, -x))
            weight = (share or _share)(y, alpha)
            return self._result(weight * body(z, gamma), reduction, logits, reduce)

        self.bind(name, "sigmoid_focal", sigmoid_focal, modes)


def _share(y, alpha):
    return torch.where(y == 1, torch.full_like(y, alpha), torch.full_like(y, 1 - alpha))
