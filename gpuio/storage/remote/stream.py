"""Remote files that are read forwards."""

from __future__ import annotations

import io
import os

import numpy as np
from numpy.typing import NDArray

from gpuio.storage.data_file import DataFile

# Bytes that are read at a time, and that are read ahead.
BLOCK, AHEAD = 4 << 20, 16 << 20


class ForwardReader:
    """A file whose blocks are read ahead of the caller. Not thread-safe.

    Parameters
    ----------
    file : the file
    block : the least bytes that are read at a time
    ahead : bytes after them that are read ahead

    Attributes
    ----------
    path : of the file
    block : the argument
    """

    def __init__(self, file: DataFile, block: int = BLOCK, ahead: int = AHEAD) -> None:
        self.path = file.path
        self._file = file
        self.block = block
        self._ahead = ahead
        self._begin = 0
        self._data: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._advised = 0

    def __len__(self) -> int:
        return len(self._file)

    def __getitem__(self, part: slice, /) -> NDArray[np.uint8]:
        """Read bytes: uint8 (bytes,), read-only; see `DataFile`."""
        begin, end, _ = part.indices(len(self._file))
        if begin >= end:
            return self._data[:0]
        if not self._begin <= begin <= end <= self._begin + len(self._data):
            self._load(begin, max(end, begin + self.block))
        return self._data[begin - self._begin : end - self._begin]

    def _load(self, begin: int, end: int) -> None:
        self._data = self._data[:0]  # free it first
        until = min(end + self._ahead, len(self._file))
        first = max(self._advised, end)
        if begin > self._advised or begin < self._begin:  # somewhere else than before
            first = end
        if until > first:
            begins = np.arange(first, until, self.block)
            self._file.advise(begins, np.minimum(begins + self.block, until))
            self._advised = until
        self._begin, self._data = begin, self._file[begin:end]


class RemoteStream(io.RawIOBase):
    """A remote file as a binary file object, for reading.

    Parameters
    ----------
    reader : the file
    """

    def __init__(self, reader: ForwardReader) -> None:
        super().__init__()
        self.name = reader.path
        self._reader = reader
        self._position = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The position, in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Change the position; see ``io.IOBase.seek``."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: len(self._reader)}
        if whence not in base:
            raise ValueError(f"whence must be 0, 1 or 2, not {whence}")
        position = base[whence] + offset
        if position < 0:
            raise ValueError(f"the position {position} is before the beginning of the file")
        self._position = position
        return position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read bytes to a buffer; their number, 0 at the end."""
        if self.closed:
            raise ValueError(f"{self.name} is closed")
        view = memoryview(buffer).cast("B")
        found = self._reader[self._position : self._position + min(len(view), self._reader.block)]
        view[: len(found)] = memoryview(found)
        self._position += len(found)
        return len(found)
