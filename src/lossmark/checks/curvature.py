"""Second derivatives: the loss whose "gradient" is the product of the spec's Hessian with given directions.

A backward pass written by hand often cannot be differentiated again, and says nothing: the second derivative is then
silently without a term. The trees are those of the gradient, differentiated once more, and every reading takes them.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..formula import derivative
from ..formula.gradients import Gradients
from ..formula.tree import Builder, topological
from ..specification.case import Case
from ..specification.inputs import directions
from ..specification.loss import Loss

ALONG = "along "
"""Before the name of an input: the direction of that input, which is an input itself."""


@functools.cache
def curved(loss: Loss) -> Loss:
    """The loss with second derivatives along directions in the place of its gradients."""
    return replace(loss, formulas={choice: _second(loss, found) for choice, found in loss.formulas.items()})


def _second(loss: Loss, found: Gradients) -> Gradients:
    nodes = topological([found.formula.loss, *found.trees[0].values()])
    wrt = {str(node.payload): node for node in nodes if node.op == "input" and node.payload in loss.gradient_of}
    return Gradients(found.formula, (derivative.curvature(Builder(found.formula.axes), found.trees[0], wrt, ALONG),))


def directed(case: Case, loss: Loss) -> Case:
    """The case with a direction for every input that the loss is differentiated by: small dyadic numbers, none 0."""
    drawn = {ALONG + name: array for name, array in directions(case, loss.gradient_of).items()}
    dims = {**case.dims, **{ALONG + name: case.dims[name] for name in loss.gradient_of}}
    return replace(case, id=f"{case.id} along directions", inputs={**case.inputs, **drawn}, dims=dims, golden=None)


def without(case: Case, rows: NDArray[np.intp]) -> Case:
    """The case without some of its examples."""
    kept = np.setdiff1d(np.arange(case.batch), rows)
    return replace(case, id=f"{case.id} off the kinks", inputs=case.with_rows(lambda x: x[kept]), golden=None)
