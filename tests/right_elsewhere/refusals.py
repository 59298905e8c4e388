"""What every implementation here refuses, of tensors of any framework."""

from typing import Any

COSINE_GUARD = 1e-8


def refuse_misfits(*embeddings: Any, label: Any = None) -> None:
    """Hold shapes [B, D] or [B], dtypes, and the label's shape [B] together; raises ValueError or TypeError."""
    first, *others = embeddings
    shape, dtype = tuple(first.shape), str(first.dtype)
    for other in others:
        if tuple(other.shape) != shape:
            raise ValueError(f"expected shape {shape}, got {tuple(other.shape)}")
        if str(other.dtype) != dtype:
            raise TypeError(f"expected dtype {dtype}, got {other.dtype}")
    if "float" not in dtype:
        raise TypeError(f"expected a floating dtype, got {dtype}")
    if label is not None and tuple(label.shape) != shape[:1]:
        raise ValueError(f"expected a label of shape {shape[:1]}, got {tuple(label.shape)}")


def chosen(similarity: str) -> bool:
    """Whether the similarity is the cosine; raises ValueError for what is neither dot nor cosine."""
    if similarity not in ("dot", "cosine"):
        raise ValueError(f"similarity must be dot or cosine, got {similarity!r}")
    return similarity == "cosine"
