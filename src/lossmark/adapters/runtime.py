"""Where a loss runs, as far as a plan has to know it: in a framework, or in a program of any language.

A framework is driven by an adapter. A program is sent lines of JSON, and needs none.
"""

from __future__ import annotations

from .mode import Mode


class Runtime:
    """Where losses run."""

    name: str
    """What ``--impl``, ``Implementation(framework=…)`` and results files call it."""
    modes: tuple[Mode, ...]
    """The modes that it can run a loss in, in the order of a run."""
    autodiff = True
    """Whether it differentiates; else gradients come from ``Implementation.gradient``, or from the program."""
    remote = False
    """Whether losses are those of a program that is asked by messages: for the gradient by any inputs and under any
    weights, but with no tensor that a call could change, and no graph."""
    worker_bytes = 512 << 20
    """The resident memory that a worker process takes, about; how many may live is planned with it."""

    def mode(self, name: str) -> Mode:
        """The mode of this name; a name that is not listed counts as a mode that traces.

        Such names come from implementations that claim them, and from other revisions under a gate.
        """
        return next((mode for mode in self.modes if mode.name == name), Mode(name, traced=True))


class _Command(Runtime):
    """A program of any language, which ``--command`` names."""

    name = "command"
    modes = (Mode("eager"),)
    autodiff = False
    remote = True
    worker_bytes = 128 << 20


COMMAND = _Command()
"""Where the losses of a program run."""
