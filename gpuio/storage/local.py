"""Local files: paths, and reading at any offset.

Files are read into memory of their own, not mapped. A mapped file that another process truncates
ends this process with SIGBUS when a page behind its new end is touched, in whatever thread and
library that happens; a check of its size before leaves a gap in which it may be truncated. A read
ends with an error instead. What that costs is a copy of the encoded bytes, 20 microseconds for a
photograph of 110 kB, a hundredth of the time of decoding it; page faults of a mapping take a third
of this.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
import weakref
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from gpuio import native
from gpuio.errors import (
    ArgumentError,
    FileChangedError,
    RecordError,
    RecordFileNotFoundError,
    UnsupportedError,
)
from gpuio.storage.data_file import DataFile
from gpuio.storage.parts import Bulk, Offsets, Ranges, join, read_each
from gpuio.storage.remote.url import check_slashes, shown

Path = str | os.PathLike[str]

# Bytes of one call; Linux reads at most 2 GiB.
MAX_READ = 1 << 30

# Bytes that a thread reads at a time where several do.
SHARE = 1 << 21

# Bytes of the buffer for reading forwards.
BUFFER = 1 << 16

SHORTER = "has become shorter while it was read"

# The longest line of a list, in characters: a label of a million numbers.
LONGEST_LINE = 1 << 24

# Files that an error suggests instead of a missing one.
MAX_SIMILAR = 3


def listed(paths: Sequence[str]) -> str:
    """The first of several paths, and how many more there are."""
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def local_path(uri: Path, name: str = "a path") -> str:
    """Convert a path or a ``file://`` URI to a path.

    Parameters
    ----------
    name : the argument's, for the message

    Raises
    ------
    UnsupportedError : the URI has another scheme.
    ArgumentError : no file can have this name, or it is a URL with one slash.
    TypeError : `uri` is not str or os.PathLike[str].
    """
    path = os.fspath(uri) if isinstance(uri, os.PathLike) else uri
    if not isinstance(path, str):
        raise TypeError(f"{name} must be str or os.PathLike[str], not {type(path).__name__}")
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError as error:
        raise ArgumentError(f"{path!r}: no file can have this name: {error.reason}") from error
    if b"\0" in encoded:
        raise ArgumentError(f"{path!r}: no file has a null character in its name")
    scheme, separator, rest = path.partition("://")
    if not separator:
        check_slashes(path)
        return path
    if scheme == "file":
        return rest
    raise UnsupportedError(
        f"{name} must be a file or folder of this machine, not the URL {shown(path)}"
    )


def bounded_lines(file: IO[str], name: str) -> Iterator[str]:
    """The lines of a text file, each with its end.

    Raises
    ------
    RecordError : a line has more than LONGEST_LINE characters.
    """
    for number in itertools.count(1):
        line = file.readline(LONGEST_LINE)
        if not line:
            return
        if len(line) == LONGEST_LINE and not line.endswith("\n"):
            raise RecordError(
                f"{name}, line {number}: the line has more than {LONGEST_LINE} characters; is it a "
                "text file, with line ends?"
            )
        yield line


class ByteSequence(Protocol):
    """Bytes with random access: an array, uint8 (bytes,), or a file."""

    def __len__(self) -> int:
        """Their number."""

    def __getitem__(self, part: slice, /) -> NDArray[np.uint8]:
        """Some of them: uint8 (bytes,)."""


class LocalFile:
    """A file that is open for reading, at any offset. Thread-safe and fork-safe.

    What is read are the bytes that the file had when it was opened: what is appended later is
    ignored, and a file that was replaced or deleted remains readable. The descriptor is closed when
    the last reference goes.

    Parameters
    ----------
    path : the file

    Attributes
    ----------
    path : the argument
    nbytes : size of the file when it was opened; also its ``len()``

    Raises
    ------
    RecordFileNotFoundError : the file does not exist.
    RecordError : it is not a regular file, or cannot be read.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            # So that opening a pipe does not wait for its writer.
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError as error:
            name = path or "the empty path, as of a variable that is not set,"
            raise RecordFileNotFoundError(f"{name} does not exist{_similar(path)}") from error
        except OSError as error:
            advice = ""
            if error.errno in (errno.EMFILE, errno.ENFILE):
                advice = "; 'ulimit -n' raises the limit, or pack the records into fewer files"
            raise RecordError(f"{path} cannot be read: {error.strerror}{advice}") from error
        weakref.finalize(self, os.close, self._fd).atexit = False
        self._status = status = os.fstat(self._fd)
        if stat.S_ISDIR(status.st_mode):
            raise RecordError(f"{path} is a directory, not a file")
        if not stat.S_ISREG(status.st_mode):
            raise RecordError(
                f"{path} is a pipe or a device, not a regular file; save its content as one first"
            )
        self.nbytes = status.st_size

    @property
    def descriptor(self) -> int:
        """The file's descriptor, open as long as this object exists."""
        return self._fd

    @property
    def version(self) -> None:
        """None: only its content identifies it."""

    def __len__(self) -> int:
        return self.nbytes

    def __getitem__(self, part: slice, /) -> NDArray[np.uint8]:
        """Read bytes: uint8 (bytes,), read-only; what is outside of the file is left out.

        Raises
        ------
        FileChangedError : the file has become shorter.
        RecordError : it cannot be read.
        """
        begin, end, _ = part.indices(self.nbytes)
        return np.frombuffer(self._read(begin, end), np.uint8)

    def read_parts(
        self, begins: Offsets, ends: Offsets, bulk: Bulk | None = None
    ) -> tuple[NDArray[np.uint8], Offsets]:
        """Read several parts at once. Those that are close together are read by one call.

        Parameters
        ----------
        begins, ends : int64 (n,), the parts, in bytes, in any order; none is empty, and all are
            within the file
        bulk : how, if it is much

        Returns
        -------
        data : uint8 (bytes,), read-only, with all parts in it
        places : int64 (n,), where each of them begins in `data`; if all begin at multiples of four
            or eight bytes in the file, so do they here

        Raises
        ------
        FileChangedError, RecordError : as for reading a single part.
        """
        ranges, size, places = join(begins, ends)
        data = np.frombuffer(b"", np.uint8)
        if size:
            # A whole number of words of each, as far as the file has them.
            until = np.minimum(ranges.begins + _whole_words(ranges), self.nbytes)
            data = self._read_ranges(ranges._replace(ends=until), size, bulk)
        return data, places

    def _read_ranges(self, ranges: Ranges, size: int, bulk: Bulk | None) -> NDArray[np.uint8]:
        """Read ranges to their places in `size` bytes: uint8 (size,), read-only. The last one may
        end up to 7 bytes before the end; zeros follow.

        As `_read` does, which is needed only where a call is not enough: for small records it would
        take as long as the reading itself.
        """
        if bulk is not None or native.library() is not None:
            data = np.empty(size, np.uint8) if bulk is None else bulk.allocate(size)
            data[-8:] = 0
            if self._read_into(data, ranges, bulk):
                data.flags.writeable = False
                return data
        lengths, offsets = (ranges.ends - ranges.begins).tolist(), ranges.begins.tolist()
        try:
            pieces = list(map(os.pread, itertools.repeat(self._fd), lengths, offsets))
        except OSError:
            pieces = []
        if list(map(len, pieces)) != lengths:
            pieces = list(map(self._read, offsets, ranges.ends.tolist()))
        return np.frombuffer(b"".join(pieces).ljust(size, b"\0"), np.uint8)

    def _read_into(self, data: NDArray[np.uint8], ranges: Ranges, bulk: Bulk | None) -> bool:
        """Read ranges to their places in `data`; False: not all of them could be."""
        module = native.library()
        read = partial(read_each if module is None else module.read, self._fd)
        if bulk is None:
            return read(*ranges, data)
        ranges = _cut(ranges)
        done: list[bool] = []

        def read_share(part: slice) -> None:
            done.append(read(*ranges.select(part), data))

        bulk.run([partial(read_share, part) for part in ranges.shares(SHARE)])
        return all(done)

    def _read(self, begin: int, end: int) -> bytes:
        """Read the bytes from `begin` to `end`, which are within the file."""
        pieces: list[bytes] = []
        while begin < end:
            try:
                piece = os.pread(self._fd, min(end - begin, MAX_READ), begin)
            except OSError as error:
                raise RecordError(f"{self.path} cannot be read: {error.strerror}") from error
            if not piece:
                self.check_size()
                raise FileChangedError(f"{self.path} {SHORTER}: it ended at byte {begin}")
            pieces.append(piece)
            begin += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def advise(self, begins: Offsets, ends: Offsets) -> None:
        """Ask the system to read parts from the disk; does not wait. A system that cannot do that
        ignores it.

        Parameters
        ----------
        begins, ends : int64 (n,), the parts, in bytes
        """
        if not hasattr(os, "posix_fadvise"):
            return
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            with suppress(OSError):  # what is advice may fail
                os.posix_fadvise(self._fd, begin, end - begin, os.POSIX_FADV_WILLNEED)

    def has_changed(self) -> bool:
        """Whether the file was written to since it was opened.

        Raises
        ------
        FileChangedError : it has become shorter.
        """
        status = self.check_size()
        before = self._status
        return (status.st_mtime_ns, status.st_size) != (before.st_mtime_ns, before.st_size)

    def close(self) -> None:
        """Do nothing: the descriptor is closed when the last reference goes."""

    def check_size(self) -> os.stat_result:
        """Check that the file has not become shorter; its status.

        Raises
        ------
        FileChangedError : it has.
        """
        status = os.fstat(self._fd)
        if status.st_size < self.nbytes:
            raise FileChangedError(
                f"{self.path} {SHORTER}: it has {status.st_size} bytes, and had {self.nbytes} when "
                "it was opened; open it again when it is complete"
            )
        return status


class BufferedFile:
    """A file that is read forwards, through a buffer. Not thread-safe.

    Parameters
    ----------
    file : the file
    buffer : bytes of the buffer
    """

    def __init__(self, file: DataFile, buffer: int = BUFFER) -> None:
        self._file = file
        self._buffer = buffer
        self._begin = 0
        self._data: NDArray[np.uint8] = np.empty(0, np.uint8)

    def __len__(self) -> int:
        return len(self._file)

    def __getitem__(self, part: slice, /) -> NDArray[np.uint8]:
        """Read bytes; see `LocalFile`."""
        begin, end, _ = part.indices(len(self._file))
        if not self._begin <= begin <= end <= self._begin + len(self._data):
            if not 0 < end - begin < self._buffer // 2:
                return self._file[begin:end]
            self._data, self._begin = self._file[begin : begin + self._buffer], begin
        return self._data[begin - self._begin : end - self._begin]


def to_bytes(data: NDArray[np.uint8]) -> bytes:
    """The bytes of an array; what `LocalFile` has read is not copied."""
    base = data.base
    if isinstance(base, bytes) and len(base) == len(data):
        return base
    return data.tobytes()


def _whole_words(ranges: Ranges) -> Offsets:
    """Lengths of ranges, rounded up to multiples of eight bytes: int64 (n,)."""
    return (ranges.ends - ranges.begins + 7) // 8 * 8


def _cut(ranges: Ranges) -> Ranges:
    """Cut ranges into pieces of at most SHARE bytes."""
    begins, ends, places = ranges
    counts = -(-(ends - begins) // SHARE)
    which = np.arange(len(begins)).repeat(counts)
    skipped = (np.arange(len(which)) - (counts.cumsum() - counts)[which]) * SHARE
    first = begins[which] + skipped
    return Ranges(first, np.minimum(first + SHARE, ends[which]), places[which] + skipped)


def read_file(path: str) -> bytes:
    """Read a file that a list names, as a whole.

    Raises
    ------
    OSError : it cannot be read.
    ValueError : no file can have this name.
    RecordError : it is a pipe or a device, which might never end.
    """
    # Without waiting for a writer if it is a named pipe.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        with open(descriptor, "rb", closefd=False) as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise RecordError("a pipe or a device, not a regular file")
            return file.read()
    finally:
        os.close(descriptor)


def _similar(path: str) -> str:
    """Files whose names begin like a missing one's, such as photos_train.rec for photos.rec, or
    photos.rec for photos.
    """
    folder, name = os.path.split(path)
    stem, extension = os.path.splitext(name)
    try:
        names = sorted(os.listdir(folder or "."))
    except OSError:
        return ""
    found = [each for each in names if each.startswith(stem) and each.endswith(extension)]
    if not extension:
        found = [each for each in (f"{name}.rec", f"{name}.lst", f"{name}.idx") if each in names]
    if not stem or not found:
        return ""
    more = ", …" if len(found) > MAX_SIMILAR else ""
    return f"; its folder has {', '.join(found[:MAX_SIMILAR])}{more}"
