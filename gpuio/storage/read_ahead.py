"""Reading parts of mapped files ahead of their use.

A thread that touches a page of a mapped file which is not in memory waits for the disk, one page
after another, and in Python all other threads wait with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

PAGE = mmap.PAGESIZE
MAX_RANGES = 1024  # of one call, IOV_MAX

Bytes: TypeAlias = NDArray[np.uint8]
Offsets: TypeAlias = NDArray[np.int64]


def read_ahead(data: Bytes, begins: Offsets, ends: Offsets) -> None:
    """Ask the system to read parts of a mapped file; does not wait. A system that cannot do that
    ignores it.

    Parameters
    ----------
    data : the file, from `map_file`
    begins, ends : int64 (n,), the parts, in bytes; what is outside of the file is ignored
    """
    first, last = _pages(data, begins, ends)
    if not len(first) or not hasattr(mmap, "MADV_WILLNEED"):
        return
    ranges = np.stack([first, last - first], axis=1) * PAGE
    if not _advise_at_once(data, ranges):
        mapped: Any = data.base
        mapped = getattr(mapped, "obj", mapped)  # NumPy keeps a memoryview of the mmap
        for begin, length in ranges.tolist():
            with contextlib.suppress(OSError, ValueError):  # what is advice may fail
                mapped.madvise(mmap.MADV_WILLNEED, begin, length)


def page_in(data: Bytes, begins: Offsets, ends: Offsets) -> None:
    """Wait until parts of a mapped file are in memory, while other threads of Python go on.

    Parameters
    ----------
    data, begins, ends : see `read_ahead`
    """
    first, last = _pages(data, begins, ends)
    counts = last - first
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    data.take((np.repeat(first, counts) + within) * PAGE)  # one byte of each page


def _pages(data: Bytes, begins: Offsets, ends: Offsets) -> tuple[Offsets, Offsets]:
    """The pages of parts of a file: for each part the first, and the one after the last."""
    begins, ends = begins.clip(0, len(data)), ends.clip(0, len(data))
    some = begins < ends
    return begins[some] // PAGE, -(-ends[some] // PAGE)


def _advise_at_once(data: Bytes, ranges: Offsets) -> bool:
    """Advise many ranges of a file by one call without the interpreter's lock; whether that works
    here.
    """
    call = _process_madvise()
    if call is None:
        return False
    ranges[:, 0] += data.ctypes.data
    this = os.pidfd_open(os.getpid())
    try:
        for at in range(0, len(ranges), MAX_RANGES):
            part = ranges[at : at + MAX_RANGES]
            where = ctypes.c_void_p(part.ctypes.data)
            if call(this, where, ctypes.c_size_t(len(part)), mmap.MADV_WILLNEED, 0) < 0:
                ranges[:, 0] -= data.ctypes.data
                return False
    finally:
        os.close(this)
    return True


@cache
def _process_madvise() -> Any:
    """Linux's function, or None."""
    try:
        call = ctypes.CDLL(None).process_madvise
    except (AttributeError, OSError, TypeError):  # another system, or an older library
        return None
    call.restype = ctypes.c_ssize_t
    return call if hasattr(os, "pidfd_open") else None
