"""What calls of code under test gave, as plain numbers and words that cannot harm the process that judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..adapters.framework import FellBack, Framework
from .messages import Array, Failure, Outcome, Returned
from .schema import NAMES


def failure(error: BaseException) -> Failure:
    """An exception as a message of at most 500 characters; its own text may be of any length, or may raise."""
    try:
        text = " ".join(str(error)[:5000].split())[:500]
    except Exception:
        text = "(its message cannot be had)"
    return Failure("fell back" if isinstance(error, FellBack) else "raised", type(error).__name__[:200], text)


class Readout:
    """Turns results of one framework into arrays of NumPy, or into failures."""

    def __init__(self, framework: Framework):
        self._framework = framework

    def returned(self, x: Any) -> Outcome:
        """A result with its dtype, shape and device; a failure where it is one or cannot be read.

        A Python number is no tensor, but has a value; anything else that is no tensor has none.
        """
        if isinstance(x, Failure):
            return x
        try:
            native, dtype, shape, device = self._framework.describe(x)
            shape = tuple(map(int, shape))
            if native:
                return Returned(self._array(x), True, str(dtype), shape, str(device))
            number = isinstance(x, (int, float)) and not isinstance(x, bool)
            return Returned(np.asarray(x, dtype=np.float64) if number else None, False, type(x).__name__, shape, device)
        except BaseException as error:
            return failure(error)

    def gradient(self, gradient: Mapping[str, Any]) -> Mapping[str, Array] | Failure:
        """The gradients by name of input, those that are None left out; a failure where one cannot be read."""
        try:
            return {str(name): self._array(x) for name, x in gradient.items() if x is not None}
        except BaseException as error:
            return failure(error)

    def changed(self, x: Any, original: Array) -> bool:
        """Whether an input is no longer what it was, bit for bit."""
        try:
            now = self._framework.to_numpy(x)
        except Exception:
            return True
        return now.dtype != original.dtype or now.shape != original.shape or now.tobytes() != original.tobytes()

    def _array(self, x: Any) -> Array:
        """The numbers of a tensor. Nothing else goes to the judge, which reads nothing else."""
        array = np.asarray(self._framework.to_numpy(x))
        if array.dtype.newbyteorder("=") not in NAMES:
            raise TypeError(f"the result is an array of {array.dtype} objects, expected numbers")
        return array
