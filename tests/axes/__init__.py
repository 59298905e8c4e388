"""Somebody else's specs with axes of their own, and implementations of them, right ones and wrong ones."""
