"""Device memory of a library that works on a stream of its own.

The library's stream fills the memory, and takes it back in its own order as soon as the last
reference has gone, whatever other streams still do with it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from simulation import memory, streams
from simulation.dlpack import Capsule


class OwnPool(memory.Pool):
    """Memory of a stream that a library creates for itself."""

    def __init__(self, device_id: int) -> None:
        super().__init__(streams.create(device_id, blocking=False))

    def __del__(self, finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if not finalizing():
            streams.destroy(self.queue)


class Buffer:
    """Memory that a library fills.

    Parameters
    ----------
    pool : of the library's stream
    content : what the library's stream writes when it runs
    name : of the library, for reports

    Attributes
    ----------
    host : a NumPy array over the device's memory
    filled : the mark after which it has its content
    """

    def __init__(self, pool: memory.Pool, content: np.ndarray, name: str) -> None:
        self._pool = pool
        self._allocation: memory.DeviceAllocation | None = None
        self._allocation = pool.allocate(max(content.nbytes, 1))
        bytes_ = self._allocation.bytes[: content.nbytes]
        self.host = bytes_.view(content.dtype).reshape(content.shape)
        target = self.host
        streams.launch(pool.queue, lambda: np.copyto(target, content), writes=[target], name=name)
        self.filled = streams.record(pool.queue)

    def __del__(self, finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if self._allocation is not None and not finalizing():
            self._pool.release(self._allocation)


class DeviceArray:
    """An array in a library's buffer, as others see it."""

    _version = 2  # of __cuda_array_interface__

    def __init__(self, buffer: Buffer, host: np.ndarray, device_id: int) -> None:
        self._buffer = buffer
        self._host = host
        self._device_id = device_id

    @property
    def __cuda_array_interface__(self) -> dict[str, object]:
        return {
            "shape": self._host.shape,
            "strides": None,
            "typestr": self._host.dtype.str,
            "data": (memory.allocations.address_of(self._host), False),
            "version": self._version,
        }

    def __dlpack__(self, stream=None, max_version=None, dl_device=None, copy=None):  # type: ignore[no-untyped-def]
        if copy or dl_device not in (None, self.__dlpack_device__()):
            raise BufferError("the simulation exports device memory only where it is")
        if stream is not None and stream != -1:
            streams.wait(streams.find(int(stream), self._device_id), self._buffer.filled)
        return Capsule(self._host, self._device_id, self)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self._device_id
