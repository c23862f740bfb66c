"""DALI's back end for pipelines on a GPU, over CPU operators.

All that DALI does in Python stays as it is: arguments, placement of operators, and inference of
devices are checked by DALI. Only the specifications of operators have a second version for the CPU,
of which the pipeline is built, and outputs on a GPU are `tensors.TensorListGPU`.
"""

from __future__ import annotations

import ctypes
from types import ModuleType
from typing import Any

from simulation import DEVICES, memory, streams

from nvidia_simulated.buffers import OwnPool
from nvidia_simulated.tensors import TensorListGPU


def replace(backend: ModuleType) -> None:
    """Replace parts of ``nvidia.dali.backend``."""
    registered = {
        "cpu": backend.RegisteredCPUOps,
        "gpu": backend.RegisteredGPUOps,
        "mixed": backend.RegisteredMixedOps,
    }
    operators = {device: frozenset(names()) for device, names in registered.items()}
    backend.OpSpec = _spec_class(backend.OpSpec, operators)
    backend.Pipeline = _pipeline_class(backend)


def _spec_class(OpSpec: Any, operators: dict[str, frozenset[str]]) -> Any:  # noqa: N803
    """A class of operators' specifications that can be had for the CPU, too.

    Parameters
    ----------
    operators : the names of those that there are for each device
    """

    class SimulatedOpSpec(OpSpec):
        """See `nvidia.dali.backend.OpSpec`."""

        def __init__(self, schema: str) -> None:
            super().__init__(schema)
            self._schema = schema
            self._device = "cpu"
            self._calls: list[tuple[str, tuple[Any, ...]]] = []

        def _replay(self, spec: Any, calls: Any) -> Any:
            for method, arguments in calls:
                getattr(spec, method)(*arguments)
            return spec

        def copy(self) -> Any:
            return self._replay(SimulatedOpSpec(self._schema), self._calls)

        def on_cpu(self) -> Any:
            """The specification of the operator's CPU version.

            Raises
            ------
            RuntimeError : there is no such operator, on its device or on the CPU.
            """
            for device in (self._device, "cpu"):
                if self._schema not in operators[device]:
                    raise RuntimeError(f"there is no operator {self._schema} for {device!r}")
            return self._replay(OpSpec(self._schema), map(_on_cpu, self._calls))

    def recorded(method: str) -> Any:
        def call(self: Any, *arguments: Any) -> Any:
            getattr(OpSpec, method)(self, *arguments)
            if method == "AddArg" and arguments[0] == "device":
                self._device = arguments[1]
            self._calls.append((method, arguments))
            return self

        return call

    for method in ("AddArg", "AddArgEmptyList", "AddArgumentInput", "AddInput", "AddOutput",
                   "RenameInput", "RenameOutput"):  # fmt: skip
        setattr(SimulatedOpSpec, method, recorded(method))
    return SimulatedOpSpec


def _on_cpu(call: tuple[str, tuple[Any, ...]]) -> tuple[str, tuple[Any, ...]]:
    """A call that makes a specification, for the CPU."""
    method, arguments = call
    if method == "AddArg" and arguments[0] == "device":
        return method, ("device", "cpu")
    if method == "AddArg" and arguments[0] == "hw_decoder_load" and not 0 <= arguments[1] <= 1:
        raise ValueError(f"hw_decoder_load must be from 0 to 1, not {arguments[1]}")
    if method in ("AddInput", "AddOutput"):
        return method, (arguments[0], "cpu", *arguments[2:])
    return call


def _pipeline_class(backend: ModuleType) -> Any:
    """A class of pipelines on simulated devices."""

    class SimulatedPipeline(backend.Pipeline):  # type: ignore[misc, name-defined]
        """See `nvidia.dali.backend.Pipeline`."""

        def __init__(self, *arguments: Any) -> None:
            *serialized, params = arguments
            self._device = params.device_id
            self._pool = None
            self._on_gpu: list[bool] = []
            if self._device is not None:
                if serialized:
                    raise NotImplementedError("the simulation runs no serialized pipelines")
                if not 0 <= self._device < DEVICES:
                    raise RuntimeError(f"CUDA runtime error: invalid device ordinal {self._device}")
                self._pool = OwnPool(self._device)
                params = _for_cpu(backend, params)
            super().__init__(*serialized, params)

        def AddOperator(self, spec: Any, *arguments: Any) -> int:  # noqa: N802
            return super().AddOperator(spec.on_cpu() if self._pool else spec, *arguments)

        def Build(self, outputs: Any) -> None:  # noqa: N802
            self._on_gpu = [device == "gpu" for _, device, *_ in outputs]
            if self._pool:
                outputs = [(name, "cpu", *rest) for name, _, *rest in outputs]
            super().Build(outputs)

        def device_id(self) -> int:
            return self._device if self._pool else super().device_id()

        def Outputs(self, cuda_stream: Any = None) -> tuple[Any, ...]:  # noqa: N802
            return self._bind(super().Outputs(), cuda_stream)

        def ShareOutputs(self, cuda_stream: Any = None) -> tuple[Any, ...]:  # noqa: N802
            return self._bind(super().ShareOutputs(), cuda_stream)

        def _bind(self, outputs: tuple[Any, ...], cuda_stream: Any) -> tuple[Any, ...]:
            """The outputs, valid for work on a stream; None: for the host, and all streams."""
            if self._pool is None:
                return outputs
            try:
                found = tuple(
                    TensorListGPU(tensors, self._pool, self._device) if on_gpu else tensors
                    for tensors, on_gpu in zip(outputs, self._on_gpu, strict=True)
                )
            except memory.OutOfMemoryError as error:
                raise RuntimeError(
                    f"Critical error in pipeline:\nCUDA allocation failed\n{error}"
                ) from error
            done = streams.record(self._pool.queue)
            if cuda_stream is None:
                streams.synchronize(done)
            else:
                handle = cuda_stream.value if isinstance(cuda_stream, ctypes.c_void_p) else None
                queue = streams.find(handle or 0, self._device)
                if queue.device_id != self._device:
                    raise ValueError(f"the {queue} is not of the pipeline's device, {self._device}")
                streams.wait(queue, done)
            return found

    return SimulatedPipeline


def _for_cpu(backend: ModuleType, params: Any) -> Any:
    """A pipeline's parameters, without a GPU."""
    names = ("max_batch_size", "num_threads", "seed", "executor_type", "executor_flags",
             "prefetch_queue_depths", "enable_checkpointing", "enable_memory_stats",
             "bytes_per_sample_hint")  # fmt: skip
    values = {name: getattr(params, name) for name in names}
    return backend._PipelineParams(**values)
