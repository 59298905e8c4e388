"""One test per case × implementation × device × dtype × mode; its checks are the cells of the results."""

from lossmark.suite.plugin import Conformance


def test_conforms(conformance: Conformance) -> None:
    """Every check of the run passes, or is explained."""
    conformance.check()
