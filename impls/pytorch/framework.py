"""Driving PyTorch: eager and ``torch.compile``, on the CPU and on CUDA devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import ml_dtypes
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

COMPILERS = 4
"""Processes that torch.compile starts for one of ours; as many as a large machine has processors would hold more memory
than there is for it."""


class PyTorch(Framework):
    """PyTorch: tensors with strides, ``torch.autograd``, and ``torch.compile`` with dynamic shapes."""

    name, rank, module, distributions = "torch", 1, "torch", ("torch",)
    modes = (Mode("eager"), Mode("compile", traced=True, compiling=Compiling.LONGEST, ones_apart=True))
    own: ClassVar = {"torch": Own("losses", ("eager", "compile")), "torch-fused": Own("fused", fused=True)}
    numerics = ("TF32 off", "float32_matmul_precision highest")
    variables = ("TORCHINDUCTOR_", "_TORCHINDUCTOR_", "TRITON_")
    layouts = ("every second row", "columns of a wider tensor", "transposed", "unaligned", "zero stride")

    def setup(self) -> Mapping[str, str]:
        """Turn TF32 off and have products of matrices computed in full float32; returns both settings."""
        import torch

        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.set_float32_matmul_precision("highest")
        return {"float32_matmul_precision": torch.get_float32_matmul_precision(), "allow_tf32": "False"}

    def restoring(self) -> Callable[[], None]:
        """Sets back both flags of TF32 and the precision of products."""
        import torch

        flags = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        precision = torch.get_float32_matmul_precision()

        def restore() -> None:
            torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = flags
            torch.set_float32_matmul_precision(precision)  # last, because it sets a flag, too

        return restore

    def devices(self) -> tuple[str, ...]:
        """The CPU, and ``gpu`` where CUDA is available."""
        import torch

        return ("cpu", "gpu") if torch.cuda.is_available() else ("cpu",)

    def from_numpy(self, array: NDArray[Any], device: str = "cpu") -> Tensor:
        """A tensor of the array's dtype; bfloat16 goes by its bits, which torch does not take from ml_dtypes."""
        import torch

        contiguous = array.copy()
        if array.dtype == ml_dtypes.bfloat16:
            tensor = torch.from_numpy(contiguous.view(np.int16)).view(torch.bfloat16)
        else:
            tensor = torch.from_numpy(contiguous)
        return tensor if device == "cpu" else tensor.to("cuda")

    def to_numpy(self, x: Tensor) -> NDArray[Any]:
        """The numbers of a tensor on any device; bfloat16 comes by its bits."""
        import torch

        x = x.detach().cpu().contiguous()
        if x.dtype == torch.bfloat16:
            return np.asarray(x.view(torch.int16).numpy().view(ml_dtypes.bfloat16))
        return np.asarray(x.numpy())

    def describe(self, x: Any) -> Described:
        """Any ``torch.Tensor`` is its own; the device ``cuda`` is called ``gpu``."""
        import torch

        if not isinstance(x, torch.Tensor):
            return Described(False, type(x).__name__, np.shape(x) if np.isscalar(x) else (), "")
        device = "gpu" if x.device.type == "cuda" else x.device.type
        return Described(True, str(x.dtype).removeprefix("torch."), tuple(x.shape), device)

    def program(
        self, call: Call, reductions: Sequence[str | None], slopes: Sequence[str | None], wrt: Sequence[str], mode: str
    ) -> Program:
        """One forward run for all reductions, compiled where the mode says so; then ``torch.autograd.grad`` of each."""

        def values(inputs: Mapping[str, Tensor], params: Keywords) -> list[Tensor]:
            return [call(inputs, params, reduction) for reduction in reductions]

        run = values if mode == "eager" else self._compile(values)

        def program(inputs: Mapping[str, Tensor], cotangent: Tensor, params: Keywords) -> dict[str | None, Derivative]:
            import torch

            inputs = dict(inputs)
            for name in wrt:
                inputs[name] = inputs[name].detach().requires_grad_()
            leaves = [inputs[name] for name in wrt]
            result = {}
            for reduction, value in zip(reductions, run(inputs, params), strict=True):
                gradient: Mapping[str, Tensor] | None = {} if reduction in slopes else None
                if reduction in slopes and isinstance(value, torch.Tensor) and value.requires_grad:
                    weights = cotangent if reduction == "none" else torch.ones_like(value)
                    found = torch.autograd.grad(value, leaves, weights, retain_graph=True, allow_unused=True)
                    gradient = {name: g for name, g in zip(wrt, found, strict=True) if g is not None}
                result[reduction] = Derivative(value.detach() if isinstance(value, torch.Tensor) else value, gradient)
            return result

        return program

    def curvature(
        self,
        call: Call,
        reduction: str | None,
        inputs: Mapping[str, Tensor],
        directions: Mapping[str, Tensor],
        params: Keywords,
    ) -> Mapping[str, Tensor]:
        """Twice through autograd, the second time backwards into the leaves."""
        import torch

        leaves = {name: inputs[name].detach().requires_grad_() for name in directions}
        value = call({**inputs, **leaves}, params, reduction)
        slopes = torch.autograd.grad(value, list(leaves.values()), create_graph=True, allow_unused=True)
        parts = [(slope * directions[n]).sum() for n, slope in zip(leaves, slopes, strict=True) if slope is not None]
        sum(parts).backward()  # autograd.grad would not reach the error of a function that is once differentiable
        return {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}

    def pullback(
        self,
        call: Call,
        reduction: str | None,
        inputs: Mapping[str, Tensor],
        wrt: Sequence[str],
        params: Keywords,
    ) -> Pullback:
        """``backward`` into the leaves, whose ``grad`` is what gradients are added to; the graph is retained."""
        import torch

        leaves = {name: inputs[name].detach().requires_grad_() for name in wrt}
        value = call({**inputs, **leaves}, params, reduction)

        def pull(cotangent: Tensor | None, onto: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            for name, leaf in leaves.items():
                leaf.grad = onto.get(name)
            value.backward(torch.ones_like(value) if cotangent is None else cotangent, retain_graph=True)
            return {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}

        return pull

    def keeping(self, folder: Path) -> Mapping[str, str]:
        """The folder of Inductor's caches, which are on as it comes."""
        return {"TORCHINDUCTOR_CACHE_DIR": str(folder)}

    def _compile(self, function: Any) -> Any:
        """One graph for all shapes (``dynamic``), or an error: ``fullgraph`` refuses to run any part eagerly."""
        import torch
        import torch._dynamo.config as dynamo
        import torch._functorch.config as functorch
        import torch._inductor.config as inductor

        inductor.compile_threads = min(inductor.compile_threads, COMPILERS)
        inductor.cpp.vec_isa_ok = True  # take the CPU's flags at their word: the trial compilations last 10 s
        dynamo.recompile_limit = dynamo.accumulated_recompile_limit = 1 << 16  # a worker compiles for every case
        functorch.donated_buffer = False  # each reduction has a backward pass of its own over one forward graph
        compiled = torch.compile(function, dynamic=True, fullgraph=True)

        def run(inputs: Mapping[str, Tensor], params: Keywords) -> Any:
            try:
                return compiled(inputs, params)
            except (torch._dynamo.exc.Unsupported, torch._dynamo.exc.FailOnRecompileLimitHit) as error:
                raise FellBack(f"torch.compile: {str(error).strip().splitlines()[0]}") from error

        return run

    def synchronise(self, x: Any) -> None:
        """Wait for the CUDA device, where there is one; the CPU computes in the call."""
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize()

    def settings(self) -> Mapping[str, str]:
        """Default dtype and device, gradient modes, autocast, determinism, precision, threads and seed."""
        import torch

        return {
            "default dtype": str(torch.get_default_dtype()),
            "default device": str(torch.get_default_device()),
            "gradients enabled": str(torch.is_grad_enabled()),
            "inference mode": str(torch.is_inference_mode_enabled()),
            "autocast": str((torch.is_autocast_enabled("cpu"), torch.is_autocast_enabled("cuda"))),
            "anomaly detection": str(torch.is_anomaly_enabled()),
            "deterministic algorithms": str(torch.are_deterministic_algorithms_enabled()),
            "float32_matmul_precision": torch.get_float32_matmul_precision(),
            "allow_tf32": str((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)),
            "threads": str((torch.get_num_threads(), torch.get_num_interop_threads())),
            "seed": str(torch.initial_seed()),
        }

    def random_state(self) -> object:
        """The state of the CPU's generator."""
        import torch

        return torch.get_rng_state().numpy().tobytes()

    def namespaces(self) -> Sequence[Any]:
        """torch, its tensors, and the modules that losses are written with."""
        import torch

        return torch, torch.Tensor, torch.nn.functional, torch.linalg, torch.special, torch.autograd

    def strided(self, array: NDArray[Any], device: str = "cpu") -> Mapping[str, Tensor]:
        """Views with steps, of wider tensors, transposed and unaligned; equal rows as one."""
        import torch

        x = self.from_numpy(array, device)
        layouts = {
            "every second row": x.repeat_interleave(2, dim=0)[::2],
            "columns of a wider tensor": torch.cat([x, x], dim=-1)[..., : x.shape[-1]],
        }
        if x.ndim == 2:
            layouts["transposed"] = x.t().contiguous().t()
        layouts["unaligned"] = torch.cat([x.flatten()[:1], x.flatten()])[1:].view(x.shape)
        if bool((x == x[:1]).all()):
            layouts["zero stride"] = x[:1].expand_as(x)
        return layouts

    def traffic(
        self, run: Callable[[Mapping[str, Tensor]], Any], inputs: Mapping[str, Tensor], mode: str
    ) -> int | None:
        """What each ATen operation reads and writes; compiled code has none that can be seen."""
        if mode != "eager":
            return None
        counter = _traffic()
        with counter:
            run(inputs)
        return int(counter.bytes)

    def copied(self, x: Tensor) -> Tensor:
        """A clone."""
        return x.clone()

    def programs(self) -> int:
        """The graphs that ``torch.compile`` has compiled."""
        from torch._dynamo.utils import counters

        return int(counters["stats"]["unique_graphs"])

    def gpu_memory(self) -> tuple[int, int] | None:
        """What the caching allocator of CUDA has given away; its peak starts anew."""
        import torch

        peak = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated(), peak


def _traffic() -> Any:
    """A dispatch mode that adds up the bytes of tensors that operations take and give; views move nothing."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    def size(x: Any) -> int:
        return min(x.numel() * x.itemsize, x.untyped_storage().nbytes()) if isinstance(x, torch.Tensor) else 0

    class Traffic(TorchDispatchMode):
        bytes = 0

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            result = function(*args, **kwargs)
            if not function.is_view:
                given = {id(x): x for x in tree_leaves((args, kwargs))}
                written = [x for x in tree_leaves(result) if id(x) not in given]
                self.bytes += sum(map(size, (*given.values(), *written)))
            return result

    return Traffic()


FRAMEWORK = PyTorch()
