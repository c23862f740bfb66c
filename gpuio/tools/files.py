"""Record files and their indexes: how pairs are found, and how new ones are written safely."""

from __future__ import annotations

import fcntl
import os
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gpuio.errors import ArgumentError, RecordError
from gpuio.recordio import Index, RecordSet
from gpuio.recordio.framing import Payload, frame
from gpuio.storage.local import Path, create, local_path

if TYPE_CHECKING:
    from typing_extensions import Self

# Suffix of files that are being written.
PART = ".part"


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
    """
    targets = [local_path(path) for path in outputs]
    originals = [local_path(path) for path in inputs]
    if indexes:
        originals += [index_of(path) for path in originals]
    for target in targets:
        for name in (target, target + PART):
            for path in originals:
                if os.path.exists(name) and os.path.exists(path) and os.path.samefile(name, path):
                    raise ArgumentError(
                        f"{target} would overwrite the original {path}; choose another output file"
                    )
        if os.path.exists(target) and not os.path.isfile(target):
            raise ArgumentError(
                f"{target} exists and is not a regular file; choose another output file"
            )
    if len({os.path.realpath(target) for target in targets}) < len(targets):
        raise ArgumentError(
            f"the outputs {', '.join(targets)} must be different files; the index of a record file "
            "has the same name with the extension .idx"
        )


@contextmanager
def replacing(path: Path) -> Iterator[str]:
    """Replace a file atomically: yields a temporary name to write to, which is renamed to `path` on
    success and removed on failure.
    """
    target = local_path(path)
    try:
        yield target + PART
        os.replace(target + PART, target)
    except BaseException:
        with suppress(OSError):
            os.remove(target + PART)
        raise


def write_file(path: Path, data: bytes) -> None:
    """Write a whole file atomically.

    Raises
    ------
    RecordFileNotFoundError : the directory does not exist.
    RecordError : the file cannot be written.
    """
    with replacing(path) as name, create(name, "wb") as file:
        file.write(data)


def open_exclusive(path: str) -> IO[bytes]:
    """Open a file for appending, locked against other processes; existing content stays.

    Raises
    ------
    RecordFileNotFoundError : the directory does not exist.
    RecordError : the file cannot be written, or another process has it locked.
    """
    while True:
        file: IO[bytes] = create(path, "ab+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # released when this process ends
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        except FileNotFoundError:
            pass  # the previous owner has just renamed or removed it: create it again
        except OSError as error:
            file.close()
            raise RecordError(
                f"{path} is being written by another run; wait until that has finished"
            ) from error
        file.close()


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

    Until the ``with`` block ends they carry the suffix ``.part``. On success they are renamed and
    replace existing files of those names; on failure they are removed.

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
        self._file = open_exclusive(self.rec + PART)
        self._file.truncate(self._position)  # opened for appending, so writing continues here

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        try:
            self._file.flush()
            if kind is None:
                self._finish()
        except BaseException:
            self._discard()
            raise
        else:
            if kind is not None:
                self._discard()
        finally:
            self._file.close()  # releases the lock, so it comes last

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
        Index(np.array(self.keys, np.int64), np.array(self.offsets, np.int64)).save(self.idx + PART)
        # In this order no index ever accompanies records of another file.
        with suppress(FileNotFoundError):
            os.remove(self.idx)
        os.replace(self.rec + PART, self.rec)
        os.replace(self.idx + PART, self.idx)

    def _discard(self) -> None:
        for path in [self.idx] if self.keep_part else [self.idx, self.rec]:
            with suppress(OSError):
                os.remove(path + PART)
