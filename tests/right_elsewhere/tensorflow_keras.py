"""The losses by Keras on its tensorflow backend."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

from lossmark.tests.right_elsewhere.shared_keras import implementations

einsum, total, blocks, by_class = implementations("tensorflow", ("eager", "graph", "xla"))
