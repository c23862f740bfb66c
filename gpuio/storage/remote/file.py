"""RemoteFile: a remote object that is read through the cache, as a local file is."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError, RecordError
from gpuio.storage.local import SHARE
from gpuio.storage.parts import Bulk, Offsets, Ranges, join
from gpuio.storage.remote.cached_object import NONE
from gpuio.storage.remote.fetch import Request, fetcher
from gpuio.storage.remote.filling import RemoteObject
from gpuio.storage.remote.statistics import count
from gpuio.storage.remote.store import ObjectInfo


class RemoteFile:
    """One version of a remote object, for reading at any offset. Thread-safe and fork-safe.

    What is read is this version, whatever happens to the object: what is not in the cache is asked
    for by its ETag, and is an error if the object has changed. Nothing is kept open.

    Parameters
    ----------
    remote : the object

    Attributes
    ----------
    remote : the argument
    path : its URL, without secrets
    nbytes : its size; also its ``len()``
    """

    def __init__(self, remote: RemoteObject) -> None:
        self.remote = remote
        self.path = remote.cached.shown
        self.nbytes = remote.cached.info.size
        self._closed = False

    @property
    def descriptor(self) -> None:
        """None: its data are read by `read_parts` only."""

    @property
    def info(self) -> ObjectInfo:
        """The version of the object."""
        return self.remote.cached.info

    @property
    def version(self) -> str | None:
        """Size and ETag; None: the store gives no ETag."""
        size, etag = self.remote.cached.info
        return None if etag is None else f"{size} {etag}"

    def __len__(self) -> int:
        return self.nbytes

    def __getitem__(self, part: slice, /) -> NDArray[np.uint8]:
        """Read bytes: uint8 (bytes,), read-only; what is outside of the file is left out.

        Raises
        ------
        FileChangedError : the object has been replaced.
        RemoteError : it cannot be read.
        RecordError : the file was closed.
        """
        begin, end, _ = part.indices(self.nbytes)
        if begin >= end:
            return np.frombuffer(b"", np.uint8)
        self._check_open()
        cached = self.remote.cached
        if self.remote.cache.is_readable and begin // cached.segment == (end - 1) // cached.segment:
            data = cached.read_one(begin, end)
            if data is not None:
                count(cached=end - begin)
                return np.frombuffer(data, np.uint8)
        found, places = self.read_parts(np.array([begin]), np.array([end]))
        return found[places[0] : places[0] + end - begin]

    def read_parts(
        self, begins: Offsets, ends: Offsets, bulk: Bulk | None = None
    ) -> tuple[NDArray[np.uint8], Offsets]:
        """Read several parts at once; see `DataFile`.

        Raises
        ------
        ArgumentError : the parts need more than `cache_limit`.
        FileChangedError, RemoteError, RecordError : as for reading a single part.
        """
        ranges, size, places = join(begins, ends)
        if not size:
            return np.frombuffer(b"", np.uint8), places
        self._check_open()
        data = np.empty(size, np.uint8) if bulk is None else bulk.allocate(size)
        # The words that are not filled by the ranges.
        words = data[:size].view(np.int64)
        words[(ranges.places + ranges.ends - ranges.begins - 1) // 8] = 0
        ranges = ranges.cut(self.remote.cached.segment)
        self._check_limit(ranges)
        missing = self._read_cached(ranges, data, bulk)
        wanted, fetched = int((ranges.ends - ranges.begins).sum()), 0
        if len(missing.begins):
            fetched = int((missing.ends - missing.begins).sum())
            self._fetch(missing, data)
        count(cached=wanted - fetched)
        data.flags.writeable = False
        return data, places

    def _check_limit(self, ranges: Ranges) -> None:
        """Check that the pages of some ranges fit into the cache at once: otherwise each call would
        remove what the next one needs.
        """
        page, limit = self.remote.cached.page, self.remote.cache.limit
        if int((ranges.ends - ranges.begins).sum()) + 2 * page * len(ranges.begins) <= limit:
            return
        needed = int((-(-ranges.ends // page) - ranges.begins // page).sum()) * page
        if needed > limit:
            raise ArgumentError(
                f"{self.path}: {needed} bytes of the cache are needed at once, and cache_limit is "
                f"{limit}; raise it, or use smaller batches"
            )

    def _read_cached(self, ranges: Ranges, data: NDArray[np.uint8], bulk: Bulk | None) -> Ranges:
        """Read what is cached of ranges that are cut at segments; what is missing."""
        cached = self.remote.cached
        if not self.remote.cache.is_readable:
            return ranges
        if bulk is None:
            return cached.find(ranges, data)
        parts = ranges.shares(SHARE)
        found: list[Ranges] = [NONE] * len(parts)

        def read(row: int, part: slice) -> None:
            found[row] = cached.find(ranges.select(part), data)

        bulk.run([partial(read, row, part) for row, part in enumerate(parts)])
        return Ranges.concatenate(found)

    def _fetch(self, missing: Ranges, data: NDArray[np.uint8]) -> None:
        """Fetch ranges, ascending, to their places in `data`."""
        requests = fetcher().fetch(self.remote, missing.begins, missing.ends, self._check_open)
        left_out = _copy(requests, missing, data)
        assert left_out is None, f"byte {left_out} was not requested"

    def advise(self, begins: Offsets, ends: Offsets) -> None:
        """Have parts fetched ahead, int64 (n,) in bytes, as far as they are not cached. It does not
        wait for the store, but what is missing has been requested when it returns: whoever reads
        the parts now shares these requests, which are as large as can be.
        """
        if len(begins) and not self._closed and self.remote.cache.is_writable:
            missing = self._missing(begins, ends)
            if len(missing.begins):
                fetcher().read_ahead(self.remote, missing.begins, missing.ends)

    def is_cached(self, begins: Offsets, ends: Offsets) -> bool:
        """Whether all parts, int64 (n,) in bytes, are in the cache."""
        return not len(self._missing(begins, ends).begins)

    def _missing(self, begins: Offsets, ends: Offsets) -> Ranges:
        """What is not cached of some parts."""
        cached = self.remote.cached
        ranges = join(begins, ends)[0].cut(cached.segment)
        if not self.remote.cache.is_readable:
            return ranges
        return cached.find(ranges)

    def has_changed(self) -> bool:
        """False: other versions are never read."""
        return False

    def check_size(self) -> None:
        """Do nothing: other versions are never read."""

    def close(self) -> None:
        """Stop reading: threads that wait for data raise, and what was to be read ahead is dropped.
        May be called repeatedly. What is cached of an object without a version is removed: nobody
        would find it again.
        """
        self._closed = True
        fetcher().cancel(self.remote.cached.folder)
        if self.version is None:
            shutil.rmtree(self.remote.cached.folder, ignore_errors=True)
            with suppress(OSError):  # of all versions, unless there are others
                os.rmdir(os.path.dirname(self.remote.cached.folder))

    def _check_open(self) -> None:
        if self._closed:
            raise RecordError(f"{self.path} is closed")


def _copy(requests: list[Request], ranges: Ranges, data: NDArray[np.uint8]) -> int | None:
    """Copy ranges, ascending, from requests that hold them; the first byte that none holds."""
    which = 0
    for row in zip(*(each.tolist() for each in ranges), strict=True):
        begin, end, place = map(int, row)
        at = begin
        while at < end:
            while which < len(requests) and requests[which].end <= at:
                which += 1
            if which == len(requests) or requests[which].begin > at:
                return at
            source, first = requests[which].data, requests[which].begin
            assert source is not None, "it has ended without an error"
            until = min(end, requests[which].end)
            data[place + at - begin : place + until - begin] = source[at - first : until - first]
            at = until
    return None
