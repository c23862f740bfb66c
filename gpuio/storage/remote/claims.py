"""Claims: missing pages of a segment that one thread is about to fetch, by the native module.

They are what `filling` does in most cases, with two calls that take the interpreter's lock once
instead of a dozen that pass it around between all the threads that fetch.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuio.storage.remote.cached_object import CachedObject
from gpuio.storage.remote.locks import unlock
from gpuio.storage.remote.native_segments import NativeSegments, native_segments
from gpuio.storage.remote.segment import NO_BOOT, boot_id, writing


@dataclass(frozen=True)
class Claim:
    """Pages that are locked, until `fill` or `release` is called, one of them and once.

    Attributes
    ----------
    module : the native module's functions
    descriptor, footer : of the segment's file
    first, last : the pages, from `first` to before `last`
    """

    module: NativeSegments
    descriptor: int
    footer: bytes
    first: int
    last: int

    def fill(self, data: NDArray[np.uint8]) -> None:
        """Write the pages, uint8 (bytes,), and mark them.

        Raises
        ------
        OSError : the disk is full, for example.
        """
        data = np.ascontiguousarray(data)
        writing.discard(self.descriptor)  # before others may get the same number
        error = self.module.fill(self.descriptor, self.footer, self.first, self.last, data)
        if error:
            raise OSError(error, os.strerror(error))

    def release(self) -> None:
        """Leave the pages as they are."""
        unlock(self.descriptor, self.first, self.last)
        writing.discard(self.descriptor)
        os.close(self.descriptor)


def claim_pages(cached: CachedObject, number: int, first: int, last: int) -> Claim | None:
    """Claim pages, from `first` to before `last`, of a segment.

    Returns
    -------
    None: there is no native module or no such segment, or not all of the pages are missing and
    free; `filling` finds out
    """
    module = native_segments()
    boot = boot_id()
    if module is None or boot == NO_BOOT:
        return None
    footer = cached.shape(number).footer(boot)
    descriptor = module.claim(cached.path(number), footer, first, last)
    if descriptor is None:
        return None
    writing.add(descriptor)
    return Claim(module, descriptor, footer, first, last)
