"""Modes of execution, and what of them the engine must know."""

from __future__ import annotations


def compiles(framework_name: str, mode: str) -> bool:
    """Whether every new shape is compiled anew: JAX does so in eager mode too, ``tf.function`` does not."""
    return framework_name == "jax" or mode in ("compile", "xla")
