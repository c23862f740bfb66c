"""MXNet's readers and writers of record files: MXRecordIO and MXIndexedRecordIO."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuio.errors import ArgumentError, RecordError, RecordKeyError, RemoteError
from gpuio.recordio.diagnosis import explain
from gpuio.recordio.framing import (
    HEADER,
    FramingError,
    Payload,
    TruncatedRecordError,
    frame,
    parse,
)
from gpuio.recordio.index import Index, Key, KeyType, Offsets
from gpuio.storage.data_file import DataFile
from gpuio.storage.local import BufferedFile, ByteSequence, LocalFile, Path, to_bytes
from gpuio.storage.remote.file import RemoteFile
from gpuio.storage.remote.opening import forwards, location, open_file
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.pickling import check_picklable
from gpuio.storage.remote.replacing import AppendedOutput, open_appended, remove_object
from gpuio.storage.remote.stream import ForwardReader
from gpuio.storage.remote.url import is_remote, shown

if TYPE_CHECKING:
    from typing_extensions import Self

# Bytes of a remote record that are read at once: behind what is left out of an index, a record
# seems to be larger.
MAX_WHOLE = 1 << 20


class MXRecordIO:
    """Read or write a record file sequentially.

    A reader may be pickled (the copy starts at the first record), inherited by a forked process,
    and used from several threads. A context manager; iterating over a reader yields its records.

    What a writer writes to a URL is visible, and replaces an existing file, when it is closed; of
    one that is not closed, or whose ``with`` block ends in an error, nothing becomes visible.

    Parameters
    ----------
    uri : the file: a path or a URL
    flag : "r" to read, "w" to write; an existing file is overwritten
    cache_dir, cache_limit, storage_options, retries, timeout, readahead : for remote files, as in
        ImageRecordIter

    Attributes
    ----------
    uri, flag : the arguments; `uri` as a path, or as a URL without secrets
    writable : whether this is a writer
    is_open : whether the file is open
    pid : the process that opened the file; None if closed

    Raises
    ------
    ArgumentError : (a ValueError) flag is neither "r" nor "w".
    RecordFileNotFoundError, RecordError, RemoteError : the file cannot be opened.

    Examples
    --------
    >>> with MXRecordIO("some.rec", "w") as writer:
    ...     writer.write(b"a record")
    >>> with MXRecordIO("some.rec", "r") as reader:
    ...     reader.read()
    b'a record'
    """

    def __init__(
        self,
        uri: Path,
        flag: str,
        *,
        cache_dir: Path | None = None,
        cache_limit: int | str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        retries: int = 10,
        timeout: float = 60.0,
        readahead: int | str = "256MB",
    ) -> None:
        self.is_open = False
        if flag not in ("r", "w"):
            raise ArgumentError(f"Invalid flag {flag!r}: it must be 'r' or 'w'")
        self._remote = RemoteOptions.create(
            cache_dir, cache_limit, readahead, storage_options, retries, timeout
        )
        self._location = location(uri)
        self.uri = shown(self._location)
        self.flag = flag
        self.writable = flag == "w"
        self.pid: int | None = None
        self._lock = threading.RLock()
        self.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        if kind is not None and self.writable and is_remote(self._location):
            self._close(unwanted=True)
        else:
            self.close()

    def __del__(self) -> None:
        if self.is_open and self.writable and is_remote(self._location):
            self._close(unwanted=True)
        else:
            self.close()

    def __iter__(self) -> Iterator[bytes]:
        while (record := self.read()) is not None:
            yield record

    def __getstate__(self) -> dict[str, Any]:
        if self.writable:
            raise TypeError(
                f"a writer cannot be pickled, since opening its copy would empty {self.uri}; close "
                "it and open it again"
            )
        remote = is_remote(self._location)
        check_picklable(self._arguments(), type(self).__name__)
        return {
            "arguments": self._arguments(),
            "is_open": self.is_open,
            "remote": self._remote.arguments() if remote else {},  # a subclass may not take them
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).__init__(self, *state["arguments"], **state["remote"])
        if not state["is_open"]:
            self.close()

    def _arguments(self) -> tuple[object, ...]:
        return self._location, self.flag

    def open(self) -> None:
        """Open the file at its beginning; a writer empties it."""
        if self.writable:
            self._file = open_appended(self._location, self._remote)
        else:
            self._position = 0
            records = open_file(self._location, self._remote)
            self._reading: tuple[DataFile, ByteSequence] | None = records, self._forwards(records)
        self.is_open = True
        self.pid = os.getpid()

    def _forwards(self, records: LocalFile | RemoteFile) -> ByteSequence:
        """A file for reading it forwards."""
        if isinstance(records, RemoteFile):
            return forwards(records, self._remote)
        return BufferedFile(records)

    def close(self) -> None:
        """Flush and close the file, which makes it visible at a URL. May be called repeatedly. In a
        process that inherited a writer, nothing is flushed: what is in its buffers will be written
        by the process that opened it.

        Raises
        ------
        RecordError, RemoteError : what is in a writer's buffers cannot be written; it is closed
            nevertheless.
        """
        if self.is_open:
            self._close(unwanted=self.pid != os.getpid())

    def _close(self, unwanted: bool) -> None:
        """Close the files, with or without what is in a writer's buffers."""
        self.is_open = False
        self.pid = None
        if self.writable:
            _close(self._outputs(), unwanted)
        else:
            reading, self._reading = self._reading, None
            if reading is not None:
                # A thread that is still reading keeps a local file open.
                reading[0].close()

    def _outputs(self) -> list[AppendedOutput]:
        """The files that a writer writes, in the order in which their buffers are written."""
        return [self._file]

    def reset(self) -> None:
        """Start over: a reader returns to the first record, a writer empties its file. A closed
        file is opened.
        """
        self.close()
        self.open()

    def flush(self) -> None:
        """Hand buffered data to the operating system, so that it survives this process; records
        first, so that every line of an index points at a record. At a URL it is sent, as far as it
        makes full parts, and nothing becomes visible.

        Raises
        ------
        RecordError, RemoteError : it cannot be written, and the writer is closed; or this is a
            reader, or closed.
        """
        self._check(writing=True)
        try:
            for file in self._outputs():
                file.flush()
        except (RecordError, RemoteError):
            self._close(unwanted=True)
            raise

    def write(self, buf: Payload) -> None:
        """Append a record.

        Parameters
        ----------
        buf : bytes, bytearray, memoryview or uint8 array

        Raises
        ------
        TypeError : `buf` is not bytes-like.
        RecordError : `buf` has 2**29 bytes or more, or this is a reader, or closed; or the file
            cannot be written, and the writer is closed.
        RemoteError : a remote file cannot be written, and the writer is closed.
        """
        self._check(writing=True)
        pieces = frame(buf)
        with self._lock:
            self._write(self._file, pieces)

    def _write(self, file: AppendedOutput, pieces: list[Payload]) -> None:
        """Append pieces to one of the files; a failure closes all of them."""
        try:
            file.write(pieces, sum(map(len, pieces)))
        except BaseException:
            if file.closed:
                self._close(unwanted=True)
            raise

    def read(self) -> bytes | None:
        """Read the next record; None at the end of the file.

        Raises
        ------
        RecordError : the file is damaged here. After a wrong magic number the next call continues
            eight bytes further; after a truncated record it returns None.
        FileChangedError : the file has become shorter since it was opened, or a remote one has been
            replaced.
        RemoteError : a remote file cannot be read.
        """
        with self._lock:
            records, buffered = self._opened()
            if self._position >= len(records):
                return None
            begin = self._position
            try:
                payload, self._position = parse(buffered, begin, self.uri)
            except FramingError as error:
                cut_off = isinstance(error, TruncatedRecordError)
                self._position = len(records) if cut_off else begin + HEADER.size
                raise self._explained(error, records, begin) from error
        return to_bytes(payload)

    def _opened(self) -> tuple[DataFile, ByteSequence]:
        """The file that is read, and the same for reading it forwards."""
        self._check(writing=False)
        reading = self._reading
        if reading is None:  # another thread has just closed it
            raise self._closed()
        return reading

    def _explained(self, error: FramingError, records: DataFile, offset: int) -> RecordError:
        """The error of a record at an offset, with what to do about it."""
        return explain(error, records, self.uri)

    def _closed(self) -> RecordError:
        return RecordError(f"{self.uri} is closed; reset() opens it again")

    def _check(self, writing: bool) -> None:
        if not self.is_open:
            raise self._closed()
        if writing and not self.writable:
            raise RecordError(f"{self.uri} is open for reading; open it with flag 'w' to write")
        if not writing and self.writable:
            raise RecordError(f"{self.uri} is open for writing; open it with flag 'r' to read")
        if self.writable and self.pid != os.getpid():
            raise RecordError(
                f"{self.uri} is being written by another process; give each process its own file"
            )


class MXIndexedRecordIO(MXRecordIO):
    """Read records by key, or write records with keys.

    Parameters
    ----------
    idx_path : the index file; None, for readers only: the index is built by scanning the records,
        and the keys are 0, 1, 2, …
    uri : the record file
    flag : "r" or "w"
    key_type : converts a string to a key: int, str or float
    cache_dir, cache_limit, storage_options, retries, timeout, readahead : for remote files, as in
        ImageRecordIter

    Attributes
    ----------
    keys : list of the keys in the order of the index; the caller's to shuffle or to change, which
        does not change what is read. It is made when it is first asked for
    idx : key to offset, like a dict; of several records with the same key, the last counts

    Raises
    ------
    IndexFormatError : a line of the index is not a key, a tab and an offset.
    RecordFileNotFoundError, RecordError : a file cannot be opened.
    """

    def __init__(
        self,
        idx_path: Path | None,
        uri: Path,
        flag: str,
        key_type: KeyType = int,
        *,
        cache_dir: Path | None = None,
        cache_limit: int | str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        retries: int = 10,
        timeout: float = 60.0,
        readahead: int | str = "256MB",
    ) -> None:
        self.is_open = False
        self._idx_location = None if idx_path is None else location(idx_path)
        self.idx_path = None if self._idx_location is None else shown(self._idx_location)
        self.key_type = key_type
        self._index = Index(np.empty(0, np.int64), np.empty(0, np.int64))
        self._keys: list[Key] | None = None
        self._index_file: AppendedOutput | None = None
        super().__init__(
            uri,
            flag,
            cache_dir=cache_dir,
            cache_limit=cache_limit,
            storage_options=storage_options,
            retries=retries,
            timeout=timeout,
            readahead=readahead,
        )

    @property
    def keys(self) -> list[Key]:
        """The keys in the order of the index, always as the same list until `reset`."""
        if self._keys is None:
            self._keys = self._read_index().keys.tolist()
        return self._keys

    @keys.setter
    def keys(self, keys: list[Key]) -> None:
        self._keys = keys

    @property
    def idx(self) -> Offsets:
        """Key to offset, like a dict."""
        return Offsets(self._read_index())

    def __len__(self) -> int:
        return len(self._read_index())

    def _arguments(self) -> tuple[object, ...]:
        return self._idx_location, self._location, self.flag, self.key_type

    def open(self) -> None:
        """Open both files at their beginning; a writer empties them."""
        if self.writable and self.idx_path is None:
            raise ArgumentError("an indexed writer needs the path of its index")
        self._keys = None
        self._written: list[Any] = []  # key, offset, key, offset, …: one call appends both
        super().open()
        try:
            if self.writable:
                self._index_file = open_appended(str(self._idx_location), self._remote)
            elif self._idx_location is None:
                self._index = Index.build(self._location, self._remote)
            else:
                self._index = Index.load(self._idx_location, self.key_type, self._remote)
        except BaseException:
            self._close(unwanted=True)
            raise

    def _close(self, unwanted: bool) -> None:
        """Close both files; `keys` and `idx` remain valid."""
        self._read_index()
        try:
            if self.writable and not unwanted:
                self._remove_old_index()
        except BaseException:
            unwanted = True
            raise
        finally:
            super()._close(unwanted)

    def _remove_old_index(self) -> None:
        """Remove an index that a writer is about to replace at a URL: if writing the new one fails,
        the old one shall not be that of the new records.
        """
        if self._idx_location is not None and is_remote(self._idx_location):
            self._file.flush()
            with suppress(RemoteError):  # whoever may write need not be allowed to remove
                remove_object(self._idx_location, self._remote)

    def _outputs(self) -> list[AppendedOutput]:
        return [self._file, *([] if self._index_file is None else [self._index_file])]

    def tell(self) -> int:
        """Offset of a writer's next record, in bytes."""
        self._check(writing=True)
        return self._file.position

    def write_idx(self, idx: Key, buf: Payload) -> None:
        """Append a record, and its line to the index.

        Parameters
        ----------
        idx : the key; converted by `key_type`
        buf : the record, as for `write`

        Raises
        ------
        ArgumentError : the key cannot be converted, or is not a 64-bit integer.
        """
        try:
            key = self.key_type(idx)
        except (ValueError, OverflowError) as error:
            raise ArgumentError(f"{idx!r} cannot be a key of the index: {error}") from error
        if isinstance(key, int) and not -(2**63) <= key < 2**63 and self.key_type is int:
            raise ArgumentError(f"the key {key} is not a 64-bit integer")
        self._check(writing=True)
        assert self._index_file is not None
        with self._lock:
            offset = self._file.position
            line = f"{key}\t{offset}\n".encode("utf-8", "surrogateescape")
            self.write(buf)
            self._write(self._index_file, [line])
            self._written += key, offset
            if self._keys is not None:
                self._keys.append(key)

    def seek(self, idx: Key) -> None:
        """Set the position to the record with a key; the next `read` returns it.

        Raises
        ------
        RecordKeyError : (also a KeyError) there is no such key; it must be of the index's type.
        """
        self._check(writing=False)
        self._position = self._offset(idx)

    def read_idx(self, idx: Key) -> bytes:
        """Read the record with a key; a `read` after it returns the next record of the file.
        Thread-safe.

        Raises
        ------
        RecordKeyError : (also a KeyError) there is no such key.
        RecordError : no intact record begins where the index points.
        FileChangedError : the file has become shorter since it was opened, or a remote one has been
            replaced.
        RemoteError : a remote file cannot be read.
        """
        records, _ = self._opened()
        offset = self._offset(idx)
        try:
            payload, self._position = parse(self._at(offset, records), offset, self.uri)
        except FramingError as error:
            raise self._explained(error, records, offset) from error
        return to_bytes(payload)

    def _at(self, offset: int, records: DataFile) -> ByteSequence:
        """A file for reading the record at an offset: a remote one by one request."""
        if records.descriptor is not None:
            return records
        following = self._index.following(offset)
        length = (len(records) if following is None else following) - offset
        return ForwardReader(records, min(length, MAX_WHOLE), ahead=0)

    def _offset(self, key: Key) -> int:
        try:
            return self.idx[key]
        except (KeyError, TypeError) as error:  # TypeError: it is not hashable
            raise RecordKeyError(self._missing(key)) from error

    def _missing(self, key: Key) -> str:
        """Why there is no record with a key."""
        index = self._read_index()
        name = self.idx_path or self.uri
        if not len(index):
            return f"{name} has no record with the key {key!r}: it has no records"
        first, last = index.keys[[0, -1]].tolist()
        return (
            f"{name} has no record with the key {key!r} ({type(key).__name__}); the first of its "
            f"{len(index):,} keys is {first!r}, the last {last!r} ({type(first).__name__})"
        )

    def _explained(self, error: FramingError, records: DataFile, offset: int) -> RecordError:
        if self.idx_path is None:
            return super()._explained(error, records, offset)
        starts = np.sort(self._read_index().offsets)
        return explain(error, records, self.uri, offset, starts)

    def _read_index(self) -> Index:
        """The index; for a writer, of the records written so far."""
        if self.writable and self.is_open:
            self._index = Index(
                np.array(self._written[::2], np.int64 if self.key_type is int else object),
                np.array(self._written[1::2], np.int64),
            )
        return self._index


def _close(files: list[AppendedOutput], unwanted: bool) -> None:
    """Close files, with or without what is in their buffers."""
    first, *others = files
    try:
        if unwanted:
            first.abandon()
        else:
            first.close()
    except BaseException:
        unwanted = True  # no line of the index shall point at a record that is not there
        raise
    finally:
        if others:
            _close(others, unwanted)
