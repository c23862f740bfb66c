"""Record files and their indexes: how pairs are found, and how new ones are written safely."""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gpuio.errors import ArgumentError, RecordError
from gpuio.recordio import Index, RecordSet
from gpuio.recordio.framing import Payload, frame
from gpuio.storage.local import Path, local_path
from gpuio.storage.writing import (
    adopt,
    followed,
    open_exclusive,
    replaced_status,
    replacing,
    unfinished,
    write_error,
)

if TYPE_CHECKING:
    from typing_extensions import Self


def index_of(rec: Path) -> str:
    """Default path of a record file's index: FILE.idx for FILE.rec."""
    return f"{os.path.splitext(local_path(rec))[0]}.idx"


def find_index(rec: Path, idx: Path | None = None) -> str | None:
    """The given index, or else the record file's default one; None if that does not exist."""
    if idx is not None:
        return local_path(idx)
    default = index_of(rec)
    return default if os.path.exists(default) else None


def open_records(rec: Path, idx: Path | None = None) -> RecordSet:
    """Open a record file with the index that `find_index` finds."""
    index = find_index(rec, idx)
    return RecordSet([local_path(rec)], None if index is None else [index])


def iterator_files(rec: Path, idx: Path | None = None) -> dict[str, Any]:
    """The same files as arguments of ImageRecordIter; as lists, so that no name is split at ";"."""
    index = find_index(rec, idx)
    return {
        "path_imgrec": [local_path(rec)],
        "path_imgidx": None if index is None else [index],
    }


def check_outputs(
    outputs: Iterable[Path], inputs: Iterable[Path] = (), *, indexes: bool = True
) -> None:
    """Check that output files overwrite neither inputs nor each other.

    Parameters
    ----------
    outputs : files to be written
    inputs : files that must not change
    indexes : nor must the inputs' default indexes

    Raises
    ------
    ArgumentError : an output is one of the inputs, or given twice, or not a regular file.
    RecordError : this user may not write an output, or its name is too long.
    """
    targets = [local_path(path) for path in outputs]
    originals = [local_path(path) for path in inputs]
    if indexes:
        originals += [index_of(path) for path in originals]
    for target in targets:
        for name in (target, unfinished(target)):
            for path in originals:
                if os.path.exists(name) and os.path.exists(path) and os.path.samefile(name, path):
                    raise ArgumentError(
                        f"{target} would overwrite the original {path}; choose another output file"
                    )
        try:
            found = replaced_status(target)
        except (OSError, ValueError) as error:
            raise write_error(target, error) from error
        if found is not None and not stat.S_ISREG(found.st_mode):
            raise ArgumentError(
                f"{target} exists and is not a regular file; choose another output file"
            )
    if len({os.path.realpath(target) for target in targets}) < len(targets):
        raise ArgumentError(
            f"the outputs {', '.join(targets)} must be different files; the index of a record file "
            "has the same name with the extension .idx"
        )


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


class RecordOutput:
    """Writes a record file and its index, which get their final names only when complete.

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
        self._file = open_exclusive(self._part)
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
