"""The losses by Keras on its torch backend."""

import os

os.environ["KERAS_BACKEND"] = "torch"

from lossmark.tests.right_elsewhere.shared_keras import implementations

einsum, total, blocks, by_class = implementations("torch", ("eager",))
