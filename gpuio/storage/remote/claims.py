"""Claims: missing pages of a segment that one thread is about to fetch, by the native module.

They are what `filling` does in most cases, with two calls that take the interpreter's lock once
instead of a dozen that pass it around between all the threads that fetch.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuio import native
from gpuio.storage.remote.cached_object import CachedObject
from gpuio.storage.remote.locks import unlock
from gpuio.storage.remote.segment import NO_BOOT, Shape, boot_id, writing


@dataclass(frozen=True)
class Claim:
    """Pages that are locked, until `fill` or `release` is called, one of them and once.

    Attributes
    ----------
    module : the native module
    descriptor : of the segment's file
    shape : the segment's
    first, last : the pages, from `first` to before `last`
    """

    module: native.Native
    descriptor: int
    shape: Shape
    first: int
    last: int

    def fill(self, data: NDArray[np.uint8]) -> None:
        """Write the pages, uint8 (bytes,), and mark them.

        Raises
        ------
        OSError : the disk is full, for example.
        """
        shape, data = self.shape, np.ascontiguousarray(data)
        writing.discard(self.descriptor)  # before others may get the same number
        begin = self.first * shape.page
        pages = self.first, self.last, shape.states_at
        error = self.module.fill(self.descriptor, *pages, data, begin)
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
    module = native.library()
    boot = boot_id()
    if module is None or boot == NO_BOOT:
        return None
    shape = cached.shape(number)
    where = shape.footer_at, shape.states_at
    descriptor = module.claim(cached.path(number), shape.footer(boot), *where, first, last)
    if descriptor is None:
        return None
    writing.add(descriptor)
    return Claim(module, descriptor, shape, first, last)
