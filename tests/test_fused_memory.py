"""What the fused losses over classes and pairs hold beside their results, and the gradients that they make ahead."""

import pytest

torch = pytest.importorskip("torch")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves  # noqa: E402


class Largest(TorchDispatchMode):
    """The numbers of the largest tensor that an operation has given, among those of two dimensions and more."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        made = [x.numel() for x in tree_leaves(result) if isinstance(x, torch.Tensor)]
        self.numbers = max([self.numbers, *made])
        return result


def losses(monkeypatch):
    """Calls of losses on embeddings of width 4, with their inputs."""
    from lossmark.impls.pytorch import aten_classes, aten_products, fused

    monkeypatch.setattr(aten_classes, "CACHED", 256)
    monkeypatch.setattr(aten_products, "CACHED", 256)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    target = torch.arange(120) % 90
    yield lambda x, w: fused.linear_cross_entropy(x, w, target), [torch.randn(120, 4), torch.randn(90, 4)]
    for loss in (fused.info_nce, fused.clip):
        for similarity in ("dot", "cosine"):
            yield (
                lambda x, y, loss=loss, similarity=similarity: loss(x, y, similarity=similarity),
                [torch.randn(120, 4), torch.randn(120, 4)],
            )


def test_no_more_logits_than_a_block_are_ever_made(monkeypatch):
    for call, inputs in losses(monkeypatch):
        leaves = [x.requires_grad_() for x in inputs]
        with Largest() as largest:
            call(*leaves).backward()
        assert largest.numbers <= 480  # [120, 4], and blocks of two or three rows


def test_beside_its_gradient_cross_entropy_makes_blocks(monkeypatch):
    from lossmark.impls.pytorch import aten_classes, fused

    monkeypatch.setattr(aten_classes, "CACHED", 256)
    logits, target = torch.randn(120, 90, requires_grad=True), torch.arange(120) % 90
    with Largest() as largest:
        value = fused.cross_entropy(logits, target)
    assert largest.numbers <= 256 * torch.get_num_threads()
    made = []

    class Made(Largest):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = super().__torch_dispatch__(function, types, args, kwargs)
            if not function.is_view and isinstance(result, torch.Tensor) and result.numel() == logits.numel():
                made.append(result.untyped_storage().data_ptr())
            return result

    with Made():
        value.backward()
    assert set(made) == {logits.grad.untyped_storage().data_ptr()}


def test_gradients_made_ahead_are_those_of_any_cotangent_and_as_often_as_asked(monkeypatch):
    for call, inputs in losses(monkeypatch):
        leaves = [x.requires_grad_() for x in inputs]
        value = call(*leaves)
        once = torch.autograd.grad(value, leaves, retain_graph=True)
        kept = [x.clone() for x in once]
        thrice = torch.autograd.grad(value, leaves, torch.tensor(3.0), retain_graph=True)
        again = torch.autograd.grad(value, leaves, retain_graph=True)
        for x, y, z in zip(kept, thrice, again, strict=True):
            torch.testing.assert_close(3 * x, y)
            torch.testing.assert_close(x, z)


def test_what_is_written_into_such_a_gradient_is_not_taken_for_it(monkeypatch):
    call, inputs = next(losses(monkeypatch))
    leaves = [x.requires_grad_() for x in inputs]
    value = call(*leaves)
    torch.autograd.grad(value, leaves, retain_graph=True)[0].zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(value, leaves)


def test_without_gradients_nothing_is_made_ahead(monkeypatch):
    from lossmark.impls.pytorch import aten_products

    call, inputs = next(losses(monkeypatch))
    monkeypatch.setattr(aten_products.LinearCrossEntropy, "both", None)
    leaves = [x.requires_grad_() for x in inputs]
    with torch.no_grad():
        assert not call(*leaves).requires_grad
