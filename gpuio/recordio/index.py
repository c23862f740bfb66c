"""The index of a record file: keys and offsets, in two arrays.

An index is a text file with one line per record: the key, a tab, and the offset of the record's
first byte.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from itertools import islice
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import IndexFormatError, RecordFileNotFoundError
from gpuio.progress import progress
from gpuio.recordio.diagnosis import explain
from gpuio.recordio.file_kind import name_of_non_index
from gpuio.recordio.framing import FramingError, walk
from gpuio.storage.local import Path
from gpuio.storage.remote.opening import in_sequence, location, open_file, open_stream
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.replacing import replacing
from gpuio.storage.remote.url import shown

Key: TypeAlias = Any  # int, or whatever key_type returns; hashable
KeyArray: TypeAlias = NDArray[Any]  # int64, or object if key_type is not int
KeyType: TypeAlias = Callable[[str], Hashable]

# The file is read in pieces of this many bytes, so that a large index needs little more memory than
# its two arrays.
PIECE = 1 << 22

# Records between two updates of the progress bar.
BLOCK = 1 << 14


class Index:
    """Keys and offsets of the records of a file.

    Parameters
    ----------
    keys : int64 (n,), or object (n,) if the keys are not integers; not necessarily unique
    offsets : int64 (n,), in bytes

    Attributes
    ----------
    keys, offsets : the arguments
    """

    def __init__(self, keys: KeyArray, offsets: NDArray[np.int64]) -> None:
        self.keys = keys
        self.offsets = offsets
        self._sorted: tuple[KeyArray, NDArray[np.int64]] | None = None
        self._positions: dict[Hashable, int] | None = None
        self._ascending: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.offsets)

    @classmethod
    def load(
        cls, path: Path, key_type: KeyType = int, remote: RemoteOptions | None = None
    ) -> Index:
        """Read an index file.

        Parameters
        ----------
        path : the file, or its URL
        key_type : converts a string to a key
        remote : how a remote file is reached and cached; None: by the default options

        Raises
        ------
        RecordFileNotFoundError : the file does not exist.
        IndexFormatError : a line is malformed.
        """
        where = location(path)
        path = shown(where)
        try:
            with open_stream(where, remote) as file:
                if key_type is not int:
                    keys, offsets = _read_lines(file, path, key_type)
                    return cls(_objects(keys), np.array(offsets, np.int64))
                blocks = [_numbers(block, path, line) for line, block in _blocks(file)]
        except IndexFormatError as error:
            name = name_of_non_index(open_file(where, remote))
            if name is None:
                raise
            raise IndexFormatError(f"{path} is {name}, not an index") from error
        except (FileNotFoundError, IsADirectoryError) as error:
            raise RecordFileNotFoundError(
                f"the index {path} does not exist; make it with 'gpuio index', or open the records "
                "without an index"
            ) from error
        if not blocks:
            return cls(np.empty(0, np.int64), np.empty(0, np.int64))
        return cls(*(np.concatenate([block[:, column] for block in blocks]) for column in (0, 1)))

    @classmethod
    def build(cls, path: Path, remote: RemoteOptions | None = None) -> Index:
        """Build the index of a record file by scanning its records; the keys are 0, 1, 2, …

        A remote file is fetched as a whole, which an index next to it would save.

        Parameters
        ----------
        path : the file, or its URL
        remote : how a remote file is reached and cached; None: by the default options

        Raises
        ------
        RecordError : the file is damaged; the message says where.
        FileChangedError : it has become shorter.
        """
        data = open_file(path, remote)
        path = data.path
        blocks, walked = [], 0
        records = walk(in_sequence(data, remote), path)
        with progress(f"indexing {os.path.basename(path)}", "B", len(data)) as bar:
            try:
                while len(block := np.fromiter(islice(records, BLOCK), np.int64)):
                    blocks.append(block)
                    bar.update(int(block[-1]) - walked)
                    walked = int(block[-1])
            except FramingError as error:
                raise explain(error, data, path) from error
        offsets = np.concatenate(blocks) if blocks else np.empty(0, np.int64)
        return cls(np.arange(len(offsets), dtype=np.int64), offsets)

    def save(self, path: Path, remote: RemoteOptions | None = None) -> None:
        """Write an index file, at a path or a URL; an existing one is replaced when the new one is
        complete.
        """
        with replacing(path, "wb", remote) as file:
            self.write(file)

    def write(self, file: IO[bytes]) -> None:
        """Write the lines of an index file."""
        for first in range(0, len(self), BLOCK):
            part = slice(first, first + BLOCK)
            pairs = zip(self.keys[part].tolist(), self.offsets[part].tolist(), strict=True)
            lines = "".join(f"{key}\t{offset}\n" for key, offset in pairs)
            file.write(lines.encode("utf-8", "surrogateescape"))

    def find(self, key: Hashable) -> int:
        """Position in the index of the record with a key; of several records, the last.

        Raises
        ------
        KeyError : there is no such key.
        """
        if self.keys.dtype == object:
            if self._positions is None:
                self._positions = {key: number for number, key in enumerate(self.keys.tolist())}
            return self._positions[key]
        number = _as_integer(key)
        if number is None:
            raise KeyError(key)
        keys, order = self._order()
        at = int(np.searchsorted(keys, number, side="right")) - 1
        if at < 0 or keys[at] != number:
            raise KeyError(key)
        return int(order[at])

    def following(self, offset: int) -> int | None:
        """The offset of the next record in the file; None: it is the last."""
        if self._ascending is None:
            ascending = bool((self.offsets[1:] > self.offsets[:-1]).all())
            self._ascending = self.offsets if ascending else np.sort(self.offsets)
        at = int(np.searchsorted(self._ascending, offset, side="right"))
        return int(self._ascending[at]) if at < len(self._ascending) else None

    def _order(self) -> tuple[KeyArray, NDArray[np.int64]]:
        """The keys in ascending order, and their positions in the index."""
        if self._sorted is None:
            if (self.keys[1:] > self.keys[:-1]).all():
                self._sorted = self.keys, np.arange(len(self.keys))
            else:
                order = np.argsort(self.keys, kind="stable")
                self._sorted = self.keys[order], order
        return self._sorted


class Offsets(Mapping[Key, int]):
    """View of an index that behaves like MXNet's dict from key to offset; of several records with
    the same key, the last counts.
    """

    def __init__(self, index: Index) -> None:
        self._index = index

    def __getitem__(self, key: Hashable) -> int:
        return int(self._index.offsets[self._index.find(key)])

    def __contains__(self, key: Hashable) -> bool:
        try:
            self._index.find(key)
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[Key]:
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
    """Split a file into blocks of complete lines, each with the number of its first line."""
    line, rest = 1, b""
    while piece := file.read(PIECE):
        lines, newline, rest = (rest + piece).rpartition(b"\n")
        if newline:
            yield line, lines + newline
            line += lines.count(b"\n") + 1
    if rest:
        yield line, rest


def _numbers(block: bytes, path: str, first_line: int) -> NDArray[np.int64]:
    """Parse keys and offsets: int64 (lines, 2).

    All lines at once if each is two numbers and one tab; otherwise line by line, for a precise
    error.
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
    # NumPy takes a sign without digits for 0.
    if plain and not any(sign in block for sign in (b" ", b"+", b"-")):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                found = np.fromstring(block, np.int64, sep=" ")
            except (DeprecationWarning, ValueError, OverflowError):
                found = np.empty(0, np.int64)
        # Numbers out of range are parsed as the largest int64.
        if len(found) == len(marks) and found.max(initial=0) < np.iinfo(np.int64).max:
            return found.reshape(-1, 2)
    lines = block.splitlines(keepends=True)
    keys, offsets = _read_lines(lines, path, int, first_line)
    return np.array([keys, offsets], np.int64).T.reshape(-1, 2)


def _read_lines(
    lines: Iterable[bytes], path: str, key_type: KeyType, first_line: int = 1
) -> tuple[list[Key], list[int]]:
    keys: list[Key] = []
    offsets: list[int] = []
    for number, line in enumerate(lines, first_line):
        fields = line.decode("utf-8", "surrogateescape").strip().split("\t")
        try:
            if len(fields) < 2:
                raise ValueError("there is no tab")
            keys.append(key_type(fields[0]))
            offsets.append(int(fields[1]))
            if not 0 <= offsets[-1] < 1 << 63:
                raise ValueError("the offset is out of range")
            if key_type is int and not -(1 << 63) <= keys[-1] < 1 << 63:
                raise ValueError("the key is out of range")
        except ValueError as error:
            raise IndexFormatError(
                f"{path}, line {number}: expected a key, a tab and an offset, found {line[:60]!r} "
                f"({error}); make a new index with 'gpuio index --force'"
            ) from error
    return keys, offsets


def _as_integer(key: Hashable) -> int | None:
    """The int64 that a number equals, as a dict would find it: 3.0 is 3; None if there is none."""
    if isinstance(key, (float, np.floating)) and float(key).is_integer():
        key = int(key)
    if isinstance(key, (int, np.integer)) and -(1 << 63) <= key < 1 << 63:
        return int(key)
    return None


def _objects(keys: list[Key]) -> KeyArray:
    """Keys as an object array (n,)."""
    found = np.empty(len(keys), object)
    found[:] = keys
    return found
