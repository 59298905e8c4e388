"""No right implementation by another hand is accused: some of each framework here, all by lossmark mutants --right."""

import pytest

from lossmark.adapters.installed import framework_version, frameworks
from lossmark.sharpness import kills
from lossmark.sharpness import mutants as catalogue

INSTALLED = tuple(name for name in frameworks() if framework_version(name))
AT_LEAST = {"torch": 20, "jax": 12, "tensorflow": 12, "numpy": 10}
QUICK = {
    "torch": ("cdist", "triplet-index"),
    "jax": ("dot-general",),
    "tensorflow": ("matmul",),
    "numpy": ("reduceat", "power-of-two"),
}
"""Of each framework some that have little in common, by what follows the framework in their names."""


def chosen(framework, names):
    """The targets of these names; every name has one."""
    found = {target.name: target for target in catalogue.elsewhere((framework,))}
    return [found[f"elsewhere/{framework}-{name}"] for name in names]


def test_the_set_is_large_and_no_name_is_anothers():
    found = catalogue.elsewhere(INSTALLED)
    for name in INSTALLED:
        assert sum(target.reference.framework == name for target in found) >= AT_LEAST[name]
    names = [target.name for target in catalogue.right(INSTALLED)]
    assert len(names) == len(set(names))
    assert {target.name for target in found} < set(names)
    assert {loss for target in found for loss in target.losses} == {
        "bpr",
        "contrastive",
        "contrastive_pair",
        "labeled_triplet",
        "pairwise_hinge",
    }


@pytest.mark.parametrize("framework", INSTALLED)
def test_no_right_implementation_by_another_hand_is_accused(framework):
    """All dtypes, eagerly; random batches by the million are the soak's."""
    found = kills.observe(chosen(framework, QUICK[framework]), large=False, without=["properties"])
    assert len({dtype for _, dtype in found}) == 4
    assert not {name: box.cases for name, box in found.items() if box.cases}
