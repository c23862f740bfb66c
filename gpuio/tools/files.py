"""Record files and their indexes: which belong together, and how new ones appear."""

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
    return RecordSet(*iterator_files(rec, idx).values())


def iterator_files(rec: Path, idx: Path | None = None) -> dict[str, Any]:
    """The same as arguments of ImageRecordIter, in which no name is taken apart at a ";"."""
    index = find_index(rec, idx)
    return {
        "path_imgrec": [local_path(rec)],
        "path_imgidx": None if index is None else [index],
    }


def check_outputs(
    outputs: Iterable[Path], inputs: Iterable[Path] = (), *, indexes: bool = True
) -> None:
    """See to it that files to be written are none of those to be read, nor one another.

    Parameters
    ----------
    outputs : files to be written
    inputs : files that must stay
    indexes : the indexes beside them must stay, too

    Raises
    ------
    ArgumentError : an output is one of the inputs, or named twice, or something that is no file.
    """
    targets = [local_path(path) for path in outputs]
    kept = [local_path(path) for path in inputs]
    if indexes:
        kept += [index_of(path) for path in kept]
    for target in targets:
        for name in (target, target + PART):
            for path in kept:
                if os.path.exists(name) and os.path.exists(path) and os.path.samefile(name, path):
                    raise ArgumentError(
                        f"{target} would overwrite {path}, an original; name another file to write"
                    )
        if os.path.exists(target) and not os.path.isfile(target):
            raise ArgumentError(f"{target} is no file that could be replaced; name another one")
    if len({os.path.realpath(target) for target in targets}) < len(targets):
        raise ArgumentError(
            f"the outputs {', '.join(targets)} must be different files; a record file has its "
            "index beside it, with the ending .idx"
        )


@contextmanager
def replacing(path: Path) -> Iterator[str]:
    """Gives the name under which to write a file, which takes its own when the block ends well, and
    is removed if not.
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
    """Write a whole file, which appears under its name when it is complete.

    Raises
    ------
    RecordFileNotFoundError : the directory does not exist.
    RecordError : it cannot be written.
    """
    with replacing(path) as name, create(name, "wb") as file:
        file.write(data)


def open_alone(path: str) -> IO[bytes]:
    """Open a file to write to, if no other process does; what it holds stays.

    Raises
    ------
    RecordFileNotFoundError : its directory does not exist.
    RecordError : it cannot be written, or another process is writing it.
    """
    while True:
        file: IO[bytes] = create(path, "ab+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system lets go when we end
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        except FileNotFoundError:
            pass  # whoever had it has just given it its name, or removed it
        except OSError as error:
            file.close()
            raise RecordError(
                f"{path} is being written by another run; wait for its end"
            ) from error
        file.close()


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
    inputs : files that are being read, and must not be written to
    beginning : go on behind these records, which the unfinished file has; None: begin anew
    keep : leave the unfinished record file where it is if the block does not end well

    Attributes
    ----------
    rec, idx : the files' names in the end
    keys, offsets : of the records so far

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
        beginning: Beginning | None = None,
        keep: bool = False,
    ) -> None:
        self.rec, self.idx = local_path(rec), index_of(rec)
        check_outputs([self.rec, self.idx], inputs)
        self.keys = beginning.keys if beginning else array("q")
        self.offsets = beginning.offsets if beginning else array("q")
        self._position = beginning.end if beginning else 0
        self._keep = keep
        self._file = open_alone(self.rec + PART)
        self._file.truncate(self._position)  # and writing appends

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        try:
            self._file.flush()
            if kind is None:
                self._finish()
        except BaseException:
            self._drop()
            raise
        else:
            if kind is not None:
                self._drop()
        finally:
            self._file.close()  # only now may another run write

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
