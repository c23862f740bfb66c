"""Page-locked host memory, from which copies to a device run later.

A copy reads it when it runs, so it must not be changed or freed before. Freed memory is filled with
garbage, and handed out again at once.
"""

from __future__ import annotations

import collections
import sys

import numpy as np

from simulation import accesses, allocations, streams
from simulation.allocations import Allocation
from simulation.memory import FREED

_free: dict[int, list[Allocation]] = collections.defaultdict(list)


class _Owner:
    """Holds an allocation until NumPy's last array over it is gone."""

    def __init__(self, allocation: Allocation) -> None:
        self._allocation = allocation
        self.__array_interface__ = allocation.bytes.__array_interface__

    def __del__(self) -> None:
        if not sys.is_finalizing():
            _release(self._allocation)


def allocate(size: int) -> np.ndarray:
    """Pinned memory: uint8 (size,)."""
    rounded = max(512, 1 << (size - 1).bit_length()) if size else 512
    with streams.lock:
        free = _free[rounded]
        allocation = free.pop() if free else Allocation(rounded, None)
    return np.asarray(_Owner(allocation))[:size]


def is_pinned(array: np.ndarray) -> bool:
    """Whether an array lies in pinned memory."""
    found = allocations.find(allocations.address_of(array))
    return found is not None and found.device_id is None


def _release(allocation: Allocation) -> None:
    with streams.lock:
        for access in allocation.accesses:
            if access.position > access.queue.observed:
                accesses.report(
                    f"pinned memory is freed that {access.name} on the {access.queue} still uses, "
                    "as far as the host knows"
                )
        allocation.accesses.clear()
        allocation.bytes.fill(FREED)
        _free[allocation.size].append(allocation)
