"""The readings of one tree agree with each other."""

import numpy as np
import pytest
from flint import ctx

from lossmark.dtypes import DTYPES
from lossmark.formula.tree import topological
from lossmark.golden import certified as certify
from lossmark.readings import cost, exact, page
from lossmark.readings.exact import Choice
from lossmark.readings.rounding import two_doubles
from lossmark.specification.inputs import draw
from lossmark.specification.library import losses
from lossmark.tolerance import expected as tolerance

CASES = [
    (loss, draw(loss, family, DTYPES["float64"]))
    for loss in losses().values()
    for family in loss.families
    if family.model.shape in ([7, 3], [7, 8])
]


@pytest.mark.parametrize(("loss", "case"), CASES, ids=[case.id for _, case in CASES])
def test_the_wide_reading_agrees_with_arb(loss, case):
    """Values and gradients in double-double lie within 2⁻²⁶ of the bound around Arb's."""
    gradients = loss.gradients(case.params)
    with ctx.workprec(256):
        rows = certify.rows(loss, case, Choice())
    found = tolerance.expected(loss, case, DTYPES["float64"], np.ones(case.batch))
    pairs = [(found.values["none"], [two_doubles(row[gradients.formula.loss]) for row in rows])]
    for name, tree in gradients.trees[0].items():
        slopes = [row[tree] if isinstance(row[tree], list) else [row[tree]] for row in rows]
        pairs.append((found.gradients["none"][name], [two_doubles(x) for row in slopes for x in row]))
    for accepted, truth in pairs:
        high, low = np.array(truth).T
        error = np.abs((accepted.hi.ravel() - high) + (accepted.lo.ravel() - low))
        assert np.all(error <= accepted.e.ravel() * 2.0**-26)


def test_every_operation_has_an_entry_in_every_reading():
    from lossmark.formula.derivative import RULES as DERIVATIVES
    from lossmark.formula.tree import ELEMENTWISE, REDUCTIONS
    from lossmark.readings import wide
    from lossmark.readings.bound import Bound

    operations = {*ELEMENTWISE, *REDUCTIONS}
    assert operations <= {*exact.ELEMENTWISE, *exact.REDUCTIONS}
    assert operations <= {*wide.RULES}
    assert operations <= set(dir(Bound))
    assert operations <= {*cost.FLOPS}
    assert operations <= {*page.RULES}
    assert operations <= {*DERIVATIVES}


@pytest.mark.parametrize(("loss", "case"), CASES, ids=[case.id for _, case in CASES])
def test_associations_are_equal_to_the_formula(loss, case):
    """Every declared association has the exact value of the formula as written."""
    formula = loss.gradients(case.params).formula
    with ctx.workprec(400):
        for row in range(case.batch):
            leaves = {k: exact.lift(v) for k, v in loss.params(case.params).items() if not isinstance(v, str)}
            for name, array in case.inputs.items():
                numbers = [exact.lift(float(x)) for x in array[row].ravel()]
                leaves[name] = numbers if array.ndim == 2 else numbers[0]
            known = exact.evaluate(topological(formula.evaluations), leaves, Choice(), case.shape[-1])
            for association in formula.associations:
                assert abs(known[association] - known[formula.loss]) < 1e-100


def test_pages_are_well_formed():
    import xml.etree.ElementTree as ET

    for loss in losses().values():
        ET.fromstring(page.mathml(loss.gradients({}).formula.loss).replace("&", "&amp;"))
        assert page.latex(loss.gradients({}).formula.loss)
