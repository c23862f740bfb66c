"""A pool of host memory for batches, reused when nothing references it any more, never before.

The page faults of a new batch array cost more than filling it, so the memory has to be reused. But
a batch that was handed out is the caller's, and so are all views of it. NumPy tells when the last
of them is gone: each array of the pool has a small object as its ``base``, which slices, subclass
views, memoryviews and DLPack consumers all keep alive. When that object is freed, the memory
returns to the pool.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections import deque

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gpuio.nd.types import DType, HostArray

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register

SIZES = 4  # block sizes that a pool keeps; an iterator needs two, for full and last batches

LARGEST_KEPT = 1 << 26  # bytes, of the blocks of `BufferPool.about`: 500 photographs


class _BufferOwner:
    """The base of an array of the pool: NumPy keeps it as long as there is a view of the memory."""

    def __init__(self, block: NDArray[np.uint8], shape: tuple[int, ...], dtype: DType) -> None:
        self._block = block
        self.__array_interface__ = {
            "version": 3,
            "data": (block.ctypes.data, False),
            "shape": shape,
            "typestr": dtype.str,
        }


class BufferPool:
    """Allocates host arrays whose memory is reused once an array and all its views are gone.

    Memory may be returned on any thread and at any moment, even while the garbage collector has
    interrupted this very pool. So returning takes no lock: it is one ``deque.append``, and a full
    deque drops its oldest block.

    Parameters
    ----------
    limit : free blocks kept of each size; more are returned to the system
    """

    def __init__(self, limit: int = 8) -> None:
        self._limit = limit
        self._free: dict[int, deque[NDArray[np.uint8]]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> HostArray:
        """Allocate an array. Its contents are undefined.

        Returns
        -------
        Array on the host, C-contiguous, aligned to 64 bytes; it is the caller's as long as it or a
        view of it is referenced
        """
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        try:
            block = self._blocks(size).pop()
        except IndexError:
            block = allocate(size)
        loan = _BufferOwner(block, shape, dtype)
        array = np.asarray(loan)
        weakref.finalize(loan, _take_back, weakref.ref(self), block).atexit = False
        return array

    def about(self, size: int) -> NDArray[np.uint8]:
        """Allocate uint8 (size,) for what varies in size: its block is up to an eighth larger, so
        that similar sizes share blocks. Very large ones are not kept.
        """
        step = 1 << max(0, size.bit_length() - 4)
        rounded = -(-size // step) * step
        if rounded > LARGEST_KEPT:
            return allocate(size)
        return self.empty((rounded,), np.uint8)[:size]

    def close(self) -> None:
        """Release all free memory, and memory in use when it is returned. May be called twice."""
        with self._lock:
            self._closed = True
            self._free = {}

    def _blocks(self, size: int) -> deque[NDArray[np.uint8]]:
        blocks = self._free.get(size)
        if blocks is None:
            with self._lock:
                # A new dict: `_take_back` may read the old one at the same time.
                kept = list(self._free.items())[-(SIZES - 1) :]
                blocks = self._free.get(size, deque(maxlen=0 if self._closed else self._limit))
                self._free = dict([*kept, (size, blocks)])
        return blocks


def _take_back(pool: weakref.ref[BufferPool], block: NDArray[np.uint8]) -> None:
    """Return a block, unless its pool is gone, closed or no longer keeps blocks of that size."""
    owner = pool()
    if owner is not None and (blocks := owner._free.get(block.nbytes)) is not None:
        blocks.append(block)


def allocate(size: int) -> NDArray[np.uint8]:
    """Allocate uint8 (size,), aligned to ALIGNMENT bytes."""
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size]
