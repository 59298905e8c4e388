"""Tensors of any framework as arrays of NumPy, without importing one: whoever made a tensor has imported it already.

NumPy asks a tensor for its numbers, by ``__array__`` or, where it has no such method or refuses, by DLPack. PyTorch
alone needs more: what a graph hangs on is detached, what lies on another device is fetched, and a bfloat16, which its
arrays do not know, goes by its bits.
"""

from __future__ import annotations

import sys
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from ..dtypes import DTYPES

SPARSE = ("IndexedSlices", "SparseTensor", "RaggedTensor", "BCOO", "BCSR", "MaskedArray", "csr_matrix", "coo_matrix")
"""Classes that hold other numbers than those of a dense tensor."""


def array_of(name: str, x: Any) -> NDArray[Any]:
    """The numbers of a tensor on the host, in its dtype and shape; a view where that can be had.

    Raises TypeError, naming the argument, for what is no dense tensor of concrete numbers.
    """
    kind = type(x)
    if isinstance(x, (bool, int, float)):
        return np.asarray(x)
    if kind.__name__ in SPARSE:
        raise TypeError(f"{name} is a {kind.__name__}, expected a dense tensor: convert it first")
    try:
        found = _of_torch(name, x) if _is_of("torch", kind) else _of_any(x)
    except TypeError as error:
        raise TypeError(str(error) if str(error).startswith(name) else _unread(name, x, error)) from None
    except Exception as error:  # whatever a framework raises for a tensor that is traced, sharded or deleted
        raise TypeError(_unread(name, x, error)) from None
    if found is None or found.dtype == object:
        raise TypeError(f"{name} must be a tensor, got {kind.__name__}")
    return found


def _is_of(framework: str, kind: type) -> bool:
    return any(base.__module__.partition(".")[0] == framework for base in kind.__mro__)


def _of_torch(name: str, x: Any) -> NDArray[Any] | None:
    torch = sys.modules["torch"]
    if not isinstance(x, torch.Tensor):
        return None
    if x.layout != torch.strided or x.is_nested:
        raise TypeError(f"{name} is sparse or nested ({x.layout}), expected a dense tensor: call .to_dense() first")
    if x.is_quantized:
        raise TypeError(f"{name} is quantised ({x.dtype}), expected a tensor of numbers: call .dequantize() first")
    if x.device.type == "meta":
        raise TypeError(f"{name} lies on the device meta and holds no numbers")
    x = x.detach().cpu().resolve_conj().resolve_neg()
    bits = x.dtype == torch.bfloat16
    found: NDArray[Any] = np.asarray((x.view(torch.int16) if bits else x).numpy())
    return found.view(ml_dtypes.bfloat16) if bits else found


def _of_any(x: Any) -> NDArray[Any] | None:
    ways = (("__array__", np.asarray), ("numpy", lambda x: np.asarray(x.numpy())), ("__dlpack__", np.from_dlpack))
    refusal = None
    for method, read in ways:
        if hasattr(x, method):
            try:
                return read(x)
            except Exception as error:  # of TensorFlow a single bfloat16, for one, has no array, but a number
                refusal = refusal or error
    if refusal is not None:
        raise refusal
    return None


def _unread(name: str, x: Any, error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{name} is a {type(x).__name__} whose numbers cannot be read: {type(error).__name__}: {text}"


def floating(name: str, array: NDArray[Any]) -> str:
    """The name of the floating dtype of an array; raises TypeError for any other dtype."""
    found = array.dtype.newbyteorder("=").name
    if found not in DTYPES:
        raise TypeError(f"{name} has dtype {array.dtype}, expected one of {', '.join(DTYPES)}")
    return found
