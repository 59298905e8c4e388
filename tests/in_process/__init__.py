"""Tests that import frameworks; :mod:`tests.test_in_process` runs each file in a process of its own."""
