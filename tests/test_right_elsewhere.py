"""No right implementation by another hand is accused: some of each framework, all by ``lossmark mutants --right``."""

import pytest

from lossmark.adapters.installed import framework_version, frameworks
from lossmark.dtypes import DTYPES
from lossmark.sharpness import kills
from lossmark.sharpness import mutants as catalogue
from lossmark.specification.library import losses
from lossmark.suite.plan import Choice

INSTALLED = tuple(name for name in frameworks() if framework_version(name))
AT_LEAST = {"torch": 20, "jax": 12, "tensorflow": 12, "numpy": 10}
CHOSEN = {
    "torch": ("cdist", "triplet-index", "bmm", "padded"),
    "jax": ("dot-general", "vmap-cond", "segment-sum", "linalg-norm"),
    "tensorflow": ("matmul", "linalg-norm", "segment-sum", "custom-gradient-norm"),
    "numpy": ("reduceat", "power-of-two", "einsum", "norm-of-rows"),
}
"""Of each framework some that have little in common, by what follows the framework in their names."""


def chosen(framework):
    """The target of each dtype."""
    found = {target.name: target for target in catalogue.elsewhere((framework,))}
    return {
        dtype: found[f"elsewhere/{framework}-{name}"] for dtype, name in zip(DTYPES, CHOSEN[framework], strict=True)
    }


def test_the_set_is_large_and_no_name_is_anothers():
    found = catalogue.elsewhere(INSTALLED)
    for name in INSTALLED:
        assert sum(target.reference.framework == name for target in found) >= AT_LEAST[name]
    names = [target.name for target in catalogue.right(INSTALLED)]
    assert len(names) == len(set(names))
    assert {target.name for target in found} < set(names)
    sources = {loss: spec.model.source.document for loss, spec in losses().items()}
    asked = {loss for loss, source in sources.items() if source == sources["bpr"]}
    assert {loss for target in found for loss in target.losses} >= asked


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("framework", INSTALLED)
def test_no_right_implementation_by_another_hand_is_accused(framework, dtype):
    """One in each dtype, eagerly; random batches by the million are the soak's."""
    target = chosen(framework)[dtype]
    found = kills.observe(
        [target], large=False, without=["properties"], choices=[Choice(dtypes=(dtype,), modes=("eager",))]
    )
    assert set(found) == {(target.name, dtype)}
    assert not found[target.name, dtype].cases
