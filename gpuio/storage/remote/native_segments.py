"""Segment files by the native module: a call for what takes a dozen, or for many of them."""

from __future__ import annotations

import ctypes
import os

import numpy as np
from numpy.typing import NDArray

from gpuio import native
from gpuio.storage.parts import Ranges

# What is cached of a range: no page of it, all of them, or another way has to find out.
ABSENT, PRESENT, UNCLEAR = range(3)


class NativeSegments:
    """The native module's functions for segment files, see native.h. Safe to use from several
    threads.

    Parameters
    ----------
    module : the native module
    """

    def __init__(self, module: native.Native) -> None:
        library = ctypes.CDLL(str(module.path))
        text, pointer, integer = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int64
        # Keeps the interpreter's lock.
        self._claim = ctypes.PyDLL(str(module.path)).gpuio_native_claim
        self._claim.restype, self._claim.argtypes = ctypes.c_int32, [text, text, integer, integer]
        self._fill = library.gpuio_native_fill
        self._fill.restype = ctypes.c_int32
        self._fill.argtypes = [ctypes.c_int32, text, integer, integer, pointer, integer]
        self._cached = library.gpuio_native_cached
        self._cached.restype = None
        self._cached.argtypes = [text, text, integer, integer, *[pointer] * 3, integer]
        self._cached.argtypes += [pointer, pointer]

    def claim(self, path: str, footer: bytes, first: int, last: int) -> int | None:
        """Open a segment file, and lock pages that are missing.

        Returns
        -------
        The descriptor; None: some pages are not missing, locked by others, or that is not known
        """
        found = self._claim(os.fsencode(path), footer, first, last)
        return None if found < 0 else found

    def fill(
        self, descriptor: int, footer: bytes, first: int, last: int, data: NDArray[np.uint8]
    ) -> int:
        """Write contiguous `data` of claimed pages, mark and unlock these, and close the file.

        Returns
        -------
        0, or the number of the error
        """
        error: int = self._fill(descriptor, footer, first, last, data.ctypes.data, len(data))
        return error

    def cached(
        self,
        folder: str,
        footer: bytes,
        segment: int,
        size: int,
        ranges: Ranges,
        data: NDArray[np.uint8] | None,
    ) -> tuple[NDArray[np.uint8], Ranges]:
        """Find ranges, and read those that are there.

        Parameters
        ----------
        folder : of the segment files of an object
        footer : of any of them
        segment, size : bytes of a segment, and of the object
        ranges : cut at segments
        data : uint8 (bytes,), contiguous, where they are put; None: they are not read

        Returns
        -------
        uint8 (n,), ABSENT, PRESENT or UNCLEAR
        the ranges; those that are ABSENT without the pages at their ends that are there, which have
        been read
        """
        found = np.empty(len(ranges.begins), np.uint8)
        parts = Ranges(*(np.array(each, np.int64) for each in ranges))  # copies, which it changes
        addresses = [each.ctypes.data for each in parts]
        to = None if data is None else data.ctypes.data
        where = os.fsencode(folder), footer, segment, size
        self._cached(*where, *addresses, len(found), to, found.ctypes.data)
        return found, parts


def native_segments() -> NativeSegments | None:
    """The functions; None: the native module is not in use."""
    return native.bound(NativeSegments)
