"""What is in the cache, and removing what was not used for the longest time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

SUFFIX, DESCRIPTION, LOCK = ".segment", "object.json", "lock"

# Seconds after which a file that was never completed is removed.
UNFINISHED_AFTER = 3600.0


class Entry(NamedTuple):
    """A file of the cache.

    Attributes
    ----------
    path : its path
    on_disk : bytes that it takes on the disk
    used : when it was last used, in seconds since the epoch
    """

    path: str
    on_disk: int
    used: float

    @property
    def is_segment(self) -> bool:
        """Whether it holds pages."""
        return self.path.endswith(SUFFIX)


def folders(root: str) -> Iterator[str]:
    """The folders of all versions of objects."""
    for each in _scan(root):
        if each.is_dir(follow_symlinks=False):
            for version in _scan(each.path):
                if version.is_dir(follow_symlinks=False):
                    yield version.path


def entries(folder: str) -> Iterator[Entry]:
    """The files of one version of an object."""
    for each in _scan(folder):
        with suppress(OSError):  # removed meanwhile
            status = each.stat(follow_symlinks=False)
            yield Entry(each.path, status.st_blocks * 512, status.st_mtime)


def evict(root: str, limit: int, target: int) -> int:
    """Remove the segments that were not used for the longest time, unless another process is doing
    so. Whoever has one open may go on reading.

    Parameters
    ----------
    root : folder of the cache
    limit : bytes on the disk up to which nothing is removed
    target : bytes on the disk that are left at most, otherwise

    Returns
    -------
    bytes removed

    Raises
    ------
    OSError : the folder cannot be written.
    """
    lock = os.open(os.path.join(root, LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        try:
            return _evict(root, limit, target)
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)
    finally:
        os.close(lock)


def _evict(root: str, limit: int, target: int) -> int:
    found = [each for folder in folders(root) for each in entries(folder)]
    total = sum(each.on_disk for each in found)
    removed, now = 0, time.time()
    for each in found:
        if each.path.endswith(".new") and now - each.used > UNFINISHED_AFTER:
            with suppress(OSError):
                os.unlink(each.path)
    if total <= limit:
        return 0
    failed: OSError | None = None
    for each in sorted((each for each in found if each.is_segment), key=lambda each: each.used):
        if total - removed <= target:
            return removed
        try:
            if _was_used_since(each):
                continue
            os.unlink(each.path)
            removed += each.on_disk
        except FileNotFoundError:
            pass
        except OSError as error:  # something else in its place, such as a folder
            failed = error
            continue
        remove_empty(os.path.dirname(each.path))
    if failed is not None and total - removed > limit:
        raise failed
    return removed


def _was_used_since(entry: Entry) -> bool:
    """Whether a file was read or written, or created again, after it had been listed: that may be
    long ago where processes compete.
    """
    return os.lstat(entry.path).st_mtime != entry.used


def remove_empty(folder: str) -> None:
    """Remove the folder of a version if it has no segments."""
    if any(each.name != DESCRIPTION for each in _scan(folder)):
        return
    with suppress(OSError):  # somebody writes to it again
        os.unlink(os.path.join(folder, DESCRIPTION))
        os.rmdir(folder)
        os.rmdir(os.path.dirname(folder))


def _scan(folder: str) -> Iterator[os.DirEntry[str]]:
    """The entries of a folder; none if it does not exist."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as found:
        yield from found
