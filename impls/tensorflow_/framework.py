"""Driving TensorFlow: eager, ``tf.function`` and XLA (``jit_compile``), on the CPU and on GPUs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossmark.framework import Array, Call, Derivative, Described, FellBack, Framework, Program


class TensorFlow(Framework):
    name, module = "tensorflow", "tensorflow"
    distributions = ("tensorflow", "tensorflow-cpu", "tensorflow-intel", "tensorflow-macos")
    modes = ("eager", "graph", "xla")

    def setup(self) -> Mapping[str, str]:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(False)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        return {"tensor_float_32_execution": "False"}

    def devices(self) -> tuple[str, ...]:
        import tensorflow as tf

        return ("cpu", "gpu") if tf.config.list_physical_devices("GPU") else ("cpu",)

    def from_numpy(self, array: NDArray[Any], device: str = "cpu") -> Array:
        import tensorflow as tf

        with tf.device("/CPU:0" if device == "cpu" else "/GPU:0"):
            return tf.constant(array)

    def to_numpy(self, x: Array) -> NDArray[Any]:
        return np.asarray(x.numpy())

    def describe(self, x: Any) -> Described:
        import tensorflow as tf

        if not isinstance(x, tf.Tensor):
            return Described(False, type(x).__name__, np.shape(x) if np.isscalar(x) else (), "")
        return Described(True, x.dtype.name, tuple(x.shape), "gpu" if "GPU" in x.device else "cpu")

    def program(self, call: Call, reductions: Sequence[str | None], wrt: Sequence[str], mode: str) -> Program:
        import tensorflow as tf

        def program(inputs: Mapping[str, Array], cotangent: Array) -> list[Derivative]:
            watched = {name: inputs[name] for name in wrt}
            result = []
            for reduction in reductions:
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch(watched)
                    value = call(inputs, reduction)
                weights = tf.cast(cotangent, value.dtype) if reduction == "none" else None
                found = tape.gradient(value, watched, output_gradients=weights)
                gradient = {name: tf.convert_to_tensor(g) for name, g in found.items() if g is not None}
                result.append(Derivative(value, gradient))
            return result

        compiled = {"eager": lambda f: f, "graph": tf.function, "xla": lambda f: tf.function(f, jit_compile=True)}[mode]
        run, traced = compiled(program), mode != "eager"

        def ordered(inputs: Mapping[str, Array], cotangent: Array) -> dict[str | None, Derivative]:
            if traced and tf.config.functions_run_eagerly():
                raise FellBack("tf.config.run_functions_eagerly is on")
            return dict(zip(reductions, run(dict(inputs), cotangent), strict=True))

        return ordered

    def synchronise(self, x: Any) -> None:
        import tensorflow as tf

        if "gpu" in self.devices():
            tf.test.experimental.sync_devices()


FRAMEWORK = TensorFlow()
