"""Record files and their indexes: which belong together, and how new ones appear."""

from __future__ import annotations

import os
from array import array
from contextlib import suppress
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

from gpuio.recordio import Index, RecordSet
from gpuio.recordio.framing import Payload, frame
from gpuio.recordio.storage import Path, create, local_path

if TYPE_CHECKING:
    from typing_extensions import Self

# What files are called while they are being written.
PART = ".part"


def index_of(rec: Path) -> str:
    """Where the index of a record file is looked for: FILE.idx beside FILE.rec."""
    return f"{os.path.splitext(local_path(rec))[0]}.idx"


def find_index(rec: Path, idx: Path | None = None) -> str | None:
    """The index that is named, or that beside a record file; None: there is none."""
    if idx is not None:
        return local_path(idx)
    beside = index_of(rec)
    return beside if os.path.exists(beside) else None


def open_records(rec: Path, idx: Path | None = None) -> RecordSet:
    """A record file, with the index that is named or lies beside it, if there is one."""
    return RecordSet(local_path(rec), find_index(rec, idx))


def write_file(path: Path, data: bytes) -> None:
    """Write a whole file, which appears under its name when it is complete.

    Raises
    ------
    RecordFileNotFoundError : the directory does not exist.
    RecordError : it cannot be written.
    """
    target = local_path(path)
    with create(target + PART, "wb") as file:
        file.write(data)
    os.replace(target + PART, target)


class Beginning(NamedTuple):
    """Records that an unfinished file has already.

    Attributes
    ----------
    keys, offsets : of each record
    end : the byte behind the last
    """

    keys: array[int]
    offsets: array[int]
    end: int


class RecordOutput:
    """A record file and its index in the making.

    Until the ``with`` block ends they have ``.part`` at the end of their names. If it ends well
    they take their names, and older files of these names are lost; if not, they are removed.

    Parameters
    ----------
    rec : the record file; the index is made beside it
    beginning : go on behind these records, which the unfinished file has; None: begin anew
    keep : leave the unfinished record file where it is if the block does not end well

    Attributes
    ----------
    rec, idx : the files' names in the end
    keys, offsets : of the records so far

    Raises
    ------
    RecordFileNotFoundError : the directory does not exist.
    RecordError : a file cannot be written.
    """

    def __init__(
        self, rec: Path, *, beginning: Beginning | None = None, keep: bool = False
    ) -> None:
        self.rec, self.idx = local_path(rec), index_of(rec)
        self.keys = beginning.keys if beginning else array("q")
        self.offsets = beginning.offsets if beginning else array("q")
        self._position = beginning.end if beginning else 0
        self._keep = keep
        self._file: IO[bytes] = create(self.rec + PART, "r+b" if beginning else "wb")
        if beginning:
            self._file.truncate(beginning.end)
            self._file.seek(beginning.end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        try:
            self._file.close()
            if kind is None:
                self._finish()
        except BaseException:
            self._drop()
            raise
        if kind is not None:
            self._drop()

    def write(self, key: int, payload: Payload) -> None:
        """Append a record.

        Raises
        ------
        RecordError : it is too long for the format.
        """
        self.append(key, frame(payload))

    def append(self, key: int, pieces: list[Payload]) -> None:
        """Append a record that is framed already, in pieces."""
        self._file.writelines(pieces)
        self.keys.append(key)
        self.offsets.append(self._position)
        self._position += sum(map(len, pieces))

    def _finish(self) -> None:
        Index(np.array(self.keys, np.int64), np.array(self.offsets, np.int64)).save(self.idx + PART)
        # At no moment does an index lie beside records that are not its own.
        with suppress(FileNotFoundError):
            os.remove(self.idx)
        os.replace(self.rec + PART, self.rec)
        os.replace(self.idx + PART, self.idx)

    def _drop(self) -> None:
        for path in [self.idx] if self._keep else [self.idx, self.rec]:
            with suppress(OSError):
                os.remove(path + PART)
