"""Fetching pages of an object into its cache, each by one process."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import RemoteError
from gpuio.storage.remote.cache import Cache
from gpuio.storage.remote.cached_object import CachedObject
from gpuio.storage.remote.claims import Claim, claim_pages
from gpuio.storage.remote.locks import lock_free_parts, unlock
from gpuio.storage.remote.segment import MISSING, ForeignSegmentError, Segment
from gpuio.storage.remote.statistics import count
from gpuio.storage.remote.store import Store, changed

# Bytes between two missing parts up to which they are fetched by one request.
GAP = 1 << 16

# Held while a segment is prepared and written, never while bytes come from a store, where no
# `Claim` is had. These are a dozen short system calls, each of which releases the interpreter's
# lock: with tens of threads at it, most of the time goes to passing that lock around.
_turn = threading.Lock()

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
    beginning : the first bytes of an object without a version, which stand for it; else None
    """

    store: Store
    key: str
    cache: Cache
    cached: CachedObject
    timeout: float
    beginning: bytes | None = None

    def fetch(self, begin: int, end: int) -> NDArray[np.uint8]:
        """Read bytes from the store: uint8 (end - begin,).

        Raises
        ------
        FileChangedError, RecordFileNotFoundError, RemoteError : see `Store`.
        """
        data = self._read(begin, end)
        # If these are the old ones now, then what was read before is of the old object.
        if self.beginning is not None and (
            self._read(0, len(self.beginning)).tobytes() != self.beginning
        ):
            raise changed(self.cached.shown)
        return data

    def _read(self, begin: int, end: int) -> NDArray[np.uint8]:
        data = np.asarray(self.store.read(self.key, begin, end, self.cached.info)[:])
        if len(data) != end - begin:
            raise RemoteError(
                f"{self.cached.shown}: the store gave {len(data)} bytes for those from {begin} to "
                f"{end}"
            )
        count(requests=1, fetched=len(data))
        return data


def keep_first(remote: RemoteObject, data: NDArray[np.uint8]) -> None:
    """Write the first bytes of an object, uint8 (bytes,), which came with its version, to its
    cache, as far as they are whole pages of the first segment.
    """
    count(requests=1, fetched=len(data))
    cached = remote.cached
    data = data[: cached.segment]
    if len(data) < cached.info.size:
        data = data[: len(data) // cached.page * cached.page]
    segment = remote.cache.open_for_writing(cached, 0)
    if segment is None:
        return
    try:
        with segment:
            segment.write(0, memoryview(np.ascontiguousarray(data)))
    except OSError as error:
        remote.cache.failed(error)
    else:
        remote.cache.wrote(cached, 0, len(data))


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
    cached = remote.cached
    base = number * cached.segment
    begin, end = base + first * cached.page, min(base + last * cached.page, cached.info.size)
    if remote.cache.is_writable:
        claim = claim_pages(cached, number, first, last)
        if claim is not None:
            return _fetch_claimed(remote, claim, begin, end)
    with _turn:
        segment = remote.cache.open_for_writing(cached, number)
    if segment is None:
        return remote.fetch(begin, end), 0
    with segment:
        filling = _Filling(remote, number, segment)
        data = filling.run(first, last)
    return data, filling.written


def _fetch_claimed(
    remote: RemoteObject, claim: Claim, begin: int, end: int
) -> tuple[NDArray[np.uint8], int]:
    """Fetch pages that are claimed, bytes of the object; as `fetch_pages`."""
    try:
        data = remote.fetch(begin, end)
    except BaseException:
        claim.release()
        raise
    try:
        claim.fill(data)
    except OSError as error:
        remote.cache.failed(error)
        return data, 0
    return data, len(data)


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
        left = [(first, last)]
        deadline, wait = time.monotonic() + self._remote.timeout, FIRST_WAIT
        while left:
            left = self._fill_free(left)
            left = [part for part in left if not self._take(*part)]
            if left and time.monotonic() > deadline:
                self._fill([each for part in left for each in self._parts(*part)], [])
                left = []
            if left:
                time.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)
        pieces = [data for _, data in sorted(self._pieces, key=lambda piece: piece[0])]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _fill_free(self, wanted: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Fill what nobody else is filling of some ranges of pages; the others."""
        descriptor = self._segment.descriptor
        mine: list[tuple[int, int]] = []
        taken: list[tuple[int, int]] = []
        parts: list[tuple[bool, int, int]] = []
        with _turn:
            for pages in wanted:
                for is_mine, begin, end in lock_free_parts(descriptor, *pages):
                    (mine if is_mine else taken).append((begin, end))
            for pages in mine:
                parts += self._parts(*pages)
        self._fill(parts, mine)
        return taken

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

    def _fill(self, parts: list[tuple[bool, int, int]], locked: list[tuple[int, int]]) -> None:
        """Read the parts that are there, fetch and write the others, and unlock pages."""
        fetched: list[tuple[int, NDArray[np.uint8]]] = []
        try:
            for is_there, begin, end in parts:
                if is_there and self._read(begin, end):
                    continue
                base = self._number * self._remote.cached.segment
                at, until = self._bytes(begin, end)
                fetched.append((begin, self._remote.fetch(base + at, base + until)))
            self._pieces += fetched
        finally:
            with _turn:
                for begin, data in fetched:
                    self._write(begin, data)
                for begin, end in locked:
                    unlock(self._segment.descriptor, begin, end)

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


def _begin_in_child() -> None:
    """Have a lock that no thread holds."""
    global _turn  # noqa: PLW0603
    _turn = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
