"""Text files as blocks of whole lines, in bounded memory."""

from __future__ import annotations

import bz2
import functools
import gzip
import hashlib
import itertools
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, NamedTuple, cast

from gpuio.errors import (
    ArgumentError,
    DataFileError,
    DataFileNotFoundError,
    RecordFileNotFoundError,
    UnsupportedError,
)
from gpuio.recordio.file_kind import SIGNATURE_BYTES, name_of_binary
from gpuio.storage.local import Path
from gpuio.storage.remote.opening import any_remote, list_folder, location, open_each
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.sequential import SequentialFile
from gpuio.storage.remote.url import is_folder, is_remote

# Bytes per read. Larger blocks exceed the CPU caches; in smaller ones the overhead per block shows.
BLOCK = 4 << 20

# How long a line may be, in bytes: so much, and more for each field, separators and white space
# included; but never longer than the last. What a line costs to read is so bounded.
LINE_BYTES, FIELD_BYTES, LONGEST_LINE = 1 << 20, 64, 256 << 20

# Bytes of a header that are read at a time.
PIECE = 1 << 20

BOM, UTF16_BOMS = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")

DECOMPRESSORS: dict[str, Callable[[IO[bytes]], object]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}


class Block(NamedTuple):
    """Several whole lines of a file.

    Attributes
    ----------
    text : the lines; the file's last may lack its line end
    file : index of the file
    offset : where the block begins, in bytes of the (decompressed) file
    """

    text: bytes
    file: int
    offset: int


class TextFiles:
    """The lines of one or several text files, local or remote.

    Files whose names end in ``.gz``, ``.bz2`` or ``.xz`` are decompressed. A byte order mark is
    skipped.

    Parameters
    ----------
    uri : a file; several, as a sequence or joined by ";"; or a directory, all of whose files are
        read in the order of their names. Each may be a URL; that of a directory ends with "/"
    what : the argument's name, for errors
    skip_header : lines to skip at the beginning of each file
    part, parts : the bytes are divided into `parts` equal ranges, and a line belongs to the range
        in which it begins
    fields : the most fields that a line should have, which bounds its length
    remote : how remote files are reached and cached; None: by the default options

    Attributes
    ----------
    paths : the files; URLs without secrets

    Raises
    ------
    DataFileNotFoundError : a file does not exist.
    DataFileError : a file cannot be read, or is binary or in UTF-16.
    UnsupportedError : a compressed file cannot be divided into parts.
    RemoteError, FileChangedError : a remote file cannot be read, or has changed since it was
        opened; also later.
    """

    def __init__(
        self,
        uri: Path | Sequence[Path],
        what: str,
        skip_header: int = 0,
        part: int = 0,
        parts: int = 1,
        fields: int = LONGEST_LINE,
        remote: RemoteOptions | None = None,
    ) -> None:
        self._fields = fields
        self._longest = min(LINE_BYTES + FIELD_BYTES * fields, LONGEST_LINE)
        self._files = _open_files(_paths(uri, what, remote), what, remote)
        self.paths = tuple(file.path for file in self._files)
        self.begins = open_each(
            functools.partial(_body, skip_header=skip_header),
            self._files,
            any_remote(self.paths),
        )
        self._bodies = list(self.begins)
        # Of compressed files, the decompressor knows whether the end is missing.
        self._sizes = [0 if _is_compressed(file.path) else file.size() for file in self._files]
        self._ends: list[int | None] = [None] * len(self.paths)
        if parts > 1:
            self._select_part(part, parts)

    @property
    def start(self) -> tuple[int, int]:
        """Where the first block begins: file index and offset."""
        return 0, self.begins[0]

    def blocks(self, file: int, offset: int) -> Iterator[Block]:
        """The blocks from a position on.

        Raises
        ------
        DataFileError : a file cannot be read, or has become shorter, or a line is too long.
        """
        while file < len(self.paths):
            path = self.paths[file]
            try:
                opened = self._files[file]
                for text in _blocks(opened, offset, self._ends[file], self._longest):
                    block = Block(text, file, offset)
                    self._check_lines(block)
                    if not text.endswith(b"\n"):
                        self._check_end(file, offset + len(text))
                    yield block
                    offset += len(text)
                self._check_end(file, offset)
            except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
                raise DataFileError(f"{path} cannot be read: {error}") from error
            file += 1
            if file < len(self.paths):
                offset = self.begins[file]

    def _check_end(self, file: int, offset: int) -> None:
        """Raise if the last bytes of a file or a part are missing."""
        end = self._ends[file]
        expected = self._sizes[file] if end is None else end
        if offset < expected:
            raise DataFileError(
                f"{self.paths[file]} ends after {offset} bytes, and had {expected} when it was "
                "opened; it has been truncated or replaced"
            )

    def is_line_start(self, file: int, offset: int) -> bool:
        """Whether a line of this part begins at an offset, or the part ends there. In a compressed
        file, all that comes before would have to be read: any offset may be one.

        Raises
        ------
        DataFileError : the file cannot be read.
        """
        if not 0 <= file < len(self.paths) or offset < self.begins[file]:
            return False
        path, end = self.paths[file], self._ends[file]
        if offset == self.begins[file] or _is_compressed(path):
            return True
        try:
            with self._files[file].open(little=True) as opened:
                if offset > (opened.seek(0, os.SEEK_END) if end is None else end):
                    return False
                opened.seek(offset - 1)
                return opened.read(1) == b"\n"
        except OSError as error:
            raise DataFileError(f"{path} cannot be read: {error}") from error

    def _check_lines(self, block: Block) -> None:
        """Raise if a line is longer than its fields can be."""
        text, longest, begin = block.text, self._longest, 0
        while len(text) - begin > longest:
            end = text.rfind(b"\n", begin, begin + longest + 1)
            if end < 0:
                place = self.locate(block, text.count(b"\n", 0, begin))
                raise DataFileError(
                    f"{place}: the line has more than {longest} bytes, expected at most "
                    f"{self._fields} field{'s' * (self._fields != 1)}; is it a text file, with "
                    "line ends?"
                )
            begin = end + 1

    def locate(self, block: Block, line: int) -> str:
        """A line's file and number (from 1), for messages; `line` counts from 0 in the block."""
        before = 0
        for text in _blocks(self._files[block.file], 0, block.offset):
            before += text.count(b"\n")
        return f"{self.paths[block.file]}, line {before + line + 1}"

    def lines_before(self) -> int:
        """Number of lines before this part, without blank ones and comments ("#")."""
        count = 0
        for file, body, end in zip(self._files, self._bodies, self.begins, strict=True):
            count += sum(
                sum(1 for line in text.split(b"\n") if line.partition(b"#")[0].strip())
                for text in _blocks(file, body, end)
            )
        return count

    def fingerprint(self) -> str:
        """Dataset fingerprint: the files' sizes, byte ranges, and first bytes or the store's name
        for the content.
        """
        digest = hashlib.blake2b(digest_size=8)
        for file, begin, end in zip(self._files, self.begins, self._ends, strict=True):
            if file.version is None:
                with file.open(little=True) as content:
                    digest.update(content.read(1 << 16))
            else:
                digest.update(file.version.encode("utf-8", "surrogateescape"))
            digest.update(f"{file.size()} {begin} {end}".encode())
        return digest.hexdigest()

    def close(self) -> None:
        """Have threads raise that wait for remote files, which can then no longer be read. May be
        called repeatedly.
        """
        for file in self._files:
            file.close()

    def _select_part(self, part: int, parts: int) -> None:
        """Restrict the files to the lines of one part."""
        for path in self.paths:
            if _is_compressed(path):
                raise UnsupportedError(
                    f"{path}: a compressed file cannot be divided into parts; decompress it first"
                )
        sizes = [file.size() for file in self._files]
        low, high = (sum(sizes) * number // parts for number in (part, part + 1))
        first = 0
        for file, (opened, size) in enumerate(zip(self._files, sizes, strict=True)):
            self.begins[file], self._ends[file] = (
                max(self.begins[file], _line_start(opened, min(max(at - first, 0), size)))
                for at in (low, high)
            )
            first += size


def _paths(uri: Path | Sequence[Path], what: str, remote: RemoteOptions | None) -> tuple[str, ...]:
    """The files that an argument names; local ones exist."""
    if isinstance(uri, (str, bytes, os.PathLike)):
        text = os.fspath(uri)
        if not isinstance(text, str):
            raise TypeError(f"{what} must be a string or a path, not bytes")
        names = [name for name in text.split(";") if name]
    elif isinstance(uri, Sequence):
        names = [os.fspath(name) for name in uri]
    else:
        raise TypeError(f"{what} must be a path or a sequence of them, not {type(uri).__name__}")
    found: list[str] = []
    for name in names:
        path = location(name, what)
        if is_remote(path):
            found += list_folder(path, "", remote) if is_folder(path) else [path]
        elif os.path.isdir(path):
            inside = (os.path.join(path, entry) for entry in sorted(os.listdir(path)))
            found += [entry for entry in inside if os.path.isfile(entry)]
        elif os.path.exists(path):
            found.append(path)
        else:
            raise DataFileNotFoundError(f"{what}: {path} does not exist")
    if not found:
        raise ArgumentError(f"{what}: {uri!r} names no file")
    return tuple(found)


def _open_files(
    paths: Sequence[str], what: str, remote: RemoteOptions | None
) -> list[SequentialFile]:
    try:
        return open_each(lambda path: SequentialFile(path, remote), paths, any_remote(paths))
    except RecordFileNotFoundError as error:
        raise DataFileNotFoundError(f"{what}: {error}") from error


def _is_compressed(path: str) -> bool:
    return os.path.splitext(path)[1] in DECOMPRESSORS


@contextmanager
def _open(opened: SequentialFile, little: bool = False) -> Iterator[IO[bytes]]:
    """Open a file at its beginning, decompressed; see `SequentialFile.open`."""
    with opened.open(little) as file:
        decompress = DECOMPRESSORS.get(os.path.splitext(opened.path)[1])
        if decompress is None:
            yield file
            return
        with cast("IO[bytes]", decompress(file)) as content:
            yield content


def _body(opened: SequentialFile, skip_header: int) -> int:
    """Offset of the first line after the byte order mark and the header."""
    path = opened.path
    try:
        with _open(opened, little=True) as file:
            first = file.read(SIGNATURE_BYTES)
            name = "text in UTF-16" if first.startswith(UTF16_BOMS) else name_of_binary(first)
            if name is not None:
                raise DataFileError(f"{path} is {name}, not text in ASCII or UTF-8; convert it")
            begin = len(BOM) if first.startswith(BOM) else 0
            file.seek(begin)
            lines = iter(functools.partial(_line_bytes, file), 0)
            return begin + sum(itertools.islice(lines, min(skip_header, sys.maxsize)))
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataFileError(f"{path} cannot be read: {error}") from error


def _line_bytes(file: IO[bytes]) -> int:
    """Read a line of any length; returns its length, with its end."""
    length = 0
    while piece := file.readline(PIECE):
        length += len(piece)
        if piece.endswith(b"\n"):
            break
    return length


def _line_start(opened: SequentialFile, offset: int) -> int:
    """Offset of the first line that begins at `offset` or later."""
    if offset == 0:
        return 0
    with opened.open(little=True) as file:
        file.seek(offset - 1)
        return offset - 1 + _line_bytes(file)


def _blocks(
    opened: SequentialFile, begin: int, end: int | None, longest: int = LONGEST_LINE
) -> Iterator[bytes]:
    """The bytes from `begin` to `end`, in blocks that end at line ends, or after `longest` bytes
    without one.
    """
    with _open(opened) as file:
        file.seek(begin)
        left = sys.maxsize if end is None else end - begin
        while left and (text := file.read(min(BLOCK, left))):
            if not text.endswith(b"\n"):
                text += file.readline(min(longest + 1, left - len(text)))
            left -= len(text)
            yield text
