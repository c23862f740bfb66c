"""Files that are written in place, with errors that name the file."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any

from gpuio.errors import RecordError, RecordFileNotFoundError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# Why a system does not copy between two files itself.
_NOT_WITHIN = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM)

# Bytes that are copied at a time where the system does not do so.
COPIED = 1 << 20

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class OutputFile(io.FileIO):
    """A file whose errors while it is written name it, also when a buffer is flushed.

    Parameters
    ----------
    path : the file's name in errors
    descriptor : the open file, which this closes
    mode : "wb" or "ab+"
    name : its name now; None: `path`
    """

    def __init__(self, path: str, descriptor: int, mode: str, name: str | None = None) -> None:
        super().__init__(descriptor, mode)
        self._path = path
        self.name = path if name is None else name

    def write(self, data: ReadableBuffer, /) -> int:
        """Write bytes, and return how many.

        Raises
        ------
        RecordError : they cannot be written.
        """
        try:
            return super().write(data)
        except OSError as error:
            raise write_error(self._path, error) from error


def write_error(path: str, error: Exception) -> RecordError:
    """The error of a file that cannot be created or written."""
    if isinstance(error, FileNotFoundError):
        return RecordFileNotFoundError(f"{path}: its directory does not exist; create it first")
    reason = getattr(error, "strerror", None) or str(error)
    advice = "choose a location with write permission"
    if getattr(error, "errno", None) in _NO_SPACE:
        advice = "make room, or choose another location"
    return RecordError(f"{path} cannot be written: {reason}; {advice}")


class AppendedFile:
    """A file that is emptied and then appended to, in place. Once a write has failed, nothing more
    is written, and the file is closed.

    An exception of a signal handler, such as KeyboardInterrupt, leaves no half of what is written.
    So none of Python's code may run while a buffer is written, as OutputFile's would: what it has
    written would be written again.

    Parameters
    ----------
    path : the file

    Attributes
    ----------
    position : bytes written so far

    Raises
    ------
    RecordFileNotFoundError : the directory does not exist.
    RecordError : the file cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._buffer = io.BufferedWriter(io.FileIO(_open_emptied(path), "wb"))
        self.position = 0

    def write(self, pieces: Sequence[ReadableBuffer], size: int) -> None:
        """Append pieces of `size` bytes in total.

        Raises
        ------
        RecordError : they cannot be written.
        """
        try:
            self._buffer.writelines(pieces)
        except OSError as error:
            self.abandon()
            raise write_error(self._path, error) from error
        except BaseException:  # of a signal handler
            self._complete(pieces)
            self.position += size
            raise
        self.position += size

    def _complete(self, pieces: Sequence[ReadableBuffer]) -> None:
        """Append what an interrupted write has left out."""
        try:
            written = self._buffer.tell() - self.position
            self._buffer.write(b"".join(pieces)[written:])
        except OSError as error:
            self.abandon()
            raise write_error(self._path, error) from error
        except BaseException:  # another signal
            self.abandon()
            raise

    def flush(self) -> None:
        """Hand what is in the buffer to the operating system.

        Raises
        ------
        RecordError : it cannot be written.
        """
        try:
            self._buffer.flush()
        except OSError as error:
            self.abandon()
            raise write_error(self._path, error) from error

    def close(self) -> None:
        """Flush and close the file, whatever happens. May be called repeatedly.

        Raises
        ------
        RecordError : what is in the buffer cannot be written.
        """
        try:
            self._buffer.close()
        except OSError as error:
            raise write_error(self._path, error) from error

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._buffer.closed

    def abandon(self) -> None:
        """Close the file without writing what is in the buffer."""
        self._buffer.raw.close()


def create(path: str, mode: str) -> IO[Any]:
    """Open a file for writing, in text ("w", UTF-8) or binary mode ("wb"); an existing file is
    emptied. Text may have surrogates for bytes that are not UTF-8.

    Raises
    ------
    RecordFileNotFoundError : the directory does not exist.
    RecordError : the file cannot be written.
    """
    return buffered(OutputFile(path, _open_emptied(path), "wb"), mode)


def _open_emptied(path: str) -> int:
    """Open a file for writing; an existing one is emptied. Its descriptor.

    Raises
    ------
    RecordFileNotFoundError : the directory does not exist.
    RecordError : the file cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o666)
    except (OSError, ValueError) as error:  # ValueError: a null character
        raise write_error(path, error) from error


def buffered(raw: OutputFile, mode: str) -> IO[Any]:
    """A file with a buffer, for text or bytes; see `create`."""
    binary = io.BufferedWriter(raw)
    if "b" in mode:
        return binary
    return io.TextIOWrapper(binary, "utf-8", "surrogateescape", newline="\n")


def copy_range(source: int, target: int, size: int, offset: int) -> None:
    """Copy the beginning of a file into another one: within the file system, if it can do that.

    Parameters
    ----------
    source, target : descriptors; the target's is not for appending
    size : bytes to copy
    offset : where to in the target, in bytes

    Raises
    ------
    OSError : the files cannot be read or written, or the source is shorter.
    """
    done = 0
    while done < size:
        try:
            count = os.copy_file_range(source, target, size - done, done, offset + done)
        except OSError as error:
            if error.errno not in _NOT_WITHIN:
                raise
            piece = os.pread(source, min(COPIED, size - done), done)
            count = os.pwrite(target, piece, offset + done) if piece else 0
        if not count:
            raise OSError(errno.EIO, "the file to copy from has become shorter")
        done += count
