"""The losses in PyTorch, moving the fewest bytes: ``from lossmark.impls.pytorch.fused import bpr``.

Forward reads the inputs once and keeps a number or three per example; backward reads them once more and writes the
gradients from the analytic derivative. Nothing of the size of an input is made beside the gradients that are asked
for. On a CPU that goes over blocks of rows that stay in the cache (:mod:`.aten`); on a GPU each pass is a Triton kernel
(:mod:`.triton_`), where Triton is installed, as it is with torch for CUDA on Linux. Arguments, results and errors are
those of :mod:`lossmark.impls.pytorch.losses`, which stands in where there is nothing to gain: ``similarity="cosine"``
of rankings, ``torch.compile`` (which fuses by itself), the hinge of small inputs on a CPU, and second derivatives.

Logits that are products, of an output layer or of pairs in the batch, are made a block at a time, and the gradients of
one number together with it.
"""

from __future__ import annotations

import functools
import importlib.util
from types import ModuleType

import torch
from lossmark.impls.arguments import (
    IMAGES,
    check_capped,
    check_class,
    check_classes,
    check_margin,
    check_output_layer,
    check_pairs,
    check_ranking,
    check_reduction,
    check_tensors,
)
from torch import Tensor

from lossmark import Implementation, __version__

from . import aten
from . import losses as plain
from .common import checked_class, checked_label, wide_of
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
    formula = functools.partial(plain.contrastive, y=y, margin=margin)
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
    formula = functools.partial(plain.contrastive_pair, y=y, margin=margin)
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
    formula = functools.partial(plain.labeled_triplet, label=label, margin=margin)
    return differentiable(passes_for(anc).LabeledTriplet(margin), formula, reduction, (anc, pos, neg), label)


# -- classes -----------------------------------------------------------------------------------------------------------


def _classed(target: Tensor, classes: int, ignore_index: int, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The class of each row, -1 where it is ignored, what it counts [B], and what a mean divides by [].

    ``weights`` are [C] or of one number for all; a row that has no class counts NaN, one that is ignored 0.
    """
    index, counted, known = checked_class(target, classes, ignore_index)
    share = weights[index] if len(weights) > 1 else weights.expand_as(index)
    share = torch.where(counted, torch.where(known, share, torch.nan), 0)
    return torch.where(counted, index, -1), share, share.sum()


@impl.loss
def cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """-log softmax(x)_y with weights and smoothing; arguments, result and errors as :func:`.losses.cross_entropy`."""
    formula = functools.partial(plain.cross_entropy, weight=weight, label_smoothing=label_smoothing)
    if torch.compiler.is_compiling() or (weight is not None and weight.requires_grad):
        return formula(logits, target, ignore_index=ignore_index, reduction=reduction)
    batch, classes = check_tensors({"logits": logits}, rank=2, across="C")
    check_classes(target, weight, logits, ignore_index, label_smoothing)
    check_reduction(reduction, batch)
    weights = torch.ones(1, dtype=logits.dtype, device=logits.device) if weight is None else weight
    weights = weights.to(wide_of(logits))
    index, share, among = _classed(target, classes, ignore_index, weights)
    passes = passes_for(logits).CrossEntropy(label_smoothing, None if weight is None else weights)
    formula = functools.partial(formula, target=index, ignore_index=-1)
    return differentiable(passes, formula, reduction, (logits,), index, share, among=among)


@impl.loss
def cross_entropy_z(
    logits: Tensor,
    target: Tensor,
    *,
    z_weight: float = 1e-4,
    softcap: float = 0.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Cross entropy of capped logits plus z·lse²; arguments, result and errors as :func:`.losses.cross_entropy_z`."""
    formula = functools.partial(plain.cross_entropy_z, z_weight=z_weight, softcap=softcap)
    if torch.compiler.is_compiling():
        return formula(logits, target, ignore_index=ignore_index, reduction=reduction)
    check_capped(logits, target, z_weight, softcap, ignore_index, reduction)
    one = torch.ones(1, dtype=wide_of(logits), device=logits.device)
    index, share, among = _classed(target, logits.shape[1], ignore_index, one)
    passes = passes_for(logits).CrossEntropy(z=z_weight, cap=softcap)
    formula = functools.partial(formula, target=index, ignore_index=-1)
    return differentiable(passes, formula, reduction, (logits,), index, share, among=among)


@impl.loss
def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, target: Tensor, *, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """-log softmax(W·h)_y; arguments, result and errors as :func:`.losses.linear_cross_entropy`."""
    if torch.compiler.is_compiling():
        return plain.linear_cross_entropy(hidden, weight, target, ignore_index=ignore_index, reduction=reduction)
    check_output_layer(hidden, weight, target, ignore_index)
    check_class("target", target, len(hidden))
    check_reduction(reduction, len(hidden))
    one = torch.ones(1, dtype=wide_of(hidden), device=hidden.device)
    index, share, among = _classed(target, len(weight), ignore_index, one)
    formula = functools.partial(plain.linear_cross_entropy, target=index, ignore_index=-1)
    passes = passes_for(hidden).LinearCrossEntropy()
    return differentiable(passes, formula, reduction, (hidden, weight), index, share, among=among)


# -- pairs in the batch ------------------------------------------------------------------------------------------------


@impl.loss
def info_nce(
    query: Tensor, key: Tensor, *, temperature: float = 0.07, similarity: str = "cosine", reduction: str = "mean"
) -> Tensor:
    """-log softmax(sim(q_i, k_j)/τ)_i; arguments, result and errors as :func:`.losses.info_nce`."""
    formula = functools.partial(plain.info_nce, temperature=temperature, similarity=similarity)
    if torch.compiler.is_compiling() or not len(query):
        return formula(query, key, reduction=reduction)
    check_pairs(query, key, temperature, similarity, reduction)
    return differentiable(
        passes_for(query).InfoNce(temperature, similarity == "cosine"), formula, reduction, (query, key)
    )


@impl.loss
def clip(
    image: Tensor, text: Tensor, *, scale: float = 14.285714, similarity: str = "cosine", reduction: str = "mean"
) -> Tensor:
    """Half of info_nce in both directions; arguments, result and errors as :func:`.losses.clip`."""
    formula = functools.partial(plain.clip, scale=scale, similarity=similarity)
    if torch.compiler.is_compiling() or not len(image):
        return formula(image, text, reduction=reduction)
    check_pairs(image, text, scale, similarity, reduction, IMAGES)
    passes = passes_for(image).Clip(scale, similarity == "cosine")
    return differentiable(passes, formula, reduction, (image, text))
