"""Describe the implementations of files or modules as JSON: ``python -m lossmark.discover SOURCE…``."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from dataclasses import asdict
from typing import Any

from ..adapters.implementation import Implementation
from ..adapters.registry import load_all
from ..errors import LossmarkError
from ..specification.deviated import complaint
from ..specification.library import losses
from .fit import EVERY_KEYWORD, misfits


def describe(source: str) -> list[dict[str, Any]]:
    """Every implementation of ``source``: name, framework, modes, losses and the keywords they take.

    Raises :class:`LossmarkError` where there is none, what it registers is no loss or does not fit its loss, or a
    declared deviation names what its loss has not.
    """
    path, _, wanted = source.partition("::")
    found = [impl for impl in load_all(path) if not wanted or impl.name == wanted]
    if not found:
        raise LossmarkError(f"{path}: no implementation named {wanted!r}")
    return [described(impl, path) for impl in found]


def described(impl: Implementation, source: str) -> dict[str, Any]:
    """An implementation of ``source`` likewise; raises :class:`LossmarkError` for what does not fit its losses."""
    known = losses()
    wrong = "; ".join(misfits(impl, known))
    if wrong:
        raise LossmarkError(f"{source}: {wrong}")
    for loss_id, deviation in impl.deviations.items():
        wrong = complaint(deviation, known[loss_id])
        if wrong:
            raise LossmarkError(f"{source}: the Deviation of {impl.name}: {wrong}")
    keywords = {name: (*EVERY_KEYWORD, *known[name].model.params, *known[name].optional) for name in impl.losses}
    return {
        "source": source,
        "name": impl.name,
        "framework": impl.framework_name,
        "modes": list(impl.modes),
        "losses": {loss: sorted(impl.takes(loss, keywords[loss])) for loss in impl.losses},
        "gradients": sorted(impl.gradients),
        "deviations": {loss: asdict(deviation) for loss, deviation in impl.deviations.items()},
    }


def main() -> int:
    """Write what the files or modules named on the command line hold to the standard output, as one line of JSON.

    Then it ends the process. Where loading fails it returns 3, with one line on the standard error.
    """
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the module prints is not ours
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            found = [item for source in sys.argv[1:] for item in describe(source)]
    except LossmarkError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 3
    out.write("\n" + json.dumps({"implementations": found}) + "\n")
    out.flush()
    os._exit(0)
