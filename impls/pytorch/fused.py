"""The losses in PyTorch, moving the fewest bytes: ``from lossmark.impls.pytorch.fused import bpr``.

Forward reads the inputs once and keeps a number or three per example; backward reads them once more and writes the
gradients from the analytic derivative. Nothing of the size of an input is made beside the gradients that are asked
for. On a CPU that goes over blocks of rows that stay in the cache (:mod:`.aten`); on a GPU each pass is a Triton kernel
(:mod:`.triton_`), where Triton is installed, as it is with torch for CUDA on Linux. Arguments, results and errors are
those of :mod:`lossmark.impls.pytorch.losses`, which stands in where there is nothing to gain: ``similarity="cosine"``,
``torch.compile`` (which fuses by itself), the hinge of small inputs on a CPU, and second derivatives.
"""

from __future__ import annotations

import functools
import importlib.util
from types import ModuleType

import torch
from lossmark.impls.arguments import check_margin, check_ranking, check_reduction, check_tensors
from torch import Tensor

from lossmark import Implementation, __version__

from . import aten
from . import losses as plain
from .common import checked_label, wide_of
from .framework import FRAMEWORK
from .passes import differentiable
from .rows import few

impl = Implementation("torch-fused", framework="torch", version=__version__, modes=FRAMEWORK.own["torch-fused"].modes)


def passes_for(x: Tensor) -> ModuleType:
    """The module with the passes of all losses for the device of ``x``."""
    return _triton_passes() if x.is_cuda else aten


@functools.cache
def _triton_passes() -> ModuleType:
    if importlib.util.find_spec("triton") is None:
        return aten
    from . import triton_

    return triton_


@impl.loss
def pairwise_hinge(
    u: Tensor, d_pos: Tensor, d_neg: Tensor, *, margin: float = 1.0, similarity: str = "dot", reduction: str = "mean"
) -> Tensor:
    """max(0, margin - ⟨u,d⁺⟩ + ⟨u,d⁻⟩); arguments, result and errors as :func:`.losses.pairwise_hinge`."""
    if similarity != "dot" or torch.compiler.is_compiling() or few(u):
        return plain.pairwise_hinge(u, d_pos, d_neg, margin=margin, similarity=similarity, reduction=reduction)
    check_ranking(u, d_pos, d_neg, similarity, reduction)
    check_margin(margin)
    formula = functools.partial(plain.pairwise_hinge, margin=margin)
    return differentiable(passes_for(u).Hinge(margin), formula, reduction, (u, d_pos, d_neg))


@impl.loss
def bpr(u: Tensor, d_pos: Tensor, d_neg: Tensor, *, similarity: str = "dot", reduction: str = "mean") -> Tensor:
    """log(1 + exp(⟨u,d⁻⟩ - ⟨u,d⁺⟩)); arguments, result and errors as :func:`.losses.bpr`."""
    if similarity != "dot" or torch.compiler.is_compiling():
        return plain.bpr(u, d_pos, d_neg, similarity=similarity, reduction=reduction)
    check_ranking(u, d_pos, d_neg, similarity, reduction)
    return differentiable(passes_for(u).Bpr(), plain.bpr, reduction, (u, d_pos, d_neg))


@impl.loss
def contrastive(d: Tensor, y: Tensor, *, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """y·d² + (1-y)·max(margin - d, 0)²; arguments, result and errors as :func:`.losses.contrastive`."""
    if torch.compiler.is_compiling():
        return plain.contrastive(d, y, margin=margin, reduction=reduction)
    (batch,) = check_tensors({"d": d}, rank=1)
    check_margin(margin)
    check_reduction(reduction, batch)
    y = checked_label("y", y, (batch,), wide_of(d), soft=True)
    formula = functools.partial(plain.contrastive, margin=margin)
    return differentiable(passes_for(d).Contrastive(margin), formula, reduction, (d,), y)


@impl.loss
def contrastive_pair(x1: Tensor, x2: Tensor, y: Tensor, *, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """The contrastive loss of d = ‖x1 - x2‖₂; arguments, result and errors as :func:`.losses.contrastive_pair`."""
    if torch.compiler.is_compiling():
        return plain.contrastive_pair(x1, x2, y, margin=margin, reduction=reduction)
    batch, _ = check_tensors({"x1": x1, "x2": x2}, rank=2)
    check_margin(margin)
    check_reduction(reduction, batch)
    y = checked_label("y", y, (batch,), wide_of(x1), soft=True)
    formula = functools.partial(plain.contrastive_pair, margin=margin)
    return differentiable(passes_for(x1).ContrastivePair(margin), formula, reduction, (x1, x2), y)


@impl.loss
def labeled_triplet(
    anc: Tensor, pos: Tensor, neg: Tensor, label: Tensor, *, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """label 1: 2‖pos-anc‖² - ‖pos-neg‖² - ‖anc-neg‖² + margin; label 0: pos and neg swapped.

    Arguments, result and errors as :func:`.losses.labeled_triplet`.
    """
    if torch.compiler.is_compiling():
        return plain.labeled_triplet(anc, pos, neg, label, margin=margin, reduction=reduction)
    batch, _ = check_tensors({"anc": anc, "pos": pos, "neg": neg}, rank=2)
    check_margin(margin)
    check_reduction(reduction, batch)
    label = checked_label("label", label, (batch,), wide_of(anc), soft=False)
    formula = functools.partial(plain.labeled_triplet, margin=margin)
    return differentiable(passes_for(anc).LabeledTriplet(margin), formula, reduction, (anc, pos, neg), label)
