"""Host memory for batches: recycled when nobody can see it any more, never before.

A fresh batch array costs page faults worth more than the work that fills it, so the memory must be
used again. But a batch that was handed out is the caller's, and so are all views of it. NumPy tells
when the last of them is gone: each array lent by the pool stands on a small object of its own (its
``base``), which slices, subclass views, memoryviews and DLPack consumers all keep alive. When that
object dies, the memory returns to the pool.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register

SIZES = 4  # sizes of blocks that a pool keeps apart; an iterator needs two, full and last batches


class _Loan:
    """What a lent array stands on: NumPy keeps it for as long as any view of the memory lives."""

    def __init__(
        self, block: NDArray[np.uint8], shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self._block = block
        self.__array_interface__ = {
            "version": 3,
            "data": (block.ctypes.data, False),
            "shape": shape,
            "typestr": dtype.str,
        }


class BufferPool:
    """Lends host arrays whose memory is used again once an array and all its views are gone.

    Memory may come back in any thread and at any moment, even while the garbage collector has
    interrupted this very pool. So returning takes no lock: it is one ``deque.append``, and a full
    deque forgets its oldest block.

    Parameters
    ----------
    limit : free blocks kept of each size; more are given back to the system
    """

    def __init__(self, limit: int = 8) -> None:
        self._limit = limit
        self._free: dict[int, deque[NDArray[np.uint8]]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Lend an array. Its contents are undefined.

        Returns
        -------
        array of the shape and dtype on the host, C-contiguous, aligned to 64 bytes; it is the
        caller's for as long as the caller, or whoever took a view of it, keeps it
        """
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        try:
            block = self._blocks(size).pop()
        except IndexError:
            block = _allocate(size)
        loan = _Loan(block, shape, dtype)
        array = np.asarray(loan)
        weakref.finalize(loan, _take_back, weakref.ref(self), block).atexit = False
        return array

    def close(self) -> None:
        """Let go of all free memory, and of lent memory when it comes back. May be called twice."""
        with self._lock:
            self._closed = True
            self._free = {}

    def _blocks(self, size: int) -> deque[NDArray[np.uint8]]:
        blocks = self._free.get(size)
        if blocks is None:
            with self._lock:
                # A new dict, because `_take_back` may read the old one in the middle of this.
                kept = list(self._free.items())[-(SIZES - 1) :]
                blocks = self._free.get(size, deque(maxlen=0 if self._closed else self._limit))
                self._free = dict([*kept, (size, blocks)])
        return blocks


def _take_back(pool: weakref.ref[BufferPool], block: NDArray[np.uint8]) -> None:
    """Put a block back, unless its pool is gone, closed or has forgotten blocks of that size."""
    owner = pool()
    if owner is not None and (blocks := owner._free.get(block.nbytes)) is not None:
        blocks.append(block)


def _allocate(size: int) -> NDArray[np.uint8]:
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size]
