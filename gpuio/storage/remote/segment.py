"""Segment files: equal parts of a remote object, in the cache.

A segment file holds the data (sparse), a byte for each page of it that tells whether the page is
there, and a footer::

    [data, a whole number of pages][states, one byte for each page][footer]

It is created complete and never changes its size; removing it removes data and states together.
Whoever has it open may go on reading.

A page is marked as written after its data has been written, so that the mark is right when the
process is killed. When the machine stops, marks may reach the disk before the data. Therefore the
footer names the boot of the machine in which pages were marked as written: in a later one they
count as missing. Pages are marked as durable once their data is known to be on the disk.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing_extensions import Self

MISSING, WRITTEN, DURABLE = b"\0", b"\1", b"\2"

# Magic, boot, identity of the object's version, number of the segment, bytes of data, bytes of a
# page.
FOOTER = struct.Struct("<8s16s32sQQQ")
MAGIC = b"gpuioseg"
NO_BOOT = bytes(16)

# Seconds after which reading a segment updates the time of its last use.
TOUCH_AFTER = 60.0

# Descriptors through which this process may hold locks; a forked one closes its copies.
writing: set[int] = set()


class ForeignSegmentError(Exception):
    """A file in the place of a segment is something else, or damaged."""


class Shape(NamedTuple):
    """What a segment file must be.

    Attributes
    ----------
    identity : 32 bytes, a digest of the object and its version
    number : the segment's, in the object
    nbytes : bytes of data
    page : bytes of a page
    """

    identity: bytes
    number: int
    nbytes: int
    page: int

    @property
    def pages(self) -> int:
        """Their number."""
        return -(-self.nbytes // self.page)

    @property
    def states_at(self) -> int:
        """Where the states begin in the file."""
        return self.pages * self.page

    @property
    def footer_at(self) -> int:
        """Where the footer begins in the file."""
        return self.states_at + self.pages

    @property
    def size(self) -> int:
        """Size of the file."""
        return self.footer_at + FOOTER.size

    def footer(self, boot: bytes) -> bytes:
        """The footer of a file whose pages are marked in a boot, 16 bytes."""
        return FOOTER.pack(MAGIC, boot, self.identity, self.number, self.nbytes, self.page)


class Segment:
    """A segment file that is open. A context manager; not thread-safe.

    Parameters
    ----------
    path : the file
    shape : what it must be
    writable : whether pages will be written

    Attributes
    ----------
    descriptor : its descriptor

    Raises
    ------
    FileNotFoundError : there is no such file.
    ForeignSegmentError : it is not this segment.
    OSError : it cannot be opened.
    """

    def __init__(self, path: str, shape: Shape, writable: bool = False) -> None:
        self._shape = shape
        flags = os.O_RDWR if writable else os.O_RDONLY
        # O_NONBLOCK: a named pipe in its place is not waited for.
        self.descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        self._writable = writable
        if writable:
            writing.add(self.descriptor)
        try:
            status = os.fstat(self.descriptor)
            if (
                not stat.S_ISREG(status.st_mode)
                or status.st_uid != os.geteuid()
                or status.st_size != shape.size
            ):
                raise ForeignSegmentError(path)
            if not writable and time.time() - status.st_mtime > TOUCH_AFTER:
                with suppress(OSError):  # a file system that is read-only
                    os.utime(self.descriptor)
            if writable:
                self._adopt()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, which ends its locks."""
        if self._writable:
            writing.discard(self.descriptor)
        os.close(self.descriptor)

    def states(self) -> bytes:
        """The states of all pages: MISSING for those that are not there, else another one.

        Raises
        ------
        ForeignSegmentError : the file is another one.
        """
        states, boot = self._tail()
        return states if boot == boot_id() else states.replace(WRITTEN, MISSING)

    def _tail(self) -> tuple[bytes, bytes]:
        """States as they are in the file, and the boot of their marks.

        The boot is read first: `_adopt` writes it last, so that with the present one there are
        never the states of an earlier one.
        """
        shape = self._shape
        footer = os.pread(self.descriptor, FOOTER.size, shape.footer_at)
        boot = footer[len(MAGIC) : len(MAGIC) + len(NO_BOOT)]
        if footer != shape.footer(boot):
            raise ForeignSegmentError(f"segment {shape.number}")
        states = os.pread(self.descriptor, shape.pages, shape.states_at)
        if len(states) != shape.pages:  # truncated meanwhile
            raise ForeignSegmentError(f"segment {shape.number}")
        return states, boot

    def _adopt(self) -> None:
        """Have pages marked in this boot: what was only written in an earlier one is missing."""
        if self._tail()[1] == boot_id():
            return
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)
        try:
            states, boot = self._tail()
            if boot != boot_id():
                _write(self.descriptor, states.replace(WRITTEN, MISSING), self._shape.states_at)
                _write(self.descriptor, self._shape.footer(boot_id()), self._shape.footer_at)
        finally:
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def write(self, first: int, data: memoryview) -> None:
        """Write pages and mark them.

        Parameters
        ----------
        first : the first page
        data : whole pages, or up to the end of the segment

        Raises
        ------
        OSError : the disk is full, for example.
        """
        page = self._shape.page
        _write(self.descriptor, data, first * page)
        mark = WRITTEN
        if boot_id() == NO_BOOT:  # nothing tells later whether the machine has stopped meanwhile
            os.fsync(self.descriptor)
            mark = DURABLE
        _write(self.descriptor, mark * -(-len(data) // page), self._shape.states_at + first)

    def make_durable(self) -> None:
        """Have the written pages on the disk, and mark them; takes as long as the disk does."""
        states = self.states()
        if WRITTEN not in states:
            return
        getattr(os, "fdatasync", os.fsync)(self.descriptor)
        begin = states.find(WRITTEN)
        while begin >= 0:
            end = begin + 1
            while end < len(states) and states[end : end + 1] == WRITTEN:
                end += 1
            _write(self.descriptor, DURABLE * (end - begin), self._shape.states_at + begin)
            begin = states.find(WRITTEN, end)


def create_segment(path: str, shape: Shape) -> None:
    """Create a segment file, unless there is one.

    Raises
    ------
    OSError : that is not possible.
    """
    new = unfinished(path)
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.ftruncate(descriptor, shape.size)
            _write(descriptor, shape.footer(boot_id()), shape.footer_at)
        finally:
            os.close(descriptor)
        try:
            os.link(new, path)
        except FileExistsError:
            return
        except OSError:  # a file system without links; a segment that exists is lost
            os.rename(new, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(new)


def unfinished(path: str) -> str:
    """A name for a file that becomes another one when it is complete. Process numbers are no such
    name: containers that share the folder have the same ones.
    """
    return f"{path}.{os.urandom(8).hex()}.new"


@cache
def boot_id() -> bytes:
    """What identifies the time since the machine started; NO_BOOT: the system does not say."""
    try:
        return bytes.fromhex(
            Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").replace("-", "")
        )
    except (OSError, ValueError):
        return NO_BOOT


def _write(descriptor: int, data: bytes | memoryview, at: int) -> None:
    """Write all bytes at an offset."""
    left = memoryview(data)
    while left:
        count = os.pwrite(descriptor, left, at)
        left, at = left[count:], at + count


def _close_in_child() -> None:
    """Close a forked process's copies of descriptors with locks: these would last as long."""
    for descriptor in list(writing):
        writing.discard(descriptor)
        with suppress(OSError):
            os.close(descriptor)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
