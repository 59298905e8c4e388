"""Driving JAX: eager and ``jax.jit``, on the CPU and on GPUs."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lossmark.adapters.framework import Call, Derivative, Described, Framework, Keywords, Own, Program, Pullback, Tensor
from lossmark.adapters.mode import Compiling, Mode

COMPILED = "/jax/core/compile/backend_compile_duration"
"""The event that JAX records for every program that it compiles."""


class Jax(Framework):
    """JAX: XLA compiles everything for each shape, in eager mode one operation at a time."""

    name, rank, module, distributions = "jax", 3, "jax", ("jax",)
    modes = (Mode("eager", compiling=Compiling.LONG), Mode("jit", traced=True, compiling=Compiling.SHORT))
    own: ClassVar = {"jax": Own("losses", ("eager", "jit")), "jax-fused": Own("fused", ("eager", "jit"), fused=True)}
    numerics = ("x64 on", "default_matmul_precision highest")

    def __init__(self) -> None:
        self._compiled: list[float] = []
        self._counting = False

    def setup(self) -> Mapping[str, str]:
        """Turn x64 on and have products of matrices computed in full precision; counts compilations from now on."""
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        import jax

        jax.config.update("jax_enable_x64", True)
        if not self._counting:
            jax.monitoring.register_event_duration_secs_listener(self._count)
            self._counting = True
        jax.config.update("jax_default_matmul_precision", "highest")
        return {"enable_x64": "True", "default_matmul_precision": "highest"}

    def _count(self, event: str, seconds: float, **_: Any) -> None:
        if event == COMPILED:
            self._compiled.append(seconds)

    def restoring(self) -> Callable[[], None]:
        """Sets x64 and the precision of products back."""
        import jax

        names = ("jax_enable_x64", "jax_default_matmul_precision")
        values = [getattr(jax.config, name) for name in names]

        def restore() -> None:
            for name, value in zip(names, values, strict=True):
                jax.config.update(name, value)

        return restore

    def devices(self) -> tuple[str, ...]:
        """The CPU, and ``gpu`` where JAX lists one."""
        import jax

        return ("cpu", "gpu") if any(device.platform == "gpu" for device in jax.devices()) else ("cpu",)

    def from_numpy(self, array: NDArray[Any], device: str = "cpu") -> Tensor:
        """An array on the first device of the kind, with memory of its own."""
        import jax

        return jax.device_put(array.copy(), jax.devices(device)[0])

    def to_numpy(self, x: Tensor) -> NDArray[Any]:
        """The numbers of an array on any device."""
        return np.asarray(x)

    def describe(self, x: Any) -> Described:
        """Any ``jax.Array`` is its own; one on several devices is described by the first."""
        import jax

        if not isinstance(x, jax.Array):
            return Described(False, type(x).__name__, np.shape(x), "")
        return Described(True, str(x.dtype), tuple(x.shape), next(iter(x.devices())).platform)

    def program(
        self, call: Call, reductions: Sequence[str | None], slopes: Sequence[str | None], wrt: Sequence[str], mode: str
    ) -> Program:
        """A ``jax.vjp`` for each reduction, inside one ``jax.jit`` for each set of parameters where the mode traces."""
        import jax
        import jax.numpy as jnp

        def program(inputs: Mapping[str, Tensor], cotangent: Tensor, params: Keywords) -> list[Derivative]:
            result = []
            for reduction in reductions:

                def loss(free: Mapping[str, Tensor], reduction: str | None = reduction) -> Tensor:
                    return call({**inputs, **free}, params, reduction)

                if reduction not in slopes:
                    result.append(Derivative(loss({}), None))
                    continue
                value, pullback = jax.vjp(loss, {name: inputs[name] for name in wrt})
                weights = cotangent.astype(value.dtype) if reduction == "none" else jnp.ones_like(value)
                result.append(Derivative(value, pullback(weights)[0]))
            return result

        compiled: dict[str, Any] = {}

        def run(inputs: Mapping[str, Tensor], cotangent: Tensor, params: Keywords) -> dict[str | None, Derivative]:
            if mode == "eager":
                return dict(zip(reductions, program(inputs, cotangent, params), strict=True))
            key = repr(sorted(params.items()))  # parameters are constants of the program
            if key not in compiled:
                compiled[key] = jax.jit(functools.partial(program, params=dict(params)))
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
        """A gradient of a gradient."""
        import jax
        import jax.numpy as jnp

        def along(free: Mapping[str, Tensor]) -> Tensor:
            slopes = jax.grad(lambda free: call({**inputs, **free}, params, reduction))(free)
            return sum(jnp.sum(slopes[name] * directions[name]) for name in directions)

        return jax.grad(along)({name: inputs[name] for name in directions})

    def pullback(
        self,
        call: Call,
        reduction: str | None,
        inputs: Mapping[str, Tensor],
        wrt: Sequence[str],
        params: Keywords,
    ) -> Pullback:
        """The function that ``jax.vjp`` gives, called as often."""
        import jax
        import jax.numpy as jnp

        def loss(free: Mapping[str, Tensor]) -> Tensor:
            return call({**inputs, **free}, params, reduction)

        value, back = jax.vjp(loss, {name: inputs[name] for name in wrt})

        def pull(cotangent: Tensor | None, onto: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            found = back(jnp.ones_like(value) if cotangent is None else cotangent.astype(value.dtype))[0]
            return {name: g + onto[name] if name in onto else g for name, g in found.items()}

        return pull

    def synchronise(self, x: Any) -> None:
        """Wait for every array in ``x``."""
        import jax

        jax.block_until_ready(x)

    def keeping(self, folder: Path) -> Mapping[str, str]:
        """JAX's persistent compilation cache, for programs however small: it is the small ones that are many."""
        return {
            "JAX_COMPILATION_CACHE_DIR": str(folder),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }

    def settings(self) -> Mapping[str, str]:
        """Every option of ``jax.config``."""
        import jax

        return {name: str(value) for name, value in jax.config.values.items()}

    def namespaces(self) -> Sequence[Any]:
        """jax and the modules that losses are written with."""
        import jax

        return jax, jax.numpy, jax.numpy.linalg, jax.nn, jax.lax

    def traffic(
        self, run: Callable[[Mapping[str, Tensor]], Any], inputs: Mapping[str, Tensor], mode: str
    ) -> int | None:
        """What each operation that is run by itself reads and writes; of a compiled one XLA's own analysis says it."""
        import jax
        from jax.extend import core

        total = 0.0
        for equation in jax.make_jaxpr(run)(dict(inputs)).eqns:
            avals = [var.aval for var in (*equation.invars, *equation.outvars)]
            if equation.primitive.name in ("jit", "pjit"):
                function = core.jaxpr_as_fun(equation.params["jaxpr"])
                given = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals[: len(equation.invars)]]
                total += jax.jit(function).lower(*given).compile().cost_analysis()["bytes accessed"]
            else:
                total += sum(aval.size * aval.dtype.itemsize for aval in avals)
        return int(total)

    def copied(self, x: Tensor) -> Tensor:
        """A copy in new memory."""
        import jax.numpy as jnp

        return jnp.array(x, copy=True)

    def programs(self) -> int:
        """The programs that XLA has compiled since :meth:`setup`."""
        return len(self._compiled)


FRAMEWORK = Jax()
