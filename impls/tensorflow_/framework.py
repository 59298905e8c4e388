"""Driving TensorFlow: eager, ``tf.function`` and XLA (``jit_compile``), on the CPU and on GPUs."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lossmark.adapters.framework import (
    Call,
    Derivative,
    Described,
    FellBack,
    Framework,
    Keywords,
    Own,
    Program,
    Pullback,
    Tensor,
)
from lossmark.adapters.mode import Compiling, Mode


class TensorFlow(Framework):
    """TensorFlow: eager tensors and tapes, ``tf.function`` of unknown sizes, and XLA, which compiles for each shape."""

    name, rank, module = "tensorflow", 2, "tensorflow"
    distributions = ("tensorflow", "tensorflow-cpu", "tensorflow-intel", "tensorflow-macos")
    modes = (Mode("eager"), Mode("graph", traced=True), Mode("xla", traced=True, compiling=Compiling.LONG))
    own: ClassVar = {
        "tensorflow": Own("losses", ("eager", "graph", "xla")),
        "tensorflow-fused": Own("fused", ("eager", "graph"), fused=True),
    }
    numerics = ("TF32 off",)
    worker_bytes = 1 << 30

    def setup(self) -> Mapping[str, str]:
        """Turn TF32 off, and have GPUs take memory as it is needed; returns the setting."""
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(False)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        return {"tensor_float_32_execution": "False"}

    def restoring(self) -> Callable[[], None]:
        """Sets TF32 back."""
        import tensorflow as tf

        enabled = tf.config.experimental.tensor_float_32_execution_enabled()
        return lambda: tf.config.experimental.enable_tensor_float_32_execution(enabled)

    def devices(self) -> tuple[str, ...]:
        """The CPU, and ``gpu`` where TensorFlow lists one."""
        import tensorflow as tf

        return ("cpu", "gpu") if tf.config.list_physical_devices("GPU") else ("cpu",)

    def from_numpy(self, array: NDArray[Any], device: str = "cpu") -> Tensor:
        """A constant on the device."""
        import tensorflow as tf

        with tf.device("/CPU:0" if device == "cpu" else "/GPU:0"):
            return tf.constant(array)

    def to_numpy(self, x: Tensor) -> NDArray[Any]:
        """The numbers of an eager tensor on any device."""
        return np.asarray(x.numpy())

    def describe(self, x: Any) -> Described:
        """Any ``tf.Tensor`` is its own."""
        import tensorflow as tf

        if not isinstance(x, tf.Tensor):
            return Described(False, type(x).__name__, np.shape(x) if np.isscalar(x) else (), "")
        return Described(True, x.dtype.name, tuple(x.shape), "gpu" if "GPU" in x.device else "cpu")

    def traceable(self, function: Callable[..., Any], mode: str) -> Callable[..., Any]:
        """The function with AutoGraph applied, as ``tf.function`` does; the rest here needs none and traces faster."""
        import tensorflow as tf

        if not self.mode(mode).traced:
            return function
        autograph = tf.__internal__.autograph
        converted: Callable[..., Any] = autograph.tf_convert(function, autograph.control_status_ctx())
        return converted

    def program(
        self, call: Call, reductions: Sequence[str | None], slopes: Sequence[str | None], wrt: Sequence[str], mode: str
    ) -> Program:
        """A tape for each reduction, inside one ``tf.function`` for each set of parameters where the mode traces."""
        import tensorflow as tf

        def program(inputs: Mapping[str, Tensor], cotangent: Tensor, params: Keywords) -> list[Derivative]:
            watched = {name: inputs[name] for name in wrt}
            result = []
            for reduction in reductions:
                if reduction not in slopes:
                    result.append(Derivative(call(inputs, params, reduction), None))
                    continue
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch(watched)
                    value = call(inputs, params, reduction)
                weights = tf.cast(cotangent, value.dtype) if reduction == "none" else None
                found = tape.gradient(value, watched, output_gradients=weights)
                gradient = {name: tf.convert_to_tensor(g) for name, g in found.items() if g is not None}
                result.append(Derivative(value, gradient))
            return result

        compiled: dict[str, Any] = {}

        def run(inputs: Mapping[str, Tensor], cotangent: Tensor, params: Keywords) -> dict[str | None, Derivative]:
            if mode == "eager":
                return dict(zip(reductions, program(inputs, cotangent, params), strict=True))
            if tf.config.functions_run_eagerly():
                raise FellBack("tf.config.run_functions_eagerly is on")
            key = repr((sorted(params.items()), [(name, x.dtype, len(x.shape)) for name, x in inputs.items()]))
            if key not in compiled:
                function = functools.partial(program, params=dict(params))
                compiled[key] = (
                    self._graph(function, inputs, cotangent)
                    if mode == "graph"
                    else tf.function(function, jit_compile=True, autograph=False)
                )
            return dict(zip(reductions, compiled[key](dict(inputs), cotangent), strict=True))

        return run

    def curvature(
        self,
        call: Call,
        reduction: str | None,
        inputs: Mapping[str, Tensor],
        directions: Mapping[str, Tensor],
        params: Keywords,
    ) -> Mapping[str, Tensor]:
        """A tape inside a tape."""
        import tensorflow as tf

        watched = {name: inputs[name] for name in directions}
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(watched)
            with tf.GradientTape(watch_accessed_variables=False) as inner:
                inner.watch(watched)
                value = call(inputs, params, reduction)
            slopes = inner.gradient(value, watched)
            parts = [tf.reduce_sum(slope * directions[n]) for n, slope in slopes.items() if slope is not None]
            along = tf.add_n(parts)
        found = outer.gradient(along, watched)
        return {name: tf.convert_to_tensor(g) for name, g in found.items() if g is not None}

    def pullback(
        self,
        call: Call,
        reduction: str | None,
        inputs: Mapping[str, Tensor],
        wrt: Sequence[str],
        params: Keywords,
    ) -> Pullback:
        """A persistent tape."""
        import tensorflow as tf

        watched = {name: inputs[name] for name in wrt}
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(watched)
            value = call(inputs, params, reduction)

        def pull(cotangent: Tensor | None, onto: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            weights = None if cotangent is None else tf.cast(cotangent, value.dtype)
            slopes = tape.gradient(value, watched, output_gradients=weights)
            found = {name: tf.convert_to_tensor(g) for name, g in slopes.items() if g is not None}
            return {name: g + onto[name] if name in onto else g for name, g in found.items()}

        return pull

    def _graph(self, function: Any, inputs: Mapping[str, Tensor], cotangent: Tensor) -> Any:
        """One graph for all shapes; a function that needs to know the shape is traced for each."""
        import tensorflow as tf

        def unknown(x: Tensor) -> Any:
            return tf.TensorSpec([None] * len(x.shape), x.dtype)

        signature = ({name: unknown(x) for name, x in inputs.items()}, unknown(cotangent))
        dynamic = tf.function(function, input_signature=signature, autograph=False)
        try:
            dynamic.get_concrete_function()
        except Exception:
            return tf.function(function, autograph=False)
        return dynamic

    def keeping(self, folder: Path) -> Mapping[str, str]:
        """The persistent cache of XLA's programs; graphs are traced anew."""
        flags = os.environ.get("TF_XLA_FLAGS", "")
        return {"TF_XLA_FLAGS": f"{flags} --tf_xla_persistent_cache_directory={folder}".strip()}

    def settings(self) -> Mapping[str, str]:
        """Eager running of functions, TF32, placement, the grappler's jit, eager execution and the seed."""
        import tensorflow as tf
        from tensorflow.python.eager import context

        return {
            "functions_run_eagerly": str(tf.config.functions_run_eagerly()),
            "tensor_float_32_execution": str(tf.config.experimental.tensor_float_32_execution_enabled()),
            "soft_device_placement": str(tf.config.get_soft_device_placement()),
            "optimizer jit": str(tf.config.optimizer.get_jit()),
            "executing eagerly": str(tf.executing_eagerly()),
            "seed": str(context.global_seed()),
        }

    def random_state(self) -> object:
        """The state of the generator that seeds operations, once there is one."""
        from tensorflow.python.eager import context

        seeded = getattr(context.context(), "_rng", None)
        return seeded and seeded.getstate()

    def namespaces(self) -> Sequence[Any]:
        """tf, its tensors, and the modules that losses are written with."""
        import tensorflow as tf

        return tf, tf.math, tf.nn, tf.linalg, tf.Tensor

    def copied(self, x: Tensor) -> Tensor:
        """A deep copy."""
        import tensorflow as tf

        return tf.raw_ops.DeepCopy(x=x)

    def gpu_memory(self) -> tuple[int, int] | None:
        """What the allocator of the first GPU has given away; its peak starts anew."""
        import tensorflow as tf

        found = tf.config.experimental.get_memory_info("GPU:0")
        tf.config.experimental.reset_memory_stats("GPU:0")
        return found["current"], found["peak"]

    def synchronise(self, x: Any) -> None:
        """Wait for the GPUs, where there are any; the CPU computes in the call."""
        import tensorflow as tf

        if "gpu" in self.devices():
            tf.test.experimental.sync_devices()


FRAMEWORK = TensorFlow()
