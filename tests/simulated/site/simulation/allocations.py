"""Allocations of simulated memory, found by address."""

from __future__ import annotations

import bisect
import os
import threading
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from simulation.accesses import Access

# As CUDA's allocations are aligned, and the bytes on both sides that nothing may write to.
ALIGNMENT = 512
GUARD = 512
GUARD_VALUE = 0xA5


class Allocation:
    """Memory between guard bytes, until it is given back by `free`.

    Parameters
    ----------
    size : bytes
    device_id : its device; None: page-locked memory of the host

    Attributes
    ----------
    bytes : uint8 (size,)
    address : of the first byte
    accesses : by work that is not known to be done, see `simulation.accesses`
    """

    def __init__(self, size: int, device_id: int | None) -> None:
        whole = np.empty(size + 2 * GUARD + ALIGNMENT, np.uint8)
        skip = -address_of(whole) % ALIGNMENT
        self._guarded = whole[skip : skip + size + 2 * GUARD]
        self._guarded[:GUARD] = self._guarded[GUARD + size :] = GUARD_VALUE
        self.bytes = self._guarded[GUARD : GUARD + size]
        self.address = address_of(self._guarded) + GUARD
        self.size = size
        self.device_id = device_id
        self.accesses: list[Access] = []
        with _lock:
            _allocations[self.address] = self
            bisect.insort(_addresses, self.address)

    def free(self) -> None:
        """Give the memory back."""
        with _lock:
            del _allocations[self.address]
            del _addresses[bisect.bisect_left(_addresses, self.address)]

    def intact(self) -> bool:
        """Whether nothing was written beyond it."""
        guards = self._guarded[:GUARD], self._guarded[GUARD + self.size :]
        return all((guard == GUARD_VALUE).all() for guard in guards)


_allocations: dict[int, Allocation] = {}
_addresses: list[int] = []  # of all of them, sorted
_lock = threading.RLock()
os.register_at_fork(
    before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
)


def address_of(array: np.ndarray) -> int:
    """The address of an array's first element."""
    return int(array.__array_interface__["data"][0])


def find(address: int) -> Allocation | None:
    """The allocation that an address lies in."""
    with _lock:
        place = bisect.bisect_right(_addresses, address)
        found = _allocations[_addresses[place - 1]] if place else None
    if found is None or address - found.address >= max(found.size, 1):
        return None
    return found
