"""sentence-transformers tests its cached ranking loss against the plain one, by ``allclose`` with 1e-6 for both.

A sibling sees where the two differ. What both have wrong, by the same line of code, it cannot see.
"""

import pytest
import torch
from torch.nn import functional

from lossmark.testing import assert_conforms
from tests.third_party.examples import differentiated, sees

SCALE = 20.0


def data():
    torch.manual_seed(0)
    anchors = functional.normalize(torch.randn(24, 48), dim=-1)
    return 1.5 * anchors, anchors + 0.1 * torch.randn(24, 48)


def cosine(x, y):
    return functional.normalize(x, dim=-1) @ functional.normalize(y, dim=-1).T


def dot(x, y):
    """The similarity that a caller forgot to normalise."""
    return x @ y.T


def halved(x, y):
    """Similarities in float16, as under autocast."""
    return (functional.normalize(x, dim=-1).half() @ functional.normalize(y, dim=-1).half().T).float()


def plain(x, y, similarity=cosine):
    return functional.cross_entropy(SCALE * similarity(x, y), torch.arange(len(x)))


def cached(x, y, similarity=cosine, size=7):
    """The same loss in mini-batches of anchors."""
    total = 0.0
    for own in torch.arange(len(x)).split(size):
        total = total + functional.cross_entropy(SCALE * similarity(x[own], y), own, reduction="sum")
    return total / len(x)


def last_part_lost(x, y):
    """The last mini-batch is shorter, and its gradient is not kept."""
    kept = cached(x[:21], y[:21]) * 21 / 24
    return kept + (cached(x, y) - kept).detach()


def as_siblings(loss, sibling):
    x, y = data()
    (value, slopes), (wanted, others) = differentiated(loss, x, y), differentiated(sibling, x, y)
    assert pytest.approx(wanted.item()) == value.item()
    assert all(torch.allclose(got, other, 1e-6, 1e-6) for got, other in zip(slopes, others, strict=True))


def conforming(loss, sibling):
    x, y = data()
    value, (by_x, by_y) = differentiated(loss, x, y)
    params = {"temperature": 1 / SCALE}
    return assert_conforms("info_nce", {"query": x, "key": y}, value, params=params, grads={"query": by_x, "key": by_y})


def test_both_accept_the_cached_loss():
    as_siblings(cached, plain)
    assert conforming(cached, plain).grade == "accurate"


@pytest.mark.parametrize(
    ("loss", "sibling", "by_sibling"),
    [
        pytest.param(last_part_lost, plain, True, id="a gradient that is not kept"),
        pytest.param(lambda x, y: cached(x, y, dot), lambda x, y: plain(x, y, dot), False, id="not normalised"),
        pytest.param(lambda x, y: cached(x, y, halved), lambda x, y: plain(x, y, halved), False, id="halved"),
    ],
)
def test_what_each_sees(loss, sibling, by_sibling):
    assert (sees(as_siblings, loss, sibling), sees(conforming, loss, sibling)) == (by_sibling, True)
