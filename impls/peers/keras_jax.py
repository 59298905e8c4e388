"""Keras on JAX."""

from __future__ import annotations

import jax.numpy as jnp
from lossmark.impls.peers.keras_losses import CLIPPED_FOCAL, Reducers, implementation

impl = implementation("keras-jax", "jax", "jax", Reducers(jnp.sum, jnp.mean), {"sigmoid_focal": CLIPPED_FOCAL})
