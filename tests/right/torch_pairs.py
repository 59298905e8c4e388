"""Right but different implementations of the loss of pairs, in PyTorch."""

import torch
from torch.nn import functional

from ..mutants.torch_pairs import Pairs, similarities, xp

make = Pairs(xp, "torch", globals())


def _lengths(x):
    """‖x‖ [B] whose gradient at 0 is 0."""
    zero = (x == 0).all(1)
    return torch.where(zero, 0, torch.linalg.vector_norm(torch.where(zero[:, None], 1, x), dim=1))


def _normalised(q, k, kind):
    """Rows divided by their norms before they meet, but where the guard rules."""
    if kind == "dot":
        return q @ k.T
    a, b = _lengths(q), _lengths(k)
    unit_q, unit_k = (x / torch.where(n == 0, 1, n)[:, None] for x, n in ((q, a), (k, b)))
    return torch.where(a[:, None] * b > 1e-8, unit_q @ unit_k.T, q @ (k / 1e-8).T)


def _einsum(q, k, kind):
    dot = torch.einsum("id,jd->ij", q, k)
    return dot if kind == "dot" else dot / torch.outer(_lengths(q), _lengths(k)).clamp(min=1e-8)


def _by_row(q, k, kind):
    """One query at a time."""
    if kind == "dot":
        return torch.stack([(row * k).sum(1) for row in q])
    lengths = _lengths(k)
    return torch.stack([
        (row * k).sum(1) / (n * lengths).clamp_min(1e-8) for row, n in zip(q, _lengths(q), strict=True)
    ])  # fmt: skip


def _online_keys(s, width=5):
    """A running maximum and a running sum over chunks of keys, relative to one's own."""
    most = torch.full_like(s[:, 0], -torch.inf)
    total = torch.zeros_like(most)
    for part in s.split(width, 1):
        larger = torch.maximum(most, part.detach().amax(1))
        shift = torch.where(larger == -torch.inf, 0, larger)
        total = total * torch.exp(most - shift) + torch.exp(part - shift[:, None]).sum(1)
        most = larger
    return torch.log(total) - (s.diagonal() - most)


class _FusedRows(torch.autograd.Function):
    """The loss of each row, which keeps no more than the logarithms of softmax."""

    @staticmethod
    def forward(ctx, s):
        log_p = functional.log_softmax(s, 1)
        ctx.save_for_backward(log_p)
        return -log_p.diagonal()

    @staticmethod
    def backward(ctx, g):
        (log_p,) = ctx.saved_tensors
        return g[:, None] * (log_p.exp() - torch.eye(len(g), dtype=g.dtype))


make.pairs("nce-native", body=lambda xp, s: functional.cross_entropy(
    s, torch.arange(len(s), device=s.device), reduction="none"), modes=("eager", "compile"))  # fmt: skip
make.pairs("nce-double-inside", wide=lambda x: x.double())
make.pairs("nce-normalised", _normalised)
make.pairs("nce-reciprocal", heat=lambda s, t: s * (1 / t))
make.pairs("nce-einsum", _einsum)
make.pairs("nce-by-row", _by_row)
make.pairs("nce-online", body=lambda xp, s: _online_keys(s))
make.pairs("nce-fused", body=lambda xp, s: _FusedRows.apply(s))
make.pairs("nce-one-hot", body=lambda xp, s: -torch.where(xp.eye(s), functional.log_softmax(s, 1), 0).sum(1))
make.pairs("nce-turned", body=lambda xp, s: -functional.log_softmax(s.T.contiguous(), 0).diagonal())
make.pairs("nce-products-rounded", lambda q, k, kind: xp.wide(
    similarities(xp.wide(q), xp.wide(k), kind).to(q.dtype)), wide=lambda x: x)  # fmt: skip
