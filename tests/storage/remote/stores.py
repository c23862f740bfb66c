"""A store of bytes in this process that counts, waits and fails as a test wants it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import FileChangedError, RecordFileNotFoundError
from gpuio.storage.remote.cache import Cache
from gpuio.storage.remote.file import RemoteFile
from gpuio.storage.remote.filling import RemoteObject
from gpuio.storage.remote.store import NOTHING, ObjectInfo, Store, Upload


class BytesStore:
    """Objects in memory.

    Attributes
    ----------
    objects : by their keys; may be changed
    reads : begin and end of each range that was read, in the order of the requests
    before : called with begin and end before a range is given
    """

    def __init__(
        self, objects: dict[str, bytes], before: Callable[[int, int], None] | None = None
    ) -> None:
        self.objects = objects
        self.reads: list[tuple[int, int]] = []
        self.before = before
        self._lock = threading.Lock()

    def info(self, key: str) -> ObjectInfo:
        try:
            data = self.objects[key]
        except KeyError:
            raise RecordFileNotFoundError(f"{key} does not exist") from None
        return ObjectInfo(len(data), hashlib.sha256(data).hexdigest())

    def begin(self, key: str, most: int) -> tuple[ObjectInfo, NDArray[np.uint8]]:
        return self.info(key), NOTHING

    def read(self, key: str, begin: int, end: int, version: ObjectInfo) -> NDArray[np.uint8]:
        with self._lock:
            self.reads.append((begin, end))
        if self.before is not None:
            self.before(begin, end)
        if version.etag is not None and self.info(key) != version:
            raise FileChangedError(f"{key} has changed")
        return np.frombuffer(self.objects[key][begin:end], np.uint8)

    def list(self, folder: str, recursive: bool = True) -> Iterator[tuple[str, int]]:
        raise NotImplementedError

    def upload(self, key: str, expected: int = 0) -> Upload:
        raise NotImplementedError

    def remove(self, key: str) -> None:
        self.objects.pop(key, None)


PAGE, SEGMENT = 64, 1024


def small_cache(folder: Path, limit: int = 10**9) -> Cache:
    """A cache with small pages and segments."""
    return Cache(str(folder / "cache"), limit, PAGE, SEGMENT)


def remote_object(
    store: Store, cache: Cache, key: str = "x.rec", timeout: float = 60.0
) -> RemoteObject:
    cached = cache.object("memory://", key, f"memory://{key}", store.info(key))
    return RemoteObject(store, key, cache, cached, timeout)


def open_file(store: Store, cache: Cache, key: str = "x.rec", timeout: float = 60.0) -> RemoteFile:
    """Open an object of the store through a cache."""
    return RemoteFile(remote_object(store, cache, key, timeout))


def random_bytes(count: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).bytes(count)


class FolderStore:
    """Objects are the files of a folder; for several processes.

    Attributes
    ----------
    before : see `BytesStore`
    """

    def __init__(self, folder: Path, before: Callable[[int, int], None] | None = None) -> None:
        self._folder = folder
        self.before = before

    @property
    def reads(self) -> list[tuple[int, int]]:
        """What all processes have read."""
        log = self._folder / "reads"
        lines = log.read_text().splitlines() if log.exists() else []
        return [(int(begin), int(end)) for begin, end in map(str.split, lines)]

    def info(self, key: str) -> ObjectInfo:
        status = (self._folder / key).stat()
        return ObjectInfo(status.st_size, str(status.st_mtime_ns))

    def begin(self, key: str, most: int) -> tuple[ObjectInfo, NDArray[np.uint8]]:
        return self.info(key), NOTHING

    def read(self, key: str, begin: int, end: int, version: ObjectInfo) -> NDArray[np.uint8]:
        with open(self._folder / "reads", "ab", buffering=0) as log:
            log.write(f"{begin} {end}\n".encode())
        if self.before is not None:
            self.before(begin, end)
        return np.fromfile(self._folder / key, np.uint8, end - begin, offset=begin)

    def list(self, folder: str, recursive: bool = True) -> Iterator[tuple[str, int]]:
        raise NotImplementedError

    def upload(self, key: str, expected: int = 0) -> Upload:
        raise NotImplementedError

    def remove(self, key: str) -> None:
        raise NotImplementedError
