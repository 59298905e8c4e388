"""The losses of distances in PyTorch, by every norm that torch has and by hand."""

import torch
from lossmark.tests.right_elsewhere.refusals import refuse_misfits
from lossmark.tests.right_elsewhere.shared_torch import REDUCE, metric, positive_first, wide
from torch import Tensor, nn
from torch.nn import functional

from lossmark import Implementation


def double_where(x: Tensor, y: Tensor) -> Tensor:
    """The root of the sum of squares; what is zero never reaches the root, NaN does."""
    square = ((x - y) ** 2).sum(-1)
    none = square == 0
    return torch.where(none, torch.zeros_like(square), torch.where(none, torch.ones_like(square), square).sqrt())


def cdist(x: Tensor, y: Tensor) -> Tensor:
    """Matrices of one row against one row."""
    return torch.cdist(x.unsqueeze(1), y.unsqueeze(1), p=2).flatten()


def bmm_norm(x: Tensor, y: Tensor) -> Tensor:
    """The root of z·z by a product of matrices, masked at 0."""
    z = (x - y).unsqueeze(1)
    square = torch.bmm(z, z.mT).view(-1)
    return torch.sqrt(square.masked_fill(square == 0, 1)).masked_fill(square == 0, 0)


class ScaledNorm(torch.autograd.Function):
    """‖z‖ of rows scaled by an exact power of two, so that no square overflows or vanishes; its gradient is z/‖z‖."""

    @staticmethod
    def scaled(z: Tensor) -> tuple[Tensor, Tensor]:
        """z over its scale [B, 1], and the scale."""
        largest = z.detach().abs().amax(-1, keepdim=True)
        limit = 120 if z.dtype == torch.float32 else 1000
        exponent = torch.frexp(largest).exponent.clamp(-limit, limit)
        scale = torch.exp2(exponent.to(z.dtype)).masked_fill(~largest.isfinite(), 1)
        return z / scale, scale

    @staticmethod
    def forward(ctx, z: Tensor) -> Tensor:
        """[B, D] to [B]."""
        ctx.save_for_backward(z)
        small, scale = ScaledNorm.scaled(z)
        return torch.linalg.vector_norm(small, dim=-1) * scale.squeeze(-1)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        """The unit vector of each row, 0 where the row is."""
        small, _ = ScaledNorm.scaled(ctx.saved_tensors[0])
        length = torch.linalg.vector_norm(small, dim=-1, keepdim=True)
        return grad.unsqueeze(-1) * (small / length.masked_fill(length == 0, 1))


def power_of_two(x: Tensor, y: Tensor) -> Tensor:
    """Through ScaledNorm."""
    return ScaledNorm.apply(x - y)


def rows_by_dist(x: Tensor, y: Tensor) -> Tensor:
    """One example at a time."""
    return torch.stack([torch.dist(a, b) for a, b in zip(x, y, strict=True)]) if len(x) else (x - y).sum(1)


def formula(d: Tensor, y: Tensor, margin: float) -> Tensor:
    """As it is printed."""
    return y * d**2 + (1 - y) * functional.relu(margin - d) ** 2


def addcmul(d: Tensor, y: Tensor, margin: float) -> Tensor:
    """The second product joins the first."""
    short = (margin - d).clamp_min(0)
    return torch.addcmul(y * (d * d), 1 - y, short * short)


def chosen_by_where(d: Tensor, y: Tensor, margin: float) -> Tensor:
    """Hard labels choose, soft ones mix."""
    same, other = d.square(), torch.clamp(margin - d, min=0).square()
    return torch.where(y == 1, same, torch.where(y == 0, other, y * same + (1 - y) * other))


def stacked(d: Tensor, y: Tensor, margin: float) -> Tensor:
    """Weights times squares, summed over the two of them."""
    weights = torch.stack([y, 1 - y], dim=1)
    squares = torch.stack([d, positive_first(margin - d)], dim=1).pow(2)
    return torch.einsum("bk,bk->b", weights, squares)


def indexed(d: Tensor, y: Tensor, margin: float) -> Tensor:
    """Boolean masks pick the examples; what is neither 0 nor 1, NaN too, is mixed."""
    loss = torch.empty_like(d)
    same, other = y == 1, y == 0
    rest = ~(same | other)
    loss[same] = d[same] ** 2
    loss[other] = functional.relu(margin - d[other]) ** 2
    loss[rest] = y[rest] * d[rest] ** 2 + (1 - y[rest]) * functional.relu(margin - d[rest]) ** 2
    return loss


def huber_free(d: Tensor, y: Tensor, margin: float) -> Tensor:
    """Squares by mse_loss against 0 and against the clipped distance."""
    zero = torch.zeros_like(d)
    short = functional.mse_loss(torch.minimum(d, zero + margin), zero + margin, reduction="none")
    return y * functional.mse_loss(d, zero, reduction="none") + (1 - y) * short


class Pairs(nn.Module):
    """A module around nn.PairwiseDistance without its epsilon."""

    def __init__(self) -> None:
        super().__init__()
        self.distance = nn.PairwiseDistance(p=2, eps=0)

    def forward(self, x1: Tensor, x2: Tensor, y: Tensor, *, margin: float = 1.0, reduction: str = "mean") -> Tensor:
        """Rows [B, D] twice, labels [B]."""
        refuse_misfits(x1, x2, label=y)
        loss = formula(self.distance(wide(x1), wide(x2)), y.to(wide(x1).dtype), margin)
        return REDUCE[reduction](loss).to(x1.dtype)


class PairTerms(torch.autograd.Function):
    """The loss of a pair with its gradient by hand: y·2z - (1-y)·2(margin - d)₊·z/d, 0 at d = 0."""

    @staticmethod
    def forward(ctx, x1, x2, y, margin):
        """[B, D] twice and [B] to [B]."""
        z = x1 - x2
        d = torch.linalg.vector_norm(z, dim=1)
        short = (margin - d).clamp(min=0)
        ctx.save_for_backward(z, d, short, y)
        return y * d * d + (1 - y) * short * short

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        """No gradient by the label and the margin."""
        z, d, short, y = ctx.saved_tensors
        inward = (short / d).masked_fill(d == 0, 0)
        slope = 2 * grad * (y - (1 - y) * inward)
        along = slope[:, None] * z
        return along, -along, None, None


def squares_untouched(x1, x2, y, *, margin=1.0, reduction="mean"):
    """The positive part takes the sum of squares as it is, and only the negative part its root."""
    refuse_misfits(x1, x2, label=y)
    square = (wide(x1) - wide(x2)).square().sum(1)
    y = y.to(square.dtype)
    none = square == 0
    d = torch.where(none, 0, torch.where(none, 1, square).sqrt())
    return REDUCE[reduction](y * square + (1 - y) * functional.relu(margin - d).square()).to(x1.dtype)


def pair_by_hand(x1, x2, y, *, margin=1.0, reduction="mean"):
    """Through PairTerms."""
    refuse_misfits(x1, x2, label=y)
    loss = PairTerms.apply(wide(x1), wide(x2), y.to(wide(x1).dtype), margin)
    return REDUCE[reduction](loss).to(x1.dtype)


vector_norm = metric(
    "vector-norm", lambda x, y: torch.linalg.vector_norm(x - y, dim=-1), formula, modes=("eager", "compile", "vmap")
)
safe = metric("double-where", double_where, chosen_by_where, modes=("eager", "compile", "vmap"))
distances = metric("cdist", cdist, addcmul)
pairwise = metric("pairwise-distance", lambda x, y: functional.pairwise_distance(x, y, eps=0), stacked)
products = metric("bmm-norm", bmm_norm, indexed)
scaled = metric("power-of-two", power_of_two, formula)
looped = metric("dist-of-rows", rows_by_dist, huber_free)
frobenius = metric("linalg-norm", lambda x, y: torch.linalg.norm(x - y, ord=2, dim=1), chosen_by_where)
old_norm = metric("double-inside-norm", lambda x, y: torch.norm(x.double() - y.double(), dim=1), indexed)
module = Implementation("elsewhere/torch-pairs-module", framework="torch", modes=("eager", "compile"))
module.loss("contrastive_pair")(Pairs())
squares = Implementation("elsewhere/torch-squares-untouched", framework="torch")
squares.loss("contrastive_pair")(squares_untouched)
by_hand = Implementation("elsewhere/torch-pair-function", framework="torch")
by_hand.loss("contrastive_pair")(pair_by_hand)
