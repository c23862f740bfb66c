"""Fetching pages of an object into its cache, each by one process."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import Error
from gpuio.storage.remote.cache import Cache
from gpuio.storage.remote.cached_object import CachedObject
from gpuio.storage.remote.locks import lock_free_parts, unlock
from gpuio.storage.remote.segment import MISSING, ForeignSegmentError, Segment
from gpuio.storage.remote.statistics import count
from gpuio.storage.remote.store import Store

# Bytes between two missing parts up to which they are fetched by one request.
GAP = 1 << 16

# Seconds between two looks at what another process is fetching: the first and the longest wait.
FIRST_WAIT, LONGEST_WAIT = 0.002, 0.05


@dataclass(frozen=True)
class RemoteObject:
    """One version of an object: where it comes from, and where it is cached.

    Attributes
    ----------
    store, key : where it is
    cache, cached : where it is cached
    timeout : seconds after which what another process fetches is fetched here, too
    """

    store: Store
    key: str
    cache: Cache
    cached: CachedObject
    timeout: float

    def fetch(self, begin: int, end: int) -> NDArray[np.uint8]:
        """Read bytes from the store: uint8 (end - begin,).

        Raises
        ------
        FileChangedError, RecordFileNotFoundError, RemoteError : see `Store`.
        """
        data = np.asarray(self.store.read(self.key, begin, end, self.cached.info)[:])
        if len(data) != end - begin:
            raise Error(
                f"{self.cached.shown}: the store gave {len(data)} bytes for those from {begin} to "
                f"{end}"
            )
        count(requests=1, fetched=len(data))
        return data


def fetch_pages(
    remote: RemoteObject, number: int, first: int, last: int
) -> tuple[NDArray[np.uint8], int]:
    """Fetch the pages of a segment that nobody has fetched yet, and read the others.

    Parameters
    ----------
    number : the segment
    first, last : its pages, from `first` to before `last`

    Returns
    -------
    uint8 (bytes,), all the pages; the last page of an object may be shorter
    number of bytes that were written to the cache

    Raises
    ------
    Error : as `RemoteObject.fetch`.
    """
    segment = remote.cache.open_for_writing(remote.cached, number)
    if segment is None:
        cached = remote.cached
        begin = number * cached.segment
        end = min(begin + last * cached.page, cached.info.size)
        return remote.fetch(begin + first * cached.page, end), 0
    with segment:
        filling = _Filling(remote, number, segment)
        data = filling.run(first, last)
    return data, filling.written


class _Filling:
    """Fills one segment; `written` counts bytes that were written to it."""

    def __init__(self, remote: RemoteObject, number: int, segment: Segment) -> None:
        self._remote = remote
        self._number = number
        self._segment = segment
        self._shape = remote.cached.shape(number)
        self._pieces: list[tuple[int, NDArray[np.uint8]]] = []
        self.written = 0

    def run(self, first: int, last: int) -> NDArray[np.uint8]:
        """The pages; see `fetch_pages`."""
        descriptor, left = self._segment.descriptor, [(first, last)]
        deadline, wait = time.monotonic() + self._remote.timeout, FIRST_WAIT
        while left:
            taken = []
            for part in left:
                for is_mine, begin, end in lock_free_parts(descriptor, *part):
                    if is_mine:
                        try:
                            self._fill(begin, end)
                        finally:
                            unlock(descriptor, begin, end)
                    else:
                        taken.append((begin, end))
            left = [part for part in taken if not self._take(*part)]
            if left and time.monotonic() > deadline:
                for part in left:
                    self._fill(*part)
                left = []
            if left:
                time.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)
        pieces = [data for _, data in sorted(self._pieces, key=lambda piece: piece[0])]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _take(self, first: int, last: int) -> bool:
        """Read pages if all are there; whether they are."""
        if MISSING in self._states(first, last):
            return False
        return self._read(first, last)

    def _states(self, first: int, last: int) -> bytes:
        try:
            return self._segment.states()[first:last]
        except (ForeignSegmentError, OSError):
            return MISSING * (last - first)

    def _read(self, first: int, last: int) -> bool:
        """Read pages from the file; False: that is not possible."""
        begin, end = self._bytes(first, last)
        try:
            data = os.pread(self._segment.descriptor, end - begin, begin)
        except OSError:
            return False
        if len(data) != end - begin:
            return False
        self._pieces.append((first, np.frombuffer(data, np.uint8)))
        return True

    def _fill(self, first: int, last: int) -> None:
        """Fetch the pages that are missing, and read the others."""
        for is_there, begin, end in self._parts(first, last):
            if is_there and self._read(begin, end):
                continue
            base = self._number * self._remote.cached.segment
            at, until = self._bytes(begin, end)
            data = self._remote.fetch(base + at, base + until)
            self._pieces.append((begin, data))
            self._write(begin, data)

    def _write(self, first: int, data: NDArray[np.uint8]) -> None:
        remote = self._remote
        if not remote.cache.is_writable:
            return
        try:
            self._segment.write(first, memoryview(np.ascontiguousarray(data)))
        except OSError as error:
            remote.cache.failed(error)
        else:
            self.written += len(data)

    def _parts(self, first: int, last: int) -> Iterator[tuple[bool, int, int]]:
        """Divide pages into those that are there and those that are missing; a few that are there
        count as missing between others that are.
        """
        states, few = self._states(first, last), max(1, GAP // self._shape.page)
        at = 0
        if states == MISSING * len(states):  # as nearly always, and found at once
            yield False, first, last
            return
        while at < len(states):
            begin = states.find(MISSING, at)
            if begin < 0:
                yield True, first + at, last
                return
            if begin > at:
                yield True, first + at, first + begin
            end = begin + 1
            while (following := states.find(MISSING, end, end + few + 1)) >= 0:
                end = following + 1
            yield False, first + begin, first + end
            at = end

    def _bytes(self, first: int, last: int) -> tuple[int, int]:
        """Where pages begin and end in the segment."""
        page = self._shape.page
        return first * page, min(last * page, self._shape.nbytes)
