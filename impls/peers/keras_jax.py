"""Keras on JAX."""

from __future__ import annotations

import jax.numpy as jnp
from lossmark.impls.peers.evaluated import ONE_HOT, SOFT
from lossmark.impls.peers.keras_losses import CLIPPED_FOCAL, Reducers, implementation

from lossmark import Deviation

IN_THE_DTYPE = "in 16 bits the log-probabilities are sums in the dtype of the logits"

impl = implementation(
    "keras-jax",
    "jax",
    "jax",
    Reducers(jnp.sum, jnp.mean),
    {
        "cross_entropy": Deviation(
            why=f"labels become one-hot rows, and 0 times the infinite loss of a class is NaN; {IN_THE_DTYPE}",
            formula=ONE_HOT,
            accumulate="dtype",
        ),
        "soft_cross_entropy": Deviation(why=IN_THE_DTYPE, formula=SOFT, accumulate="dtype"),
        "sigmoid_focal": CLIPPED_FOCAL,
    },
)
