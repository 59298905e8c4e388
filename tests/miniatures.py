"""Small implementations that must be caught, and different but right ones that must not be."""

HEAD = """
import numpy as np
from lossmark import Deviation, Implementation
impl = Implementation("mini", framework="{framework}")
def reduced(l, reduction):
    return l if reduction == "none" else l.sum() if reduction == "sum" else l.mean()
def floating(x):
    if "float" not in str(x.dtype): raise TypeError("expected floating numbers")
"""

TORCH = HEAD.format(framework="torch") + "import torch\n"

RIGHT = {
    "torch, u·(n-p) and logaddexp": TORCH + """
@impl.loss
def bpr(u, d_pos, d_neg, *, reduction="mean"):
    floating(u)
    w = torch.float64 if u.dtype == torch.float64 else torch.float32
    x = (u.to(w) * (d_neg.to(w) - d_pos.to(w))).sum(-1)
    return reduced(torch.logaddexp(x, torch.zeros_like(x)), reduction).to(u.dtype)
""",
    "torch, einsum, float64 inside": TORCH + """
@impl.loss
def pairwise_hinge(u, d_pos, d_neg, *, margin=1.0, reduction="mean"):
    floating(u)
    if not (u.shape == d_pos.shape == d_neg.shape): raise ValueError("shapes")
    s = [torch.einsum("bd,bd->b", u.double(), d.double()) for d in (d_pos, d_neg)]
    return reduced(torch.clamp(margin - s[0] + s[1], min=0), reduction).to(u.dtype)
""",
    "torch, where instead of weights": TORCH + """
@impl.loss
def contrastive(d, y, *, margin=1.0, reduction="mean"):
    floating(d)
    if y.shape != d.shape: raise ValueError("shapes")
    w = torch.float64 if d.dtype == torch.float64 else torch.float32
    y, x = y.to(w), d.to(w)
    return reduced(y * x.square() + (1 - y) * torch.relu(margin - x).square(), reduction).to(d.dtype)
""",
    "numpy, a NaN label is refused": HEAD.format(framework="numpy") + """
@impl.loss
def contrastive(d, y, *, margin=1.0, reduction="mean"):
    floating(d)
    if np.isnan(y.astype(float)).any(): raise ValueError("y holds NaN")
    if y.shape != d.shape: raise ValueError("shapes")
    w = np.float64 if d.dtype == np.float64 else np.float32
    y, x = y.astype(w), d.astype(w)
    l = y * x**2 + (1 - y) * np.maximum(w(margin) - x, 0) ** 2
    return np.asarray(reduced(l, reduction)).astype(d.dtype)
""",
    "numpy, values only": HEAD.format(framework="numpy") + """
@impl.loss
def bpr(u, d_pos, d_neg, *, reduction="mean"):
    floating(u)
    w = np.float64 if u.dtype == np.float64 else np.float32
    x = np.einsum("bd,bd->b", u.astype(w), d_neg.astype(w)) - np.einsum("bd,bd->b", u.astype(w), d_pos.astype(w))
    return np.asarray(reduced(np.logaddexp(x, 0), reduction)).astype(u.dtype)
""",
    "numpy, a declared factor": HEAD.format(framework="numpy") + """
@impl.loss("contrastive", deviates=Deviation(why="half of the spec's", scale=0.5))
def half(d, y, *, margin=1.0, reduction="mean"):
    floating(d)
    if y.shape != d.shape: raise ValueError("shapes")
    w = np.float64 if d.dtype == np.float64 else np.float32
    y, x = y.astype(w), d.astype(w)
    l = 0.5 * (y * x**2 + (1 - y) * np.maximum(w(margin) - x, 0) ** 2)
    return np.asarray(reduced(l, reduction)).astype(d.dtype)
""",
}  # fmt: skip

_BPR = (
    TORCH
    + """
@impl.loss
def bpr(u, d_pos, d_neg, *, reduction="mean"):
    x = (u * d_neg).sum(-1) - (u * d_pos).sum(-1)
    return reduced({loss}, reduction)
"""
)
_CONTRASTIVE = (
    TORCH
    + """
@impl.loss
def contrastive(d, y, *, margin=1.0, reduction="mean"):
    y = y.to(d.dtype)
    return reduced({loss}, reduction)
"""
)
_TRIPLET = (
    TORCH
    + """
@impl.loss
def labeled_triplet(anc, pos, neg, label, *, margin=1.0, reduction="mean"):
    if label.shape != anc.shape[:1]: raise ValueError("shapes")
    near, far = (torch.where(label[:, None] == 1, a, b) for a, b in ((pos, neg), (neg, pos)))
    q = lambda x: (x * x).sum(-1)
    return reduced({loss}, reduction)
"""
)

WRONG = {
    "labels broadcast to (B, B)": _CONTRASTIVE.format(loss="y * d**2 + (1 - y) * torch.relu(margin - d) ** 2"),
    "half": _CONTRASTIVE.format(loss="0.5 * (y * d**2 + (1 - y) * torch.relu(margin - d) ** 2)"),
    "input modified": _TRIPLET.format(
        loss="2*q(near-anc) - q(near-far) - q(anc-far) + margin + 0*anc.detach().mul_(0.5).sum()"
    ),
    "result in another dtype": _TRIPLET.format(loss="(2*q(near-anc) - q(near-far) - q(anc-far) + margin).double()"),
}  # fmt: skip

FAULTY = {
    "raises": _BPR.format(loss="1 / 0"),
    "exits": _BPR.format(loss="__import__('os')._exit(3)"),
    "returns text": _BPR.replace("reduced({loss}, reduction)", "'loss'"),
    "hangs": _BPR.format(loss="__import__('time').sleep(1e6)"),
}
