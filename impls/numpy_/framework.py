"""Driving NumPy: arrays are its own, gradients are written by hand, there is one mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from lossmark.adapters.framework import Call, Described, Framework, Own, Program, Tensor
from lossmark.adapters.mode import Mode


class NumPy(Framework):
    """NumPy with ml_dtypes for bfloat16: on the CPU, in one thread, without automatic differentiation."""

    name, rank, module, distributions = "numpy", 0, "numpy", ("numpy",)
    modes = (Mode("eager"),)
    own: ClassVar = {"numpy": Own("losses"), "numpy-fused": Own("fused", fused=True)}
    autodiff = False
    threads = 1
    layouts = (
        "every second row", "reversed", "Fortran order", "columns of a wider array", "columns reversed", "read-only",
        "unaligned", "zero stride",
    )  # fmt: skip

    def setup(self) -> Mapping[str, str]:
        return {"bfloat16": f"ml_dtypes {ml_dtypes.__version__}"}

    def devices(self) -> tuple[str, ...]:
        return ("cpu",)

    def from_numpy(self, array: NDArray[Any], device: str = "cpu") -> NDArray[Any]:
        return array.copy()

    def to_numpy(self, x: Tensor) -> NDArray[Any]:
        return np.asarray(x)

    def describe(self, x: Any) -> Described:
        native = isinstance(x, (np.ndarray, np.generic))
        return Described(native, str(np.asarray(x).dtype) if native else type(x).__name__, np.shape(x), "cpu")

    def program(
        self, call: Call, reductions: Sequence[str | None], slopes: Sequence[str | None], wrt: Sequence[str], mode: str
    ) -> Program:
        raise NotImplementedError("NumPy has no automatic differentiation; gradients come from Implementation.gradient")

    def synchronise(self, x: Any) -> None:
        return

    def strided(self, array: NDArray[Any], device: str = "cpu") -> Mapping[str, Tensor]:
        wide = np.repeat(array, 2, axis=0)
        read_only = array.copy()
        read_only.flags.writeable = False
        unaligned = np.ndarray(array.shape, array.dtype, bytearray(array.nbytes + 1), offset=1)
        unaligned[...] = array
        layouts = {
            "every second row": wide[::2],
            "reversed": np.ascontiguousarray(array[::-1])[::-1],
            "Fortran order": np.asfortranarray(array),
            "columns of a wider array": np.concatenate([array, array], axis=-1)[..., : array.shape[-1]],
            "columns reversed": np.ascontiguousarray(array[..., ::-1])[..., ::-1],
            "read-only": read_only,
            "unaligned": unaligned,
        }
        if (array == array[:1]).all():
            layouts["zero stride"] = np.broadcast_to(array[:1], array.shape)
        return layouts


FRAMEWORK = NumPy()
