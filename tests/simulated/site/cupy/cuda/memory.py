"""cupy.cuda's memory: allocations, pointers and the pool."""

import ctypes
import sys

import numpy as np
import simulation
from simulation import memory, pinned, streams

from cupy.cuda import runtime
from cupy.cuda.device import Device
from cupy.cuda.stream import _current_queue, get_current_stream


class OutOfMemoryError(MemoryError):
    def __init__(self, size, total, limit=0):
        self._size, self._total, self._limit = size, total, limit
        message = f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes"
        super().__init__(f"{message}, limit set to: {limit:,} bytes)." if limit else f"{message}).")

    def __reduce__(self):
        return type(self), (self._size, self._total, self._limit)


class BaseMemory:
    """Device memory; ``_bytes`` is a NumPy array over it."""

    def __init__(self, ptr, size, device_id, content):
        self.ptr, self.size, self.device_id, self._bytes = ptr, size, device_id, content

    def __int__(self):
        return self.ptr

    @property
    def device(self):
        return Device(self.device_id)


class UnownedMemory(BaseMemory):
    def __init__(self, ptr, size, owner, device_id=-1):
        if device_id < 0:
            found = memory.allocations.find(ptr)
            if found is None or found.device_id is None:
                raise runtime.CUDARuntimeError(1)
            device_id = found.device_id
        content = memory.view(ptr, size, device_id) if size else np.empty(0, np.uint8)
        super().__init__(ptr, size, device_id, content)
        self._owner = owner


class PooledMemory(BaseMemory):
    def __init__(self, chunk, pool):
        super().__init__(chunk.address, chunk.size, chunk.device_id, chunk.bytes)
        self._chunk, self._pool = chunk, pool

    def free(self):
        if self.ptr:
            self.ptr = 0
            self._pool.release(self._chunk)

    def __del__(self):
        if not sys.is_finalizing():
            self.free()


class MemoryPointer:
    def __init__(self, mem, offset):
        self.mem, self.ptr, self.device_id = mem, mem.ptr + offset, mem.device_id

    def __int__(self):
        return self.ptr

    @property
    def device(self):
        return Device(self.device_id)

    def __add__(self, offset):
        return MemoryPointer(self.mem, self.ptr - self.mem.ptr + offset)

    def __sub__(self, offset):
        return self + -offset

    def _region(self, size):
        begin = self.ptr - self.mem.ptr
        return self.mem._bytes[begin : begin + size]

    def copy_from_device_async(self, src, size, stream=None):
        target, source = self._region(size), src._region(size)
        _launch(stream, lambda: np.copyto(target, source), [source], [target], "a copy")

    def copy_from_host_async(self, mem, size, stream=None):
        source, target = _host_bytes(mem, size), self._region(size)
        if pinned.is_pinned(source):
            _launch(stream, lambda: np.copyto(target, source), [source], [target], "a copy")
        else:  # CUDA copies pageable memory to a buffer of its own before it returns
            staged = source.copy()
            _launch(stream, lambda: np.copyto(target, staged), (), [target], "a copy")

    def copy_to_host_async(self, mem, size, stream=None):
        source, target = self._region(size), _host_bytes(mem, size)
        to_pinned = pinned.is_pinned(target)
        writes = [target] if to_pinned else ()
        _launch(stream, lambda: np.copyto(target, source), [source], writes, "a copy to the host")
        if not to_pinned:  # CUDA returns when pageable memory has been written
            (get_current_stream() if stream is None else stream).synchronize()

    def memset_async(self, value, size, stream=None):
        target = self._region(size)
        _launch(stream, lambda: target.fill(value), (), [target], "a fill")


def _launch(stream, work, reads, writes, name):
    """Queue a copy, for which the current device does not matter."""
    queue = (get_current_stream() if stream is None else stream)._queue
    streams.launch(queue, work, reads, writes, name)


def _host_bytes(address, size):
    address = address if isinstance(address, int) else address.value
    return np.frombuffer((ctypes.c_uint8 * size).from_address(address), np.uint8)


class MemoryPool:
    def __init__(self, allocator=None):
        self._pools = [{} for _ in range(simulation.DEVICES)]
        self._limits = [0] * simulation.DEVICES

    def malloc(self, size):
        device_id = runtime.getDevice()
        if not size:
            return MemoryPointer(BaseMemory(0, 0, device_id, np.empty(0, np.uint8)), 0)
        queue = _current_queue()
        with streams.lock:
            pool = self._pool(queue)
            limit = self._limits[device_id]
            if limit and self.used_bytes() + size > limit:
                raise OutOfMemoryError(size, self.total_bytes(), limit)
            try:
                chunk = pool.allocate(size)
            except memory.OutOfMemoryError:
                self.free_all_blocks()
                try:
                    chunk = pool.allocate(size)
                except memory.OutOfMemoryError as error:
                    raise OutOfMemoryError(size, self.total_bytes()) from error
        return MemoryPointer(PooledMemory(chunk, pool), 0)

    def _pool(self, queue):
        """The pool of a stream; those of destroyed streams end when nothing of them is in use."""
        pools = self._pools[queue.device_id]
        if queue not in pools:
            for each in [each for each in pools.values() if each.queue.destroyed]:
                each.trim()
                if not each.in_use:
                    del pools[each.queue]
            pools[queue] = memory.Pool(queue)
        return pools[queue]

    def free_all_blocks(self, stream=None):
        for pool in self._of_device():
            if stream is None or pool.queue is stream._queue:
                pool.trim()

    def _of_device(self):
        return list(self._pools[runtime.getDevice()].values())

    def free_bytes(self):
        return sum(pool.free_bytes() for pool in self._of_device())

    def used_bytes(self):
        return sum(pool.in_use for pool in self._of_device())

    def total_bytes(self):
        return self.free_bytes() + self.used_bytes()

    def set_limit(self, size=None, fraction=None):
        if fraction is not None:
            size = int(memory.CAPACITY * fraction)
        self._limits[runtime.getDevice()] = size or 0

    def get_limit(self):
        return self._limits[runtime.getDevice()]


_default_pool = MemoryPool()


def alloc(size):
    return _default_pool.malloc(size)
