"""Hinge and BPR in PyTorch: the same scores by other operations, log(1 + exp(x)) in every accurate form."""

import torch
from lossmark.tests.right_elsewhere.refusals import COSINE_GUARD
from lossmark.tests.right_elsewhere.shared_torch import positive_first, ranking, wide
from torch import Tensor, nn
from torch.nn import functional

COMPILED = ("eager", "compile")


def logaddexp(s_pos: Tensor, s_neg: Tensor) -> Tensor:
    """log(exp(0) + exp(x))."""
    x = s_neg - s_pos
    return torch.logaddexp(x, torch.zeros_like(x))


def logsigmoid(s_pos: Tensor, s_neg: Tensor) -> Tensor:
    """As BPR is printed: -log sigmoid(s+ - s-)."""
    return -functional.logsigmoid(s_pos - s_neg)


def two_sided(s_pos: Tensor, s_neg: Tensor) -> Tensor:
    """Both sides with an exp that cannot overflow; the side not taken sees 0."""
    x = s_neg - s_pos
    zero = torch.zeros_like(x)
    above = torch.where(x > 0, x, zero)
    below = torch.where(x > 0, zero, x)
    return torch.where(x > 0, x + torch.log1p(torch.exp(-above)), torch.log1p(torch.exp(below)))


def maximum_and_log1p(s_pos: Tensor, s_neg: Tensor) -> Tensor:
    """max(x, 0) + log1p(exp(-|x|)); maximum has the slope 1/2 at a tie, which relu has not."""
    x = s_neg - s_pos
    return torch.maximum(x, torch.zeros_like(x)) + torch.log1p(torch.exp(-x.abs()))


def late_softplus(s_pos: Tensor, s_neg: Tensor) -> Tensor:
    """softplus that goes linear at 50, where float64 holds no more of it, not at 20."""
    return functional.softplus(s_neg - s_pos, threshold=50)


def clamped_exponent(s_pos: Tensor, s_neg: Tensor) -> Tensor:
    """log1p(exp(x)) up to 40, x beyond."""
    x = s_neg - s_pos
    return torch.where(x > 40, x, torch.log1p(torch.exp(x.clamp(max=40))))


def relu(s_pos: Tensor, s_neg: Tensor, margin: float) -> Tensor:
    """As the formula stands."""
    return functional.relu(margin - s_pos + s_neg)


def clamp(s_pos: Tensor, s_neg: Tensor, margin: float) -> Tensor:
    """The gap first; the slope at the kink is 1."""
    return (margin - (s_pos - s_neg)).clamp(min=0)


def maximum(s_pos: Tensor, s_neg: Tensor, margin: float) -> Tensor:
    """The margin joins the negative; the slope at the kink is 1/2."""
    z = (margin + s_neg) - s_pos
    return torch.maximum(z, z.new_zeros(()))


def where(s_pos: Tensor, s_neg: Tensor, margin: float) -> Tensor:
    """By where."""
    return positive_first(margin - s_pos + s_neg)


def masked(s_pos: Tensor, s_neg: Tensor, margin: float) -> Tensor:
    """Only the active examples are computed, and put back."""
    active = ~(margin - s_pos + s_neg <= 0)
    loss = torch.zeros_like(s_pos)
    loss[active] = margin - s_pos[active] + s_neg[active]
    return loss


def margin_ranking(s_pos: Tensor, s_neg: Tensor, margin: float) -> Tensor:
    """torch's own, of the sign +1."""
    return functional.margin_ranking_loss(s_pos, s_neg, torch.ones_like(s_pos), margin=margin, reduction="none")


def hinge_embedding(s_pos: Tensor, s_neg: Tensor, margin: float) -> Tensor:
    """torch's own, of the sign -1: max(0, margin - x)."""
    x = s_pos - s_neg
    return functional.hinge_embedding_loss(x, -torch.ones_like(x), margin=margin, reduction="none")


def bmm(x: Tensor, y: Tensor) -> Tensor:
    """[B, 1, D] by [B, D, 1]."""
    return torch.bmm(x.unsqueeze(1), y.unsqueeze(2)).squeeze(2).squeeze(1)


def matmul(x: Tensor, y: Tensor) -> Tensor:
    """Row by column by the operator."""
    return (x[:, None, :] @ y[:, :, None])[:, 0, 0]


def regrouped(x: Tensor, y: Tensor) -> Tensor:
    """b (g k) -> b g k -> b g -> b, as one writes it with einops."""
    size = max(k for k in (1, 2, 3, 4, 8) if x.shape[1] % k == 0)
    return (x * y).reshape(x.shape[0], x.shape[1] // size, size).sum(2).sum(1)


def columns_first(x: Tensor, y: Tensor) -> Tensor:
    """The embedding as the leading axis."""
    return (x.t().contiguous() * y.t().contiguous()).sum(0)


def per_example(x: Tensor, y: Tensor) -> Tensor:
    """vmap of a product of two vectors."""
    return torch.func.vmap(torch.dot)(x, y) if len(x) else (x * y).sum(1)


def double(x: Tensor, y: Tensor) -> Tensor:
    """All of it in float64."""
    return torch.einsum("bd,bd->b", x.double(), y.double())


def by_squared_norms(x: Tensor, y: Tensor, s: Tensor) -> Tensor:
    """One root of the product of squared norms, in float64 so that it neither overflows nor vanishes in float32."""
    squares = x.double().square().sum(-1) * y.double().square().sum(-1)
    return s * torch.rsqrt(squares.clamp(min=COSINE_GUARD**2))


def by_roots(x: Tensor, y: Tensor, s: Tensor) -> Tensor:
    """Roots of the sums of squares; what is zero never reaches a root."""

    def norm(z: Tensor) -> Tensor:
        square = (z * z).sum(-1)
        none = square == 0
        return torch.where(none, square, torch.where(none, torch.ones_like(square), square).sqrt())

    norms = norm(x) * norm(y)
    return torch.where(norms > COSINE_GUARD, s / norms.clamp(min=COSINE_GUARD), s / COSINE_GUARD)


def by_matrices(x: Tensor, y: Tensor, s: Tensor) -> Tensor:
    """Frobenius norms of the rows, and maximum."""
    norms = torch.stack([torch.linalg.norm(z, dim=1) for z in (x, y)]).prod(0)
    return s / torch.maximum(norms, torch.full_like(norms, COSINE_GUARD))


class Ranking(nn.Module):
    """A module with the distance of scores as a submodule."""

    def __init__(self) -> None:
        super().__init__()
        self.softplus = nn.Softplus(beta=1, threshold=64)

    def forward(self, u: Tensor, d_pos: Tensor, d_neg: Tensor, reduction: str = "mean") -> Tensor:
        """BPR of dot products."""
        if not u.shape == d_pos.shape == d_neg.shape:
            raise ValueError(f"shapes {u.shape}, {d_pos.shape}, {d_neg.shape} differ")
        if not (u.is_floating_point() and u.dtype == d_pos.dtype == d_neg.dtype):
            raise TypeError(f"dtypes {u.dtype}, {d_pos.dtype}, {d_neg.dtype} differ or are no floats")
        user, positive, negative = wide(u), wide(d_pos), wide(d_neg)
        loss = self.softplus(torch.linalg.vecdot(user, negative) - torch.linalg.vecdot(user, positive))
        return {"none": loss, "sum": loss.sum(), "mean": loss.mean()}[reduction].type_as(u)


einsum = ranking("einsum", lambda x, y: torch.einsum("bd,bd->b", x, y), relu, logaddexp, modes=COMPILED)
batched = ranking("bmm", bmm, clamp, logsigmoid, cosine=by_matrices)
operators = ranking("matmul-where", matmul, where, two_sided, cosine=by_roots, modes=COMPILED)
regroup = ranking("reshape", regrouped, maximum, maximum_and_log1p)
transposed = ranking("columns-first", columns_first, masked, late_softplus)
vmapped = ranking("vmap", per_example, margin_ranking, clamped_exponent)
doubled = ranking("double-inside", double, relu, logsigmoid, cosine=by_squared_norms)
vecdot = ranking("vecdot-embedding-loss", torch.linalg.vecdot, hinge_embedding, two_sided, modes=("eager", "vmap"))
module = ranking("module", bmm, None, None)
module.loss("bpr")(Ranking())
