"""The door that pytest takes: the entry point, under the name that it has in revisions that are bases of gates.

What is installed names one module for both sides of a gate, and the base of one may have its plugin here only.
"""

from .pytest_plugin import pytest_configure, pytest_load_initial_conftests

__all__ = ["pytest_configure", "pytest_load_initial_conftests"]
