"""What lossmark.testing says of results that do not conform, and of data that leave little to judge."""

import pytest
import torch
from torch.nn import functional

from lossmark.testing import assert_conforms, bound
from tests.in_process.examples import CLASSES, ROWS, classes, failure


def test_a_failure_says_which_element_how_far_how_far_is_allowed_and_why():
    inputs, value, gradient = classes()
    gradient[2, 3, 4] += 1e-3
    found = failure("cross_entropy", inputs, value, grads={"logits": gradient})
    text = str(found)
    assert text.startswith("cross_entropy does not conform: the gradient by logits under 'mean' is wrong\n")
    for words in ("logits[2, 3, 4]: ", "off by     0.001, ", "times that", "u = 2^-24", "log_sum", "lse(logits - ",
                  "the data are not to blame", f"here {float(inputs['logits'][2, 3, 0]):.6}"[:12]):  # fmt: skip
        assert words in text
    assert found.worst["index"] == [2, 3, 4]
    assert found.worst["got"] == float(gradient[2, 3, 4])


def doubled(value, gradient):
    return value, 2 * gradient


def over_all(value, gradient):
    return value * 26 / 28, gradient * 26 / 28


def over_classes(value, gradient):
    return value / CLASSES, gradient / CLASSES


def other_sign(value, gradient):
    return -value, -gradient


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (doubled, "twice the loss"),
        (over_all, "the mean over all rows: those that do not count are counted"),
        (over_classes, "the mean over C too, which is 11 long"),
        (other_sign, "the loss with the other sign"),
        (lambda value, gradient: (value * 26, gradient * 26), "the sum where the mean is meant"),
        (lambda value, gradient: (value * 1.25, gradient), "the right result times 1.25"),
        (lambda value, gradient: (value * torch.nan, gradient), "NaN where the formula has a number"),
    ],
)
def test_a_failure_says_what_it_looks_like(fault, words):
    inputs, value, gradient = classes()
    value, gradient = fault(value.detach(), gradient)
    text = str(failure("cross_entropy", inputs, value, grads={"logits": gradient}))
    assert f"looks like {words}" in text


def test_a_failure_names_the_call_or_the_mutant_that_gives_such_numbers():
    torch.manual_seed(0)
    u, pos, neg = (torch.randn(6, 9) for _ in range(3))
    each = functional.softplus((u * neg).sum(-1) - (u * pos).sum(-1))
    exchanged = failure("bpr", {"u": u, "d_pos": neg, "d_neg": pos}, each, reduction="none")
    assert "looks like d_pos and d_neg exchanged" in str(exchanged)
    inputs = {"u": u, "d_pos": pos, "d_neg": neg}
    alone = functional.softplus(-(u * pos).sum(-1))
    assert "the negative score is left out (the mutant torch/bpr-missing-negative)" in str(
        failure("bpr", inputs, alone, reduction="none")
    )
    inputs, _, _ = classes()
    logits, target = inputs["logits"].reshape(-1, CLASSES), inputs["target"].reshape(-1)
    plain = functional.cross_entropy(logits, target)
    smoothed = failure("cross_entropy", inputs, plain, params={"label_smoothing": 0.1})
    assert "looks like label_smoothing left at its default, 0.0" in str(smoothed)


def test_nothing_is_guessed_of_numbers_that_nothing_explains():
    inputs, value, gradient = classes()
    torch.manual_seed(3)
    text = str(failure("cross_entropy", inputs, value, grads={"logits": gradient + 1e-3 * torch.randn(*ROWS, CLASSES)}))
    assert "looks like" not in text


def test_ill_conditioned_data_are_said_to_be():
    anc, pos = torch.full((1, 2), 300.0), torch.full((1, 2), 301.0)
    inputs = {"anc": anc, "pos": pos, "neg": anc - 1e-3, "label": torch.ones(1)}
    calm = {"anc": anc / 300, "pos": -pos / 300, "neg": anc / 100, "label": torch.ones(1)}
    exact = [float(bound("labeled_triplet", each, params={"margin": 0.0}).exact) for each in (inputs, calm)]
    ill, well = (assert_conforms("labeled_triplet", each, x, params={"margin": 0.0})
                 for each, x in zip((inputs, calm), exact, strict=True))  # fmt: skip
    assert well.condition < 20 < 200 < ill.condition


def test_what_leaves_nothing_to_judge_is_warned_of():
    u, pos = torch.full((1, 3), 1000.0), torch.full((1, 3), 1000.0)
    neg = pos.clone()
    neg[0, 0] += 2**-14
    inputs = {"u": u.half(), "d_pos": pos.half(), "d_neg": neg.half()}
    with pytest.warns(UserWarning, match="nothing of bpr was judged"):
        assert assert_conforms("bpr", inputs, torch.tensor(0.7).half()).judged == 0


def test_confident_rows_in_the_textbook_form_conform_with_a_grade():
    logits = torch.tensor([[1e4, 1e4 - 1, 1e4 - 3]])
    target = torch.tensor([1])
    textbook = torch.logsumexp(logits, 1) - logits[0, 1]
    found = assert_conforms("cross_entropy", {"logits": logits, "target": target}, textbook[0])
    assert found.grade == "textbook"
