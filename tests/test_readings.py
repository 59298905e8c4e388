"""The readings of one tree agree with each other."""

import itertools
import threading
from fractions import Fraction

import numpy as np
import pytest
from flint import ctx

from lossmark.dtypes import DTYPES
from lossmark.errors import Place
from lossmark.formula import adjoints
from lossmark.formula.grammar import Parser
from lossmark.formula.operations import OPERATIONS
from lossmark.formula.tree import Builder, topological
from lossmark.golden import certified as certify
from lossmark.readings import bound, cost, exact, infix, page, wide
from lossmark.readings.balls import lift
from lossmark.readings.convention import IEEE
from lossmark.readings.nonfinite import NonFinite
from lossmark.readings.precision import working_precision
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
        exactly = certify.known(loss, case, IEEE)
    found = tolerance.expected(loss, case, DTYPES["float64"], np.ones(case.batch))
    pairs = [(found.values["none"], exactly[gradients.formula.loss])]
    pairs += [(found.gradients["none"][name], exactly[tree]) for name, tree in gradients.trees[0].items()]
    for accepted, truth in pairs:
        numbers = np.broadcast_to(truth, (case.batch, accepted.exact.size // case.batch)).ravel()
        high, low = np.array([two_doubles(x) for x in numbers]).T
        error = np.abs((accepted.exact.ravel() - high) + (accepted.exact_low.ravel() - low))
        assert np.all(error <= accepted.bound.ravel() * 2.0**-26)


@pytest.mark.parametrize("reading", [exact, wide, bound, cost, adjoints], ids=lambda reading: reading.__name__)
def test_every_operation_has_a_rule_in_every_reading_and_an_adjoint(reading):
    assert set(reading.RULES) == set(OPERATIONS)


@pytest.mark.parametrize("reading", [infix, page], ids=lambda reading: reading.__name__)
def test_every_operation_of_a_formula_has_a_rule_where_formulas_are_shown(reading):
    assert set(reading.RULES) == {name for name, operation in OPERATIONS.items() if operation.in_formulas}


def read_back(node, build, leaves, grouped, again=frozenset(), indices=None):
    """The tree of the text that the infix reading makes of a tree, some of whose axes run over the batch again."""
    text = infix.infix(node, {}, grouped=grouped)
    return Parser(build, leaves, {}, indices=indices, again=again).parse(text, Place("a spec", 1, 1, "formula"))


@pytest.mark.parametrize("grouped", [False, True])
def test_the_infix_text_of_a_formula_is_read_into_the_same_tree(grouped):
    for loss in losses().values():
        for gradients in loss.formulas.values():
            for node in gradients.formula.evaluations:
                build, parts = Builder(gradients.formula.axes), topological([node])
                leaves = {
                    str(leaf.payload): build(leaf.op, payload=leaf.payload, dims=leaf.dims)
                    for leaf in parts
                    if leaf.op in ("input", "param")
                }
                indices = {leaves[item.name]: item.index for item in loss.inputs if item.index and item.name in leaves}
                found = read_back(node, build, leaves, grouped, gradients.formula.again, indices)
                assert repr(found) == repr(node)


@pytest.mark.parametrize("grouped", [False, True])
def test_the_infix_text_of_every_operation_inside_every_other_is_read_into_the_same_tree(grouped):
    number = Fraction("12345678.00000000000000000000000000001e-9")
    alone = [name for name in infix.RULES if not (OPERATIONS[name].condition or OPERATIONS[name].exchanges)]
    for outer, inner, place in itertools.product(alone, alone, (0, 1)):
        build = Builder()
        leaves = {
            name: build("input", payload=name, dims=("B",) if name == "label" else ("B", "D"))
            for name in ("x", "y", "label")
        } | {"power": build.const(2)}
        condition = build("equal", leaves["label"], build.const(number))

        def made(name, x, y, build=build, leaves=leaves, condition=condition):
            chosen = {
                "where": (condition, x, y),
                "pick": (x, leaves["label"]),
                "power": (x, leaves["power"]),
                "only": (condition, x),
            }
            node = build(name, *chosen.get(name, (x, y))[: OPERATIONS[name].operands])
            return build("detach", node) if name == "largest" else node

        operands = [leaves["x"], leaves["y"]]
        operands[place] = made(inner, *operands)
        node = made(outer, *operands)
        whole = node.args[0] if outer == "largest" else node
        vectors = whole.args[:1] if outer == "pick" else whole.args
        if not OPERATIONS[outer].along or all("D" in operand.dims for operand in vectors):
            back = read_back(node, build, leaves, grouped)
            entries = ("pick", (node.args[0], leaves["label"])), ("detach", (build("largest", node.args[0]),))
            same = node.op == "sub" and any(node.args[1] is build(op, *args) for op, args in entries)
            assert back.op in ("gap", "depth") if same else back is node


def test_a_formula_writes_every_operation_as_its_row_says():
    """``written`` is read by the grammar into a node of that very operation, on as many operands."""
    for name, operation in OPERATIONS.items():
        if operation.in_formulas:
            build = Builder()
            dims = ("B", "D") if operation.along else ("B",)
            leaves = {leaf: build("input", payload=leaf, dims=dims) for leaf in ("x", "y")}
            leaves |= {"label": build("input", payload="label", dims=("B",))}
            text = operation.written.replace(", A)", ", D)").replace("condition", "label == 1")
            if name in ("equal", "power"):
                leaves["y"] = build.const(1)
            if name == "any":
                text = "any(x == 1, D)"
            if name in ("not", "both"):
                text = text.replace("x", "x == 1").replace("y", "y == 1")
            whole = f"where({text}, x, 0)" if operation.condition else f"detach({text})"
            again = frozenset({"D"} if operation.exchanges else ())
            node = Parser(build, leaves, {}, again=again).parse(whole, Place("a spec", 1, 1, "formula")).args[0]
            expected = ("B",) if operation.reduces else dims
            assert (node.op, len(node.args), node.dims) == (name, operation.operands, expected)


PAIRS = [
    "lse(dot(x, z) - own(dot(x, z)), J, not B == J)",
    "sum(where(label == over(label, J) and not B == J, swap(dot(x, z)), 0), J)",
    "sum(where(not (label == 1 and B == J) and label == over(label, J), dot(x, over(x, J)), 0), J)",
    "lse(swap(dot(x, z))*2, J, label == over(label, J))",
    "joint_lse(dot(x, z), only(2*swap(dot(x, z)), not B == J), J)",
    "where(any(label == over(label, J) and not B == J, J), own(dot(x, z)), 0)",
    "sum(dot(x, z) - detach(max(only(dot(x, z), label == over(label, J)), J)), J)",
]


@pytest.mark.parametrize("text", PAIRS)
@pytest.mark.parametrize("grouped", [False, True])
def test_the_infix_text_of_what_concerns_pairs_is_read_into_the_same_tree(text, grouped):
    build = Builder(("B", "J", "D"))
    dims = {"x": ("B", "D"), "z": ("J", "D"), "label": ("B",)}
    leaves = {name: build("input", payload=name, dims=axes) for name, axes in dims.items()}
    again = frozenset({"J"})
    node = Parser(build, leaves, {}, again=again).parse(text, Place("a spec", 1, 1, "formula"))
    assert read_back(node, build, leaves, grouped, again) is node
    assert page.mathml(node)
    assert page.latex(node)


def test_the_outcomes_of_overflow_follow_ieee_arithmetic():
    """Sums and negatives of sets of outcomes are the sets of the sums and negatives of their members."""
    numbers = np.array([np.inf, -np.inf, np.nan, 1.0])
    sets = [NonFinite.in_numbers(np.array([[x]])) for x in numbers]
    for x, outcomes in zip(numbers, sets, strict=True):
        assert outcomes.negated().allow(np.array([[-x]])).all() == (not np.isfinite(x))
        for y, others in zip(numbers, sets, strict=True):
            both = NonFinite(np.concatenate([outcomes.bits, others.bits]))
            with np.errstate(invalid="ignore"):
                total = np.array([[x + y]])
            assert both.of_a_sum().allow(total).all() == (not np.isfinite(total).all())
            assert (outcomes | others).allow(np.array([[x]])).all() == (not np.isfinite(x))


@pytest.mark.parametrize(("loss", "case"), CASES, ids=[case.id for _, case in CASES])
def test_associations_are_equal_to_the_formula(loss, case):
    """Every declared association has the exact value of the formula as written."""
    formula = loss.gradients(case.params).formula
    with ctx.workprec(400):
        numbers = {k: v for k, v in loss.params(case.params).items() if not isinstance(v, str)}
        leaves = {name: exact.single(lift(x), formula.axes) for name, x in numbers.items()}
        leaves |= {x.name: exact.lifted(case.inputs[x.name], x.dims, formula.axes) for x in loss.inputs}
        known = exact.evaluate(topological(formula.evaluations), leaves, IEEE, formula.axes)
        for association in formula.associations:
            assert all(abs(known[association] - known[formula.loss]).ravel() < 1e-100)


def test_pages_are_well_formed():
    import xml.etree.ElementTree as ET

    for loss in losses().values():
        ET.fromstring(page.mathml(loss.gradients({}).formula.loss).replace("&", "&amp;"))
        assert page.latex(loss.gradients({}).formula.loss)


def test_threads_do_not_take_one_another_the_working_precision():
    """The first enters, the second enters, the first leaves: the second still has all bits."""
    entered, inside, left, seen = threading.Event(), threading.Event(), threading.Event(), []

    def first():
        with working_precision(160):
            entered.set()
            inside.wait(0.2)  # for ever where threads wait for one another
        left.set()

    def second():
        entered.wait(10)
        with working_precision(160):
            inside.set()
            left.wait(10)
            seen.append(ctx.prec)

    threads = [threading.Thread(target=one) for one in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [160]
    assert ctx.prec == 53
