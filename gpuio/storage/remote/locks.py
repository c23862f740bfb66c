"""Locks on ranges of an open file, which end with the process at the latest.

They belong to the open file description (``F_OFD_SETLK``), not to the process: threads exclude each
other, too, and closing another descriptor of the file does not release them. Where the system or
the file system has none, every range counts as free: then two processes may fetch the same bytes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator

# struct flock: type, whence, start, length, process.
_FLOCK = struct.Struct("hhqqi0q")

_SET, _GET = getattr(fcntl, "F_OFD_SETLK", None), getattr(fcntl, "F_OFD_GETLK", None)
_TAKEN = (errno.EAGAIN, errno.EACCES)


def try_lock(descriptor: int, begin: int, end: int) -> bool:
    """Lock the bytes from `begin` to `end`, unless another description has locked some of them."""
    if _SET is None:
        return True
    try:
        fcntl.fcntl(descriptor, _SET, _flock(fcntl.F_WRLCK, begin, end))
    except OSError as error:
        return error.errno not in _TAKEN
    return True


def unlock(descriptor: int, begin: int, end: int) -> None:
    """Release the bytes from `begin` to `end`, also for processes that have been forked since."""
    if _SET is not None:
        try:
            fcntl.fcntl(descriptor, _SET, _flock(fcntl.F_UNLCK, begin, end))
        except OSError:  # a file system without locks
            return


def lock_free_parts(descriptor: int, begin: int, end: int) -> Iterator[tuple[bool, int, int]]:
    """Lock what others have not locked of the bytes from `begin` to `end`.

    Yields
    ------
    whether a part could be locked, its begin and its end, ascending; together they are the range
    """
    while begin < end:
        if try_lock(descriptor, begin, end):
            yield True, begin, end
            return
        first, last = _locked_by_others(descriptor, begin, end)
        if first > begin:
            yield try_lock(descriptor, begin, first), begin, first
            begin = first
        elif last > begin:
            yield False, begin, last
            begin = last


def _locked_by_others(descriptor: int, begin: int, end: int) -> tuple[int, int]:
    """The first part that others have locked; all of it, if that cannot be found out."""
    assert _GET is not None, "without such locks none is refused"
    try:
        found = fcntl.fcntl(descriptor, _GET, _flock(fcntl.F_WRLCK, begin, end))
    except OSError:
        return begin, end
    kind, _, first, length, _ = _FLOCK.unpack(found)
    if kind == fcntl.F_UNLCK:  # released meanwhile: nothing is left of it to wait for
        return begin, begin
    return max(first, begin), min(first + length, end) if length else end


def _flock(kind: int, begin: int, end: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, begin, end - begin, 0)
