"""The losses in TensorFlow.

16-bit inputs are computed in float32 and the result is rounded once, to the dtype of the inputs. "The document" is
*ML基本知识(十六)损失函数*; squares are tf.square, because x**2 is tf.pow, which is not correctly rounded.
"""

from __future__ import annotations

import tensorflow as tf
from lossmark.impls.arguments import check_margin, check_ranking, check_reduction, check_tensors
from tensorflow import Tensor

from lossmark import Implementation, __version__

from .classes import cross_entropy, kl_div, soft_cross_entropy
from .common import as_written, checked_label, reduce, softplus, wide
from .contrast import nt_xent, supcon
from .framework import FRAMEWORK
from .logits import bce_with_logits, sigmoid_focal
from .margins import multi_margin
from .output_layer import linear_cross_entropy
from .pairs import clip, info_nce, siglip
from .regression import huber
from .similarity import norm, similarity_of
from .softened import cross_entropy_z, distill_kl

impl = Implementation(
    "tensorflow", framework="tensorflow", version=__version__, modes=FRAMEWORK.own["tensorflow"].modes
)
impl.loss("bce_with_logits")(bce_with_logits)
impl.loss("clip")(clip)
impl.loss("cross_entropy")(cross_entropy)
impl.loss("huber")(huber)
impl.loss("info_nce")(info_nce)
impl.loss("kl_div")(kl_div)
impl.loss("linear_cross_entropy")(linear_cross_entropy)
impl.loss("multi_margin")(multi_margin)
impl.loss("nt_xent")(nt_xent)
impl.loss("cross_entropy_z")(cross_entropy_z)
impl.loss("distill_kl")(distill_kl)
impl.loss("sigmoid_focal")(sigmoid_focal)
impl.loss("siglip")(siglip)
impl.loss("soft_cross_entropy")(soft_cross_entropy)
impl.loss("supcon")(supcon)

# -- ranking: hinge and BPR ------------------------------------------------------------------------------------------


@impl.loss
@as_written
def pairwise_hinge(
    u: Tensor, d_pos: Tensor, d_neg: Tensor, *, margin: float = 1.0, similarity: str = "dot", reduction: str = "mean"
) -> Tensor:
    """max(0, margin - sim(u, d⁺) + sim(u, d⁻)), with gradient 0 at the kink.

    ``u``, ``d_pos``, ``d_neg``: embeddings [B, D] of one dtype (float64, float32, bfloat16, float16); sim is ``dot`` or
    ``cosine`` = x·y / max(‖x‖‖y‖, 1e-8). Returns [B] under ``none``, [] under ``sum`` and ``mean``, in that dtype.
    Raises TypeError for another dtype or a margin that is no number; ValueError for another shape, a margin that is
    negative or not finite, an unknown similarity or reduction, and the mean of an empty batch.
    Source: the document's *hinge loss*. Page: docs/reference/losses/pairwise_hinge.
    """
    check_ranking(u, d_pos, d_neg, similarity, reduction)
    check_margin(margin)
    dtype = u.dtype
    u, d_pos, d_neg = wide(u, d_pos, d_neg)
    loss = tf.nn.relu(margin - similarity_of(u, d_pos, similarity) + similarity_of(u, d_neg, similarity))
    return reduce(loss, reduction, dtype)


@impl.loss
@as_written
def bpr(u: Tensor, d_pos: Tensor, d_neg: Tensor, *, similarity: str = "dot", reduction: str = "mean") -> Tensor:
    """log(1 + exp(sim(u, d⁻) - sim(u, d⁺))).

    ``u``, ``d_pos``, ``d_neg``: embeddings [B, D] of one dtype (float64, float32, bfloat16, float16); sim is ``dot`` or
    ``cosine`` = x·y / max(‖x‖‖y‖, 1e-8). Returns [B] under ``none``, [] under ``sum`` and ``mean``, in that dtype.
    Raises TypeError for another dtype; ValueError for another shape, an unknown similarity or reduction, and the mean
    of an empty batch. Source: Rendle et al. 2009, arXiv:1205.2618. Page: docs/reference/losses/bpr.
    """
    check_ranking(u, d_pos, d_neg, similarity, reduction)
    dtype = u.dtype
    u, d_pos, d_neg = wide(u, d_pos, d_neg)
    loss = softplus(similarity_of(u, d_neg, similarity) - similarity_of(u, d_pos, similarity))
    return reduce(loss, reduction, dtype)


# -- contrastive -----------------------------------------------------------------------------------------------------


def contrastive_terms(d: Tensor, y: Tensor, margin: float) -> Tensor:
    """The contrastive loss of each example, [B]."""
    return y * tf.square(d) + (1 - y) * tf.square(tf.nn.relu(margin - d))


@impl.loss
@as_written
def contrastive(d: Tensor, y: Tensor, *, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """y·d² + (1-y)·max(margin - d, 0)², with gradient 0 at the kink.

    ``d``: distances [B] (float64, float32, bfloat16, float16); ``y``: labels [B] of any dtype, values in [0, 1].
    Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of ``d``.
    Raises TypeError for another dtype or a margin that is no number; ValueError for another shape, a margin that is
    negative or not finite, an unknown reduction, the mean of an empty batch, and labels outside [0, 1]
    (on a CPU, eagerly). Source: Hadsell, Chopra, LeCun 2006. Page: docs/reference/losses/contrastive.
    """
    (batch,) = check_tensors({"d": d}, rank=1)
    check_margin(margin)
    check_reduction(reduction, batch)
    dtype = d.dtype
    (d,) = wide(d)
    return reduce(contrastive_terms(d, checked_label("y", y, (batch,), d.dtype, soft=True), margin), reduction, dtype)


@impl.loss
@as_written
def contrastive_pair(x1: Tensor, x2: Tensor, y: Tensor, *, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """The contrastive loss y·d² + (1-y)·max(margin - d, 0)² of d = ‖x1 - x2‖₂, with gradient 0 where x1 = x2.

    ``x1``, ``x2``: embeddings [B, D] of one dtype (float64, float32, bfloat16, float16); ``y``: labels [B], values in
    [0, 1], of any dtype. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of the embeddings.
    Raises as :func:`contrastive`. Source: Hadsell, Chopra, LeCun 2006. Page: docs/reference/losses/contrastive_pair.
    """
    batch, _ = check_tensors({"x1": x1, "x2": x2}, rank=2)
    check_margin(margin)
    check_reduction(reduction, batch)
    dtype = x1.dtype
    x1, x2 = wide(x1, x2)
    y = checked_label("y", y, (batch,), x1.dtype, soft=True)
    return reduce(contrastive_terms(norm(x1 - x2), y, margin), reduction, dtype)


# -- labeled triplet ---------------------------------------------------------------------------------------------------


def _sqnorm(x: Tensor) -> Tensor:
    """‖x‖² [B] of x [B, D]."""
    return tf.reduce_sum(tf.square(x), axis=1)


@impl.loss
@as_written
def labeled_triplet(
    anc: Tensor, pos: Tensor, neg: Tensor, label: Tensor, *, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """label 1: 2‖pos-anc‖² - ‖pos-neg‖² - ‖anc-neg‖² + margin; label 0: pos and neg swapped. It is not clamped at 0.

    ``anc``, ``pos``, ``neg``: embeddings [B, D] of one dtype (float64, float32, bfloat16, float16); ``label``: [B],
    0 or 1, of any dtype. Returns [B] under ``none``, [] under ``sum`` and ``mean``, in the dtype of the embeddings.
    Raises as :func:`contrastive`. Source: the document's *triplet loss*. Page: docs/reference/losses/labeled_triplet.
    """
    batch, _ = check_tensors({"anc": anc, "pos": pos, "neg": neg}, rank=2)
    check_margin(margin)
    check_reduction(reduction, batch)
    dtype = anc.dtype
    anc, pos, neg = wide(anc, pos, neg)
    label = checked_label("label", label, (batch,), anc.dtype, soft=False)
    same = (label == 1)[:, None]
    near, far = tf.where(same, pos, neg), tf.where(same, neg, pos)
    loss = 2 * _sqnorm(near - anc) - _sqnorm(near - far) - _sqnorm(anc - far) + margin
    return reduce(tf.where(tf.math.is_nan(label), label, loss), reduction, dtype)
