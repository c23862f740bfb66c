"""The index of a record file: keys and offsets, in two arrays.

An index is a text with a line for each record: the key, a tab, the offset of the record's first
byte.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import IndexFormatError, RecordFileNotFoundError
from gpuio.progress import progress
from gpuio.recordio.framing import walk
from gpuio.storage.local import create, local_path, map_file

KeyType = Callable[[str], Any]

# The text is read in pieces of so many bytes, so that a large index costs little more than its two
# arrays.
PIECE = 1 << 22

# Records between two steps of the progress bar.
BLOCK = 1 << 14


class Index:
    """Where each record of a file begins.

    Parameters
    ----------
    keys : int64 (n,), or object (n,) where the keys are not whole numbers; several records may have
        the same
    offsets : int64 (n,), in bytes

    Attributes
    ----------
    keys, offsets : the same
    """

    def __init__(self, keys: NDArray[Any], offsets: NDArray[np.int64]) -> None:
        self.keys = keys
        self.offsets = offsets
        self._sorted: tuple[NDArray[Any], NDArray[np.int64]] | None = None
        self._places: dict[Any, int] | None = None

    def __len__(self) -> int:
        return len(self.offsets)

    @classmethod
    def load(cls, path: str | os.PathLike[str], key_type: KeyType = int) -> Index:
        """Read an index file.

        Parameters
        ----------
        path : the file
        key_type : makes a key of its text

        Raises
        ------
        RecordFileNotFoundError : there is no such file.
        IndexFormatError : a line is not of the form.
        """
        path = local_path(path)
        try:
            with open(path, "rb") as file:
                if key_type is not int:
                    keys, offsets = _read_lines(file, path, key_type)
                    return cls(_objects(keys), np.array(offsets, np.int64))
                blocks = [_numbers(block, path, line) for line, block in _blocks(file)]
        except (FileNotFoundError, IsADirectoryError) as error:
            raise RecordFileNotFoundError(
                f"the index {path} does not exist; make it with 'gpuio index', or open the records "
                "without one"
            ) from error
        if not blocks:
            return cls(np.empty(0, np.int64), np.empty(0, np.int64))
        return cls(*(np.concatenate([block[:, column] for block in blocks]) for column in (0, 1)))

    @classmethod
    def build(cls, path: str | os.PathLike[str]) -> Index:
        """Make the index of a record file by walking over its records; the keys are 0, 1, 2, …

        Raises
        ------
        RecordError : the file is damaged; the text says where.
        """
        path = local_path(path)
        data = map_file(path)
        blocks, walked = [], 0
        records = walk(data, path)
        with progress(f"indexing {os.path.basename(path)}", "B", len(data)) as bar:
            while len(block := np.fromiter(islice(records, BLOCK), np.int64)):
                blocks.append(block)
                bar.update(int(block[-1]) - walked)
                walked = int(block[-1])
        offsets = np.concatenate(blocks) if blocks else np.empty(0, np.int64)
        return cls(np.arange(len(offsets), dtype=np.int64), offsets)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an index file."""
        with create(local_path(path), "w") as file:
            for first in range(0, len(self), BLOCK):
                part = slice(first, first + BLOCK)
                pairs = zip(self.keys[part].tolist(), self.offsets[part].tolist(), strict=True)
                file.writelines(f"{key}\t{offset}\n" for key, offset in pairs)

    def find(self, key: Any) -> int:
        """The number of the record with a key; of several, the last.

        Raises
        ------
        KeyError : there is none.
        """
        if self.keys.dtype == object:
            if self._places is None:
                self._places = {key: number for number, key in enumerate(self.keys.tolist())}
            return self._places[key]
        if not isinstance(key, (int, np.integer)) or isinstance(key, bool):
            raise KeyError(key)
        keys, order = self._order()
        place = int(np.searchsorted(keys, key, side="right")) - 1
        if place < 0 or keys[place] != key:
            raise KeyError(key)
        return int(order[place])

    def _order(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The keys in ascending order, and the numbers of their records."""
        if self._sorted is None:
            if (self.keys[1:] > self.keys[:-1]).all():
                self._sorted = self.keys, np.arange(len(self.keys))
            else:
                order = np.argsort(self.keys, kind="stable")
                self._sorted = self.keys[order], order
        return self._sorted


class Keys(Sequence[Any]):
    """An index's keys, as the list that MXNet has: in the file's order, equal to a list of the same
    keys.
    """

    def __init__(self, index: Index) -> None:
        self._index = index

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, at: Any) -> Any:
        found = self._index.keys[at]
        return found.tolist() if isinstance(found, (np.ndarray, np.generic)) else found

    def __iter__(self) -> Iterator[Any]:
        return iter(self._index.keys.tolist())

    def __contains__(self, key: object) -> bool:
        return key in Offsets(self._index)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        keys = np.asarray(self._index.keys, dtype)
        return keys.copy() if copy else keys

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            repr(list(self))
            if len(self) <= 20
            else f"<{len(self)} keys from {self[0]} to {self[-1]}>"
        )


class Offsets(Mapping[Any, int]):
    """An index as the dict that MXNet has: key to offset; of several records with one key, the last
    counts.
    """

    def __init__(self, index: Index) -> None:
        self._index = index

    def __getitem__(self, key: Any) -> int:
        return int(self._index.offsets[self._index.find(key)])

    def __contains__(self, key: object) -> bool:
        try:
            self._index.find(key)
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[Any]:
        return iter(dict.fromkeys(self._index.keys.tolist()))

    def __len__(self) -> int:
        return len(set(self._index.keys.tolist()))

    def __repr__(self) -> str:
        return (
            repr(dict(self))
            if len(self._index) <= 20
            else f"<offsets of {len(self._index)} records>"
        )


def _blocks(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """A text in pieces of whole lines, each with the number of its first line."""
    line, rest = 1, b""
    while piece := file.read(PIECE):
        lines, newline, rest = (rest + piece).rpartition(b"\n")
        if newline:
            yield line, lines + newline
            line += lines.count(b"\n") + 1
    if rest:
        yield line, rest


def _numbers(block: bytes, path: str, first_line: int) -> NDArray[np.int64]:
    """Keys and offsets of some lines: int64 (lines, 2).

    All at once where every line is two numbers and one tab; line by line, for a precise error,
    where not.
    """
    text = np.frombuffer(block, np.uint8)
    marks = text[(text == ord("\t")) | (text == ord("\n"))]
    if not block.endswith(b"\n"):
        marks = np.append(marks, np.uint8(ord("\n")))
    plain = (
        len(marks) % 2 == 0
        and (marks[0::2] == ord("\t")).all()
        and (marks[1::2] == ord("\n")).all()
    )
    if plain and b" " not in block:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                found = np.fromstring(block, np.int64, sep=" ")
            except (DeprecationWarning, ValueError, OverflowError):
                found = np.empty(0, np.int64)
        # Numbers that are too large come out as the largest there is.
        if len(found) == len(marks) and found.max(initial=0) < np.iinfo(np.int64).max:
            return found.reshape(-1, 2)
    lines = block.splitlines(keepends=True)
    keys, offsets = _read_lines(lines, path, int, first_line)
    return np.array([keys, offsets], np.int64).T.reshape(-1, 2)


def _read_lines(
    lines: Any, path: str, key_type: KeyType, first_line: int = 1
) -> tuple[list[Any], list[int]]:
    keys, offsets = [], []
    for number, line in enumerate(lines, first_line):
        fields = line.decode("utf-8", "replace").strip().split("\t")
        try:
            if len(fields) < 2:
                raise ValueError("there is no tab in it")
            keys.append(key_type(fields[0]))
            offsets.append(int(fields[1]))
            if not 0 <= offsets[-1] < 1 << 63:
                raise ValueError("the offset is out of range")
            if key_type is int and not -(1 << 63) <= keys[-1] < 1 << 63:
                raise ValueError("the key is out of range")
        except ValueError as error:
            raise IndexFormatError(
                f"{path}, line {number}: expected a key, a tab and an offset, found {line[:60]!r} "
                f"({error}); rebuild the "
                "index with 'gpuio index'"
            ) from error
    return keys, offsets


def _objects(keys: list[Any]) -> NDArray[Any]:
    found = np.empty(len(keys), object)
    found[:] = keys
    return found
