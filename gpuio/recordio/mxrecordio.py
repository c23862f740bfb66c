"""MXNet's readers and writers of record files: MXRecordIO and MXIndexedRecordIO."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError, RecordError
from gpuio.recordio.framing import HEADER, Payload, frame, parse
from gpuio.recordio.index import Index, Keys, KeyType, Offsets
from gpuio.storage.local import Path, create, local_path, map_file

if TYPE_CHECKING:
    from typing_extensions import Self


class MXRecordIO:
    """Reads or writes a record file from its beginning to its end.

    A reader may be pickled (the copy begins at the first record), carried into a child process by
    fork, and used from several threads. A context manager; iterating over a reader gives its
    records.

    Parameters
    ----------
    uri : the file: a path or a ``file://`` address
    flag : "r" to read, "w" to write: what the file held is lost

    Attributes
    ----------
    uri, flag : the same; `uri` as a path
    writable : whether this is a writer
    is_open : whether it has not been closed
    pid : the process that opened it; None when closed

    Raises
    ------
    ArgumentError : (a ValueError) flag is neither.
    RecordFileNotFoundError, RecordError : the file cannot be opened.

    Examples
    --------
    >>> with MXRecordIO("some.rec", "w") as writer:
    ...     writer.write(b"a record")
    >>> with MXRecordIO("some.rec", "r") as reader:
    ...     reader.read()
    b'a record'
    """

    def __init__(self, uri: Path, flag: str) -> None:
        self.is_open = False
        if flag not in ("r", "w"):
            raise ArgumentError(f"Invalid flag {flag!r}: it must be 'r' or 'w'")
        self.uri = local_path(uri)
        self.flag = flag
        self.writable = flag == "w"
        self.pid: int | None = None
        self._lock = threading.RLock()
        self.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __iter__(self) -> Iterator[bytes]:
        while (record := self.read()) is not None:
            yield record

    def __getstate__(self) -> dict[str, Any]:
        if self.writable:
            raise TypeError(
                f"a writer cannot be pickled, since opening its copy would empty {self.uri}; close "
                "it and open it anew"
            )
        return {"arguments": self._arguments(), "is_open": self.is_open}

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).__init__(self, *state["arguments"])
        if not state["is_open"]:
            self.close()

    def _arguments(self) -> tuple[Any, ...]:
        return self.uri, self.flag

    def open(self) -> None:
        """Open the file, at its beginning; a writer empties it."""
        self._position = 0
        if self.writable:
            self._file: IO[bytes] = create(self.uri, "wb")
        else:
            self._data: NDArray[np.uint8] = map_file(self.uri)
        self.is_open = True
        self.pid = os.getpid()

    def close(self) -> None:
        """Write out what is buffered and close the file. May be called twice."""
        if not self.is_open:
            return
        self.is_open = False
        self.pid = None
        if self.writable:
            self._file.close()
        else:
            self._data = np.empty(0, np.uint8)

    def reset(self) -> None:
        """Begin anew: a reader goes back to the first record, a writer empties its file. Opens a
        closed one.
        """
        self.close()
        self.open()

    def flush(self) -> None:
        """Hand what is buffered to the system, so that it outlives this process."""
        self._check(writing=True)
        self._file.flush()

    def write(self, buf: Payload) -> None:
        """Append a record.

        Parameters
        ----------
        buf : bytes; bytearray, memoryview and uint8 arrays are taken too

        Raises
        ------
        TypeError : it is text, or not made of bytes.
        RecordError : it has 2**29 bytes or more, or this is a reader, or closed.
        """
        self._check(writing=True)
        pieces = frame(buf)
        with self._lock:
            self._file.writelines(pieces)
            self._position += sum(map(len, pieces))

    def read(self) -> bytes | None:
        """The next record; None at the end of the file.

        Raises
        ------
        RecordError : the file is damaged here. After a wrong magic the next call goes on eight
            bytes further; after a record that is cut off there is nothing more.
        """
        self._check(writing=False)
        with self._lock:
            if self._position >= len(self._data):
                return None
            begin = self._position
            try:
                payload, self._position = parse(self._data, begin, self.uri)
            except RecordError as error:
                cut = "cut off" in str(error)
                self._position = len(self._data) if cut else begin + HEADER.size
                raise
        return payload.tobytes()

    def _check(self, writing: bool) -> None:
        if not self.is_open:
            raise RecordError(f"{self.uri} is closed; reset() opens it again")
        if writing and not self.writable:
            raise RecordError(f"{self.uri} is open for reading; open it with flag 'w' to write")
        if not writing and self.writable:
            raise RecordError(f"{self.uri} is open for writing; open it with flag 'r' to read")
        if self.writable and self.pid != os.getpid():
            raise RecordError(
                f"{self.uri} is being written by another process; give each process its own file"
            )


class MXIndexedRecordIO(MXRecordIO):
    """Reads records by key, or writes records with keys.

    Parameters
    ----------
    idx_path : the index; None, for a reader: it is made by walking over the records, whose keys are
        then 0, 1, 2, …
    uri : the record file
    flag : "r" or "w"
    key_type : makes a key of its text; int, str or float

    Attributes
    ----------
    keys : the keys in the order of the index, like a list
    idx : key to offset, like a dict; of several records with one key the last counts

    Raises
    ------
    IndexFormatError : a line of the index is not a key, a tab and an offset.
    RecordFileNotFoundError, RecordError : a file cannot be opened.
    """

    def __init__(
        self, idx_path: Path | None, uri: Path, flag: str, key_type: KeyType = int
    ) -> None:
        self.is_open = False
        self.idx_path = None if idx_path is None else local_path(idx_path)
        self.key_type = key_type
        self._index = Index(np.empty(0, np.int64), np.empty(0, np.int64))
        super().__init__(uri, flag)

    @property
    def keys(self) -> Keys:
        """The records' keys, in the order of the index."""
        return Keys(self._read_index())

    @property
    def idx(self) -> Offsets:
        """Key to offset."""
        return Offsets(self._read_index())

    def __len__(self) -> int:
        return len(self._read_index())

    def _arguments(self) -> tuple[Any, ...]:
        return self.idx_path, self.uri, self.flag, self.key_type

    def open(self) -> None:
        """Open both files; a writer empties them."""
        if self.writable and self.idx_path is None:
            raise ArgumentError("an indexed writer needs the path of its index")
        super().open()
        try:
            if self.writable:
                self._written: tuple[list[Any], list[int]] = [], []
                self._index_file: IO[str] = create(str(self.idx_path), "w")
            elif self.idx_path is None:
                self._index = Index.build(self.uri)
            else:
                self._index = Index.load(self.idx_path, self.key_type)
        except BaseException:
            super().close()
            raise

    def close(self) -> None:
        """Write out what is buffered and close both files; keys and idx stay. May be called
        twice.
        """
        if self.is_open and self.writable:
            self._read_index()
            self._index_file.close()
        super().close()

    def flush(self) -> None:
        """Hand what is buffered to the system, records first, so that no index line points at
        nothing.
        """
        super().flush()
        self._index_file.flush()

    def tell(self) -> int:
        """Where a writer's next record will begin, in bytes."""
        self._check(writing=True)
        return self._position

    def write_idx(self, idx: Any, buf: Payload) -> None:
        """Append a record, and a line to the index.

        Parameters
        ----------
        idx : the key; `key_type` is applied to it
        buf : the record, as for `write`
        """
        key = self.key_type(idx)
        self._check(writing=True)
        with self._lock:
            offset = self._position
            self.write(buf)
            self._index_file.write(f"{key}\t{offset}\n")
            self._written[0].append(key)
            self._written[1].append(offset)

    def seek(self, idx: Any) -> None:
        """Go to the record with a key; the next `read` gives it.

        Raises
        ------
        KeyError : there is none; the key must be of the index's type.
        """
        self._check(writing=False)
        self._position = self.idx[idx]

    def read_idx(self, idx: Any) -> bytes:
        """The record with a key; a `read` after it gives the next record of the file. Safe from
        several threads.

        Raises
        ------
        KeyError : there is none.
        RecordError : the index points where no record begins.
        """
        self._check(writing=False)
        payload, self._position = parse(self._data, self.idx[idx], self.uri)
        return payload.tobytes()

    def _read_index(self) -> Index:
        """The index; a writer's, with what has been written so far."""
        if self.writable and self.is_open:
            keys, offsets = self._written
            self._index = Index(
                np.array(keys, np.int64 if self.key_type is int else object),
                np.array(offsets, np.int64),
            )
        return self._index
