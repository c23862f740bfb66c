"""The cache of remote files: a folder on a disk of this machine, for all processes of a user.

    CACHE_DIR/v1/<digest of store and key>/<digest of size and ETag>/object.json
                                                                    /0.segment, 1.segment, …

A network file system is no place for it: whether a page is there is noted by one byte behind it,
which other machines may see before the page.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import stat
import time
import weakref
from contextlib import suppress

from gpuio.storage.remote.cached_object import CachedObject
from gpuio.storage.remote.eviction import DESCRIPTION, evict
from gpuio.storage.remote.segment import Segment, Shape, create_segment, unfinished
from gpuio.storage.remote.store import ObjectInfo

log = logging.getLogger("gpuio")

# Bytes of a page, which is there or not, and of a segment, which is removed as a whole.
PAGE, SEGMENT = 1 << 12, 1 << 26

# Bytes that a process writes before it makes them durable.
SYNC_AFTER = 256 << 20

# What is checked and left free of the limit, as parts of it.
CHECKS, FREE = 64, 16

# Seconds for which nothing is written after that has failed.
PAUSE = 60.0

VERSION = "v1"


class Cache:
    """A folder of cached pages. Thread-safe and fork-safe.

    If it cannot be used, there is one warning in the log, and everything is as if nothing was
    cached.

    Parameters
    ----------
    folder : the folder; created, for this user only, if it does not exist
    limit : the most bytes that it takes on the disk, about
    page, segment : see `PAGE`, `SEGMENT`

    Attributes
    ----------
    root : the folder of this version of the layout
    limit, page, segment : the arguments
    """

    def __init__(self, folder: str, limit: int, page: int = PAGE, segment: int = SEGMENT) -> None:
        self.root = os.path.join(os.path.abspath(os.path.expanduser(folder)), VERSION)
        self.limit, self.page, self.segment = limit, page, segment
        self._warned = False
        self._paused_until = 0.0
        self._unchecked = self._unsynced = 0
        self._dirty: dict[str, Shape] = {}
        self._trusted = self._prepare()
        _caches.add(self)

    def _prepare(self) -> bool:
        """Create the folder; whether it is this user's alone."""
        try:
            os.makedirs(os.path.dirname(self.root), mode=0o700, exist_ok=True)
            with suppress(FileExistsError):
                os.mkdir(self.root, 0o700)
            status = os.lstat(self.root)
        except OSError as error:
            self.failed(error)
            return False
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
            if not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return True
            reason = "other users may write to it"
        else:
            reason = "it is not a folder of this user"
        self._warn(f"{self.root}: {reason}; choose another cache_dir")
        return False

    @property
    def is_writable(self) -> bool:
        """Whether pages are being written."""
        return self._trusted and time.monotonic() >= self._paused_until

    @property
    def is_readable(self) -> bool:
        """Whether pages in it may be used."""
        return self._trusted

    def object(self, store: str, key: str, shown: str, info: ObjectInfo) -> CachedObject:
        """Where an object is cached.

        Parameters
        ----------
        store, key : identify the object
        shown : its URL, without secrets, for people
        info : its version; of an object without one nothing is found that was cached before
        """
        version = f"{info.size} {info.etag}"
        if info.etag is None:
            version += f" {os.urandom(16).hex()}"
        which = hashlib.sha256(f"{store}\0{key}".encode("utf-8", "surrogateescape"))
        kind = hashlib.sha256(version.encode("utf-8", "surrogateescape"))
        folder = os.path.join(self.root, which.hexdigest()[:32], kind.hexdigest()[:32])
        identity = hashlib.sha256(which.digest() + kind.digest()).digest()
        return CachedObject(folder, identity, shown, info, self.page, self.segment)

    def open_for_writing(self, cached: CachedObject, number: int) -> Segment | None:
        """Open a segment for writing, created if need be; None: that is not possible."""
        if not self.is_writable:
            return None
        try:
            for _ in range(3):  # it may be evicted meanwhile
                found = cached.open(number, writable=True)
                if found is not None:
                    return found
                with suppress(FileNotFoundError):
                    os.makedirs(os.path.dirname(self.root), mode=0o700, exist_ok=True)
                    for folder in (self.root, os.path.dirname(cached.folder), cached.folder):
                        with suppress(FileExistsError):
                            os.mkdir(folder, 0o700)
                    _describe(cached)
                    create_segment(cached.path(number), cached.shape(number))
        except OSError as error:
            self.failed(error)
        return None

    def failed(self, error: OSError) -> None:
        """Note that the folder could not be written: nothing is written for a while."""
        self._paused_until = time.monotonic() + PAUSE
        reason = f"{self.root} cannot be written: {error.strerror}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            reason += f"; lower cache_limit ({self.limit} bytes), or free some space"
        else:
            reason += "; choose another folder by cache_dir or GPUIO_CACHE_DIR"
        self._warn(reason)

    def _warn(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            log.warning("remote files are read without caching: %s", reason)

    def wrote(self, cached: CachedObject, number: int, nbytes: int) -> None:
        """Note that pages were written. Now and then it removes old ones, and waits for the disk:
        nobody should wait for the caller.
        """
        self._dirty[cached.path(number)] = cached.shape(number)
        self._unchecked += nbytes
        self._unsynced += nbytes
        if self._unchecked > self.limit // CHECKS:
            self.trim()
        if self._unsynced > SYNC_AFTER:
            self.sync()

    def trim(self) -> None:
        """Remove what was not used for the longest time, if there is too much."""
        self._unchecked = 0
        try:
            evict(self.root, self.limit - self.limit // CHECKS, self.limit - self.limit // FREE)
        except FileNotFoundError:  # somebody has removed all
            return
        except OSError as error:
            self.failed(error)

    def sync(self) -> None:
        """Make durable what this process has written; takes as long as the disk does."""
        self._unsynced = 0
        while self._dirty:
            try:
                path, shape = self._dirty.popitem()
                with Segment(path, shape, writable=True) as segment:
                    _make_durable(segment, path)
            except KeyError:  # another thread was faster
                return
            except Exception:  # removed, or the disk fails: pages that are not durable are lost
                log.debug("a segment of the cache was not made durable", exc_info=True)

    def forget(self) -> None:
        """Leave what was written to the process that this one was forked from."""
        self._dirty.clear()


def _make_durable(segment: Segment, path: str) -> None:
    """Make a segment durable, or remove it: once the disk has failed, the system may drop what it
    has of the pages in memory, and read from the disk what was there before.
    """
    try:
        segment.make_durable()
    except OSError:
        with suppress(OSError):
            os.unlink(path)
        raise


def _describe(cached: CachedObject) -> None:
    """Write what people and `gpuio cache` should know about an object."""
    path = os.path.join(cached.folder, DESCRIPTION)
    if os.path.exists(path):
        return
    facts = {
        "url": cached.shown,
        "size": cached.info.size,
        "etag": cached.info.etag,
        "time": time.time(),
    }
    new = unfinished(path)
    with open(new, "w", encoding="utf-8", errors="backslashreplace") as file:
        json.dump(facts, file)
    os.replace(new, path)


_caches: weakref.WeakSet[Cache] = weakref.WeakSet()


def sync_all() -> None:
    """Make durable what this process has written to all caches."""
    for each in list(_caches):
        each.sync()


def _forget_all() -> None:
    for each in list(_caches):
        each.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
