"""Record files that are written with their indexes, which appear only when both are complete."""

from __future__ import annotations

import io
import os
from array import array
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import RecordError
from gpuio.recordio import Index
from gpuio.recordio.framing import Payload, frame
from gpuio.storage.local import Path, local_path
from gpuio.storage.locked_file import open_exclusive
from gpuio.storage.output_file import OutputFile, copy_range, write_error
from gpuio.storage.remote.opening import location
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.output import RemoteOutput, uploading
from gpuio.storage.remote.registry import open_store
from gpuio.storage.remote.replacing import remove_object
from gpuio.storage.remote.url import is_remote, shown
from gpuio.storage.writing import adopt, followed, replaced_status, replacing, unfinished
from gpuio.tools.files import check_outputs, index_of

if TYPE_CHECKING:
    from typing_extensions import Self


# Bytes of an object that are copied at a time.
COPIED = 1 << 23


class ExistingRecords(NamedTuple):
    """Records that an unfinished file already holds.

    Attributes
    ----------
    keys, offsets : of each record
    end : offset after the last one, in bytes
    """

    keys: array[int]
    offsets: array[int]
    end: int


def open_output(
    rec: Path,
    inputs: Iterable[Path] = (),
    remote: RemoteOptions | None = None,
    expected: int = 0,
) -> RecordOutput | RemoteRecordOutput:
    """Begin to write a record file and its index, at a path or a URL.

    Parameters
    ----------
    rec : the record file
    inputs : files that are being read, and must not be overwritten
    remote : how a remote file is reached; None: by the default options
    expected : about how many bytes the records will have; 0: that is not known

    Raises
    ------
    ArgumentError, RecordError, RemoteError : see the two classes.
    """
    if is_remote(location(rec)):
        return RemoteRecordOutput(location(rec), inputs, remote, expected)
    return RecordOutput(rec, inputs)


class RecordOutput:
    """Writes a local record file and its index, which get their final names only when complete.

    Until the ``with`` block ends the record file carries the suffix ``.part``, so that the next run
    can find it. On success both replace existing files of their names; on failure they are removed.

    Parameters
    ----------
    rec : the record file; its index is written next to it
    inputs : files that are being read, and must not be overwritten
    existing : records of the unfinished file to continue after; None: start over
    keep_part : keep the unfinished record file on failure

    Attributes
    ----------
    rec, idx : final names of the files
    keys, offsets : of the records so far
    keep_part : the argument; it may be changed

    Raises
    ------
    RecordFileNotFoundError : the directory does not exist.
    RecordError : a file cannot be written, or another process is writing it.
    ArgumentError : one of the two would overwrite an input.
    """

    def __init__(
        self,
        rec: Path,
        inputs: Iterable[Path] = (),
        *,
        existing: ExistingRecords | None = None,
        keep_part: bool = False,
    ) -> None:
        self.rec, self.idx = local_path(rec), index_of(rec)
        check_outputs([self.rec, self.idx], inputs)
        self.keys = existing.keys if existing else array("q")
        self.offsets = existing.offsets if existing else array("q")
        self._position = existing.end if existing else 0
        self.keep_part = keep_part
        self._part = unfinished(self.rec)
        self._file: io.BufferedRandom | io.BufferedWriter = open_exclusive(self._part)
        if (old := replaced_status(self.rec)) is not None:
            adopt(self._file.fileno(), old)
        self._file.truncate(self._position)  # opened for appending, so writing continues here

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        try:
            if kind is None:
                self._finish()
            else:
                with suppress(RecordError):
                    self._file.flush()  # for the next run, if it keeps the file
        except BaseException:
            self._discard()
            raise
        else:
            if kind is not None:
                self._discard()
        finally:
            self._file.raw.close()  # releases the lock, so it comes last

    def write(self, key: int, payload: Payload) -> None:
        """Append a record.

        Raises
        ------
        RecordError : it is too long for the format.
        """
        self.append(key, frame(payload))

    def append(self, key: int, pieces: list[Payload]) -> None:
        """Append a record that is already framed, given in pieces."""
        self._file.writelines(pieces)
        self.keys.append(key)
        self.offsets.append(self._position)
        self._position += sum(map(len, pieces))

    def append_file(self, path: str, keys: array[int], sizes: array[int]) -> None:
        """Append all records of another file.

        Parameters
        ----------
        path : the file
        keys, sizes : of its records, in order; sizes in bytes

        Raises
        ------
        RecordError : they cannot be written, or the file has another size.
        """
        self._file.flush()
        with open(path, "rb") as source, open(self._part, "r+b", buffering=0) as part:
            size = os.fstat(source.fileno()).st_size
            if size != sum(sizes):
                raise RecordError(f"{path} has {size} bytes, expected {sum(sizes)}")
            try:
                copy_range(source.fileno(), part.fileno(), size, self._position)
            except OSError as error:
                raise write_error(self.rec, error) from error
        self._note(keys, sizes)

    def _note(self, keys: array[int], sizes: array[int]) -> None:
        self.keys.extend(keys)
        for size in sizes:
            self.offsets.append(self._position)
            self._position += size

    def take_over(
        self, file: OutputFile, keys: NDArray[np.int64], sizes: NDArray[np.int64]
    ) -> None:
        """Go on with a file that holds records already, in place of the one begun.

        Parameters
        ----------
        file : from `open_temporary` with the record file's name; this closes it
        keys : int64 (n,), of its records
        sizes : int64 (n,), of each record, in bytes
        """
        try:
            if (old := replaced_status(self.rec)) is not None:
                adopt(file.fileno(), old)
            os.replace(file.name, self._part)
        except OSError as error:
            raise write_error(self.rec, error) from error
        self._file.raw.close()
        self._file = io.BufferedWriter(file)
        self.keys = array("q", keys.tolist())
        self.offsets = array("q", (np.cumsum(sizes) - sizes).tolist())
        self._position = int(sizes.sum())

    def _finish(self) -> None:
        with replacing(self.idx) as file:
            Index(np.array(self.keys, np.int64), np.array(self.offsets, np.int64)).write(file)
            file.flush()
            self._file.flush()
            try:
                os.fsync(self._file.fileno())
                # In this order no index ever accompanies records of another file.
                with suppress(FileNotFoundError):
                    os.remove(followed(self.idx))
                os.replace(self._part, followed(self.rec))
            except OSError as error:
                raise write_error(self.rec, error) from error

    def _discard(self) -> None:
        if not self.keep_part:
            with suppress(OSError):
                os.remove(self._part)


class RemoteRecordOutput:
    """Writes a record file and its index to a remote store, where they appear when both are
    complete: the record file first, so that no index accompanies records of another file. What
    fails or is interrupted before the end changes nothing there. At the end an existing index is
    removed, then the record file appears, then its index: what fails or is interrupted between two
    of these leaves the old or the new record file without an index.

    Parameters
    ----------
    url : of the record file; the index is written next to it
    inputs : files that are being read, and must not be overwritten
    remote : how the store is reached; None: by the default options

    Attributes
    ----------
    rec, idx : the URLs of the files, without secrets
    keys, offsets : of the records so far

    Raises
    ------
    RemoteError : a file cannot be written.
    ArgumentError : one of the two would overwrite an input.
    """

    def __init__(
        self,
        url: str,
        inputs: Iterable[Path] = (),
        remote: RemoteOptions | None = None,
        expected: int = 0,
    ) -> None:
        self._idx = index_of(url)
        self._remote = remote
        check_outputs([url, self._idx], inputs, remote=remote)
        self.rec, self.idx = shown(url), shown(self._idx)
        self.keys, self.offsets = array("q"), array("q")
        self._file = RemoteOutput(url, remote, expected)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._file.abandon()

    def write(self, key: int, payload: Payload) -> None:
        """Append a record.

        Raises
        ------
        RecordError : it is too long for the format.
        RemoteError : it cannot be written.
        """
        self.append(key, frame(payload))

    def append(self, key: int, pieces: list[Payload]) -> None:
        """Append a record that is already framed, given in pieces."""
        self.keys.append(key)
        self.offsets.append(self._file.position)
        self._file.write(pieces, sum(map(len, pieces)))

    def append_file(self, url: str, keys: array[int], sizes: array[int]) -> None:
        """Append all records of another object.

        Parameters
        ----------
        url : the object
        keys, sizes : of its records, in order; sizes in bytes

        Raises
        ------
        RecordError : the object has another size.
        RemoteError : it cannot be read, or they cannot be written.
        """
        store, name = open_store(url, self._remote)
        info = store.info(name)
        if info.size != sum(sizes):
            raise RecordError(f"{shown(url)} has {info.size} bytes, expected {sum(sizes)}")
        position = self._file.position
        for begin in range(0, info.size, COPIED):
            piece = bytes(store.read(name, begin, min(COPIED, info.size - begin), info)[:])
            self._file.write([piece], len(piece))
        for key, size in zip(keys, sizes, strict=True):
            self.keys.append(key)
            self.offsets.append(position)
            position += size

    def _finish(self) -> None:
        with uploading(self._idx, "wb", self._remote) as file:
            Index(np.array(self.keys, np.int64), np.array(self.offsets, np.int64)).write(file)
            file.flush()
            self._file.flush()
            remove_object(self._idx, self._remote)
            self._file.close()
