"""DALI's tensors on a GPU, with those of their methods that gpuio and its tests use."""

from __future__ import annotations

from typing import Any

import numpy as np
from simulation import memory, streams

from nvidia_simulated.buffers import Buffer, DeviceArray


class TensorGPU(DeviceArray):
    """See `nvidia.dali.tensors.TensorGPU`."""

    def __init__(self, buffer: Buffer, host: np.ndarray, tensors: TensorListGPU, layout: str):
        super().__init__(buffer, host, tensors.device_id())
        self.dtype = tensors.dtype
        self._layout = layout

    def shape(self) -> list[int]:
        return list(self._host.shape)

    def ndim(self) -> int:
        return self._host.ndim

    def layout(self) -> str:
        return self._layout

    def device_id(self) -> int:
        return self._device_id

    def data_ptr(self) -> int:
        return memory.allocations.address_of(self._host)


class TensorListGPU:
    """See `nvidia.dali.tensors.TensorListGPU`.

    Parameters
    ----------
    tensors : the same samples on the CPU
    pool : memory of the pipeline's stream
    """

    def __init__(self, tensors: Any, pool: memory.Pool, device_id: int) -> None:
        self._on_cpu = tensors
        self._device_id = device_id
        self._layout = tensors.layout()
        self._shapes = tensors.shape()
        self.dtype = tensors.dtype
        samples = [np.asarray(tensors[place]) for place in range(len(tensors))]
        flat = [sample.ravel() for sample in samples]
        content = np.concatenate(flat) if flat else np.empty(0, np.uint8)
        self._buffer = Buffer(pool, content, "DALI's graph")

    def __len__(self) -> int:
        return len(self._shapes)

    def __getitem__(self, i: int) -> TensorGPU:
        place = range(len(self))[i]
        sizes = [int(np.prod(shape)) for shape in self._shapes]
        begin = sum(sizes[:place])
        host = self._buffer.host[begin : begin + sizes[place]].reshape(self._shapes[place])
        return TensorGPU(self._buffer, host, self, self._layout)

    at = __getitem__

    def shape(self) -> list[tuple[int, ...]]:
        return list(self._shapes)

    def ndim(self) -> int:
        return len(self._shapes[0]) if self._shapes else 0

    def layout(self) -> str:
        return self._layout

    def device_id(self) -> int:
        return self._device_id

    def data_ptr(self) -> int:
        return memory.allocations.address_of(self._buffer.host)

    def is_dense_tensor(self) -> bool:
        return len(set(self._shapes)) <= 1

    def as_tensor(self) -> TensorGPU:
        if not self.is_dense_tensor():
            raise RuntimeError("All tensors in the list must have the same shape")
        shape = (len(self), *(self._shapes[0] if self._shapes else ()))
        layout = f"N{self._layout}" if self._layout else ""
        return TensorGPU(self._buffer, self._buffer.host.reshape(shape), self, layout)

    def as_cpu(self) -> Any:
        streams.synchronize(self._buffer.filled)
        return self._on_cpu
