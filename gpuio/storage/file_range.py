"""Ranges of one file that several processes write, perhaps on different machines."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from gpuio.storage.output_file import write_error

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# What is collected before it is written: bytes, and pieces above which they are copied together.
BUFFER, PIECES = 1 << 20, 64

# Bytes that are written before the disk is asked to store them.
SYNCED = 8 << 20


@contextmanager
def writing_at(path: str, offset: int, shown: str) -> Iterator[FileRange]:
    """Write a range of an existing file, within a ``with`` statement. What was written is on the
    disk when it has ended; the disk stores it while more is written.

    Parameters
    ----------
    offset : where the range begins, in bytes
    shown : the file's name in errors

    Raises
    ------
    FileNotFoundError : the file does not exist.
    RecordError : it cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with ThreadPoolExecutor(1, "gpuio-sync") as thread:
            file = FileRange(descriptor, offset, shown, thread)
            yield file
            file.sync()
    finally:
        os.close(descriptor)


class FileRange:
    """Writes a range of an open file; see `writing_at`.

    A thread has the disk store what is written while more is: at the end of long writing the disk
    would otherwise begin with all of it.

    Parameters
    ----------
    descriptor : the file, open for writing; it is not closed
    offset : where to write, in bytes
    shown : the file's name in errors
    thread : an executor of one thread
    """

    def __init__(
        self, descriptor: int, offset: int, shown: str, thread: ThreadPoolExecutor
    ) -> None:
        self._descriptor, self._offset, self._shown = descriptor, offset, shown
        self._thread = thread
        self._pieces: list[ReadableBuffer] = []
        self._collected = self._unsynced = 0
        self._syncing: Future[None] | None = None

    def write(self, pieces: Sequence[ReadableBuffer], size: int) -> None:
        """Append pieces of `size` bytes in total, which must not change until all is written.

        Raises
        ------
        RecordError : they, or those before them, cannot be written.
        """
        self._pieces += pieces
        self._collected += size
        if self._collected >= BUFFER:
            self._flush()

    def sync(self) -> None:
        """Write what is collected, and wait until everything is on the disk.

        Raises
        ------
        RecordError : it cannot be written.
        """
        self._flush()
        try:
            self._check()
            os.fsync(self._descriptor)
        except OSError as error:
            raise write_error(self._shown, error) from error

    def _flush(self) -> None:
        pieces, self._pieces, size, self._collected = self._pieces, [], self._collected, 0
        if len(pieces) > PIECES:
            pieces = [b"".join(pieces)]
        try:
            written = os.pwritev(self._descriptor, pieces, self._offset) if pieces else 0
            if written < size:  # at the latest the next call says why
                rest = memoryview(b"".join(pieces))
                while written < size:
                    written += os.pwrite(self._descriptor, rest[written:], self._offset + written)
            self._offset += size
            self._unsynced += size
            if self._unsynced >= SYNCED and (self._syncing is None or self._syncing.done()):
                self._check()
                self._unsynced = 0
                with suppress(RuntimeError):  # the system refuses a thread: see `sync`
                    self._syncing = self._thread.submit(os.fdatasync, self._descriptor)
        except OSError as error:
            raise write_error(self._shown, error) from error

    def _check(self) -> None:
        """Raise what the thread has found; the system reports an error only once."""
        syncing, self._syncing = self._syncing, None
        if syncing is not None:
            syncing.result()
