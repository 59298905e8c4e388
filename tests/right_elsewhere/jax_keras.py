"""The losses by Keras on its jax backend."""

import os

os.environ["KERAS_BACKEND"] = "jax"

from lossmark.tests.right_elsewhere.shared_keras import implementations

einsum, total, blocks, by_class = implementations("jax", ("eager", "jit", "vmap"))
