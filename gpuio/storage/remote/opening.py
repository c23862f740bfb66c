"""Opening files, wherever they are."""

from __future__ import annotations

import collections
import io
import logging
import os
import queue
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import IO, TypeVar

from gpuio.errors import RecordFileNotFoundError
from gpuio.storage.local import ByteSequence, LocalFile, Path, local_path
from gpuio.storage.remote.cache import Cache
from gpuio.storage.remote.cached_object import CachedObject
from gpuio.storage.remote.file import RemoteFile
from gpuio.storage.remote.filling import RemoteObject, keep_first
from gpuio.storage.remote.identity import object_identity, store_identity
from gpuio.storage.remote.options import RemoteOptions, cache_folder
from gpuio.storage.remote.registry import open_store
from gpuio.storage.remote.store import NOTHING, ObjectInfo
from gpuio.storage.remote.stream import AHEAD, BLOCK, ForwardReader, RemoteStream
from gpuio.storage.remote.url import is_remote, join, parse_url, shown
from gpuio.threads import DetachedThread

log = logging.getLogger("gpuio")

T = TypeVar("T")
R = TypeVar("R")

# Files that are opened at a time.
OPENERS = 16

# Seconds between two looks at whether their threads still run.
LOOK = 1.0

# Bytes that come with the version of a file that is read forwards, at most: of an index those of
# some 60,000 records.
FIRST = 1 << 20

# First bytes of an object without a version that are compared.
BEGINNING = 1 << 12

# The part of the cache that a block of a stream, or what is read ahead of it, may take: one of so
# many. But fewer bytes than these are never read at a time.
CACHE_SHARE, LITTLE = 4, 1 << 14


def location(path: Path, name: str = "a path") -> str:
    """A URL as it is, or a path; see `local_path`."""
    return path if isinstance(path, str) and is_remote(path) else local_path(path, name)


def open_file(path: Path, options: RemoteOptions | None = None) -> LocalFile | RemoteFile:
    """Open a file for reading at any offset.

    Parameters
    ----------
    path : a path, or a URL
    options : of a remote file; None: the default ones

    Raises
    ------
    RecordFileNotFoundError : it does not exist.
    RecordError : a local file cannot be read.
    RemoteError : a remote file cannot be.
    ArgumentError : no file can have this name, or an option is wrong.
    """
    where = location(path)
    if not is_remote(where):
        return LocalFile(where)
    return open_remote(where, options)


def open_remote(
    url: str,
    options: RemoteOptions | None = None,
    version: ObjectInfo | None = None,
    forwards: bool = False,
) -> RemoteFile:
    """Open a remote file; see `open_file`.

    Parameters
    ----------
    version : the version to read; None: the present one, for which one request is sent
    forwards : it will be read from its beginning: unless some of it is cached, its first bytes are
        fetched by the same request
    """
    options = RemoteOptions.create() if options is None else options
    store, key = open_store(url, options)
    cache, first = cache_of(options), NOTHING
    if version is None:
        if forwards and cache.is_writable and not os.path.isdir(object_folder(url, options)):
            version, first = store.begin(key, min(FIRST, options.cache_limit // CACHE_SHARE))
        else:
            version = store.info(key)
    cached = _cached(url, options, version)
    remote = RemoteObject(store, key, cache, cached, options.timeout)
    if version.etag is None:
        _warn_of_no_version(cached.shown)
        beginning = remote.fetch(0, min(BEGINNING, version.size)).tobytes()
        remote = replace(remote, beginning=beginning)
    if len(first):
        keep_first(remote, first)
    return RemoteFile(remote)


@lru_cache(maxsize=1024)
def _warn_of_no_version(shown: str) -> None:
    """Say once what an object without a version costs."""
    log.warning(
        "%s: the server tells neither an ETag nor when it has changed. Therefore each request is "
        "followed by one that reads the first bytes again, and nothing is cached for later",
        shown,
    )


def object_folder(url: str, options: RemoteOptions) -> str:
    """The folder in the cache of all versions of an object."""
    return os.path.dirname(_cached(url, options, ObjectInfo(0, "")).folder)


def _cached(url: str, options: RemoteOptions, info: ObjectInfo) -> CachedObject:
    parsed = parse_url(url)
    identity = store_identity(parsed, options), object_identity(parsed)
    return cache_of(options).object(*identity, shown(url), info)


@contextmanager
def open_stream(path: Path, options: RemoteOptions | None = None) -> Iterator[IO[bytes]]:
    """Open a file for reading it forwards, within a ``with`` statement.

    Raises
    ------
    OSError : a local file cannot be opened.
    whatever `open_file` raises for a remote one.
    """
    where = location(path)
    if not is_remote(where):
        with open(where, "rb") as file:
            yield file
        return
    options = RemoteOptions.create() if options is None else options
    remote = open_remote(where, options, forwards=True)
    try:
        with io.BufferedReader(RemoteStream(forwards(remote, options))) as stream:
            yield stream
    finally:
        remote.close()


def forwards(file: RemoteFile, options: RemoteOptions, block: int = BLOCK) -> ForwardReader:
    """A remote file for reading it forwards, in pieces that suit its cache.

    Parameters
    ----------
    block : the least bytes that are read at a time, if the cache has room for several times as much
    """
    most = options.cache_limit // CACHE_SHARE
    return ForwardReader(file, max(min(block, most), LITTLE), min(AHEAD, options.readahead, most))


def exists(path: Path, options: RemoteOptions | None = None) -> bool:
    """Whether there is a file; of a remote one this sends one request.

    Raises
    ------
    RemoteError : the store does not say.
    """
    where = location(path)
    if not is_remote(where):
        return os.path.exists(where)
    store, key = open_store(where, options)
    try:
        store.info(key)
    except RecordFileNotFoundError:
        return False
    return True


def list_folder(url: str, ending: str, options: RemoteOptions | None = None) -> list[str]:
    """URLs of the files of a folder that have an ending, sorted by their names.

    Parameters
    ----------
    url : of the folder; it ends with "/"

    Raises
    ------
    RecordFileNotFoundError : there are none.
    RemoteError, UnsupportedError : the store cannot list them.
    """
    names = [name for name in list_files(url, options, recursive=False) if name.endswith(ending)]
    if not names:
        raise RecordFileNotFoundError(f"{shown(url)} is a folder without *{ending} files")
    return [join(url, name) for name in sorted(names)]


def list_files(url: str, options: RemoteOptions | None = None, recursive: bool = True) -> list[str]:
    """The files below a folder, sorted: their names behind its URL, with slashes.

    Parameters
    ----------
    url : of the folder, with or without "/" at the end
    recursive : also those in its subfolders

    Raises
    ------
    RemoteError, UnsupportedError : the store cannot list them.
    """
    store, key = open_store(url, options)
    key = f"{key.rstrip('/')}/" if key else ""
    names = [found[len(key) :] for found, _ in store.list(key, recursive)]
    return [name for name in names if name and not name.endswith("/")]  # those mark folders


def open_each(function: Callable[[T], R], items: Sequence[T], several: bool) -> list[R]:
    """Call a function that opens files with each item: with several at a time if that waits for
    other machines.
    """
    if not several or len(items) < 2:
        return [function(item) for item in items]
    left = collections.deque(enumerate(items))
    done: queue.SimpleQueue[tuple[int, R | None, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        while left:
            try:
                number, item = left.popleft()
            except IndexError:  # another thread was faster
                return
            try:
                done.put((number, function(item), None))
            except BaseException as error:
                done.put((number, None, error))

    threads: list[DetachedThread] = []
    try:
        threads.extend(DetachedThread(work) for _ in range(min(OPENERS, len(items))))
    except RuntimeError:  # refused
        work()
    results: dict[int, R | None] = {}
    try:
        while len(results) < len(items):
            ended = all(thread.ended for thread in threads)  # before the last look
            try:
                number, result, error = done.get(timeout=0 if ended else LOOK)
            except queue.Empty:
                if ended:
                    raise MemoryError("threads that open files ended before they began") from None
                continue
            if error is not None:
                raise error
            results[number] = result
    finally:
        left.clear()
    return [results[number] for number in range(len(items))]  # type: ignore[misc]


@lru_cache(maxsize=64)
def _cache(folder: str, limit: int) -> Cache:
    return Cache(folder, limit)


def cache_of(options: RemoteOptions) -> Cache:
    """The cache that options name; the same one for the same folder and limit."""
    return _cache(cache_folder(options.cache_dir), options.cache_limit)


def any_remote(paths: Iterable[str]) -> bool:
    """Whether one of several paths is a URL."""
    return any(is_remote(path) for path in paths)


def in_sequence(file: LocalFile | RemoteFile, options: RemoteOptions | None) -> ByteSequence:
    """A file for reading it forwards, wherever it is; see `forwards`. A remote one is not
    thread-safe then.
    """
    if isinstance(file, RemoteFile):
        return forwards(file, options or RemoteOptions.create())
    return file
