"""The catalogue of checks is whole: each has its method, asks a question, and is made of somebody."""

import pytest

from lossmark.checks.catalogue import CHECKS, REFUSAL, asked
from lossmark.checks.consistency import Consistency
from lossmark.checks.ordinary import Judged
from lossmark.checks.usage import Usage
from lossmark.sandbox.target import targets
from lossmark.specification.library import losses

MAKERS = {"ordinary": Judged, "usage": Usage, "consistency": Consistency}


@pytest.mark.parametrize("check", [*CHECKS, REFUSAL], ids=lambda check: check.name)
def test_every_check_has_its_method_and_asks_a_question(check):
    assert callable(getattr(MAKERS[check.kind], check.name))
    assert check.asks.endswith("?")


def test_every_method_of_usage_and_consistency_is_a_check():
    shared = set(dir(Usage)) & set(dir(Consistency))
    for kind, maker in MAKERS.items():
        methods = {name for name in vars(maker) if not name.startswith("_") and name not in shared}
        names = {check.name for check in (*CHECKS, REFUSAL) if check.kind == kind}
        if kind != "ordinary":
            assert methods == names


def test_every_check_is_made_of_some_loss_by_torch():
    (torch,) = targets(["torch"])
    made = set()
    for loss in losses().values():
        for case in loss.cases:
            made.update(asked(torch, loss, case, torch.mode("eager")))
    assert made == {check.name for check in (*CHECKS, REFUSAL)}
