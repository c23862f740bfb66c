"""Device memory, and pools of it as CuPy and DALI have them.

A pool belongs to a stream: memory that is freed may be handed out again at once, because later work
of the same stream runs after what is queued there. Work on other streams has to be waited for by
whoever frees the memory. To make such mistakes visible the pool fills memory with garbage, in the
order of its stream: with `ALLOCATED` when it hands it out, with `FREED` when it takes it back.
"""

from __future__ import annotations

import collections

import numpy as np

from simulation import DEVICES, accesses, allocations, streams
from simulation.allocations import Allocation
from simulation.streams import Queue

# As float32 about -4e37 and -3e36, as float16 NaN and -65408, as int32 negative.
ALLOCATED, FREED = 0xFD, 0xFB

ROUND = 512  # bytes, as in CuPy's pool
CAPACITY = 4 << 30  # bytes of each device


class OutOfMemoryError(Exception):
    """The device has not that much memory left."""


_used = [0] * DEVICES


def used(device_id: int) -> int:
    """Bytes that are allocated on a device, also by pools for later use."""
    return _used[device_id]


class DeviceAllocation(Allocation):
    """Memory on a device (cudaMalloc).

    Raises
    ------
    OutOfMemoryError : the device is full.
    """

    def __init__(self, size: int, device_id: int) -> None:
        if _used[device_id] + size > CAPACITY:
            raise OutOfMemoryError(
                f"device {device_id} has {CAPACITY - _used[device_id]} of {CAPACITY} bytes left, "
                f"not {size}"
            )
        super().__init__(size, device_id)
        self.bytes.fill(ALLOCATED)
        with streams.lock:
            _used[device_id] += size

    def free(self) -> None:
        """Give the memory back."""
        super().free()
        with streams.lock:
            _used[self.device_id] -= self.size


class Pool:
    """Memory of one stream.

    Parameters
    ----------
    queue : the stream
    """

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self._free: dict[int, list[DeviceAllocation]] = collections.defaultdict(list)
        self.in_use = 0  # bytes

    def allocate(self, size: int) -> DeviceAllocation:
        """Hand out memory, the last freed first.

        Raises
        ------
        OutOfMemoryError : the device is full.
        """
        size = -(-size // ROUND) * ROUND
        with streams.lock:
            free = self._free[size]
            made = free.pop() if free else DeviceAllocation(size, self.queue.device_id)
            self.in_use += size
            self._fill(made, ALLOCATED, "the pool, handing out memory")
            return made

    def release(self, allocation: DeviceAllocation) -> None:
        """Take memory back; called on any thread, also by the garbage collector."""
        with streams.lock:
            if not allocation.intact():
                accesses.report(f"{allocation.size} bytes were freed that were written beyond")
            self.in_use -= allocation.size
            self._fill(allocation, FREED, "the pool, taking back memory")
            self._free[allocation.size].append(allocation)

    def _fill(self, allocation: DeviceAllocation, value: int, name: str) -> None:
        content = allocation.bytes
        streams.launch(self.queue, lambda: content.fill(value), writes=[content], name=name)

    def free_bytes(self) -> int:
        """Bytes that are kept for later."""
        return sum(size * len(free) for size, free in self._free.items())

    def trim(self) -> None:
        """Give back what is kept for later."""
        with streams.lock:
            for free in self._free.values():
                while free:
                    free.pop().free()


def view(address: int, size: int, device_id: int) -> np.ndarray:
    """The memory at an address of a device: uint8 (size,).

    Raises
    ------
    ValueError : no allocation of the device holds it.
    """
    found = allocations.find(address)
    if found is None or found.device_id != device_id:
        raise ValueError(f"{address:#x} is no address of device {device_id}")
    begin = address - found.address
    if begin + size > found.size:
        raise ValueError(
            f"only {found.size - begin} bytes are allocated at {address:#x}, not {size}"
        )
    return found.bytes[begin : begin + size]
