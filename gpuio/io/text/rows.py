"""Rows of parsed text files: any number at a time, from any position."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from gpuio.errors import DataFileError, StateError
from gpuio.io.text.bad_line import BadLine
from gpuio.io.text.files import Block, TextFiles
from gpuio.loading.prefetch import Prefetcher
from gpuio.nd.types import Untyped

# Parsed blocks to prefetch at most, however large a batch is.
MAX_BLOCKS = 16

# The contents of a block or a batch: NumPy arrays or SciPy CSR matrices with the same number of
# rows.
Columns: TypeAlias = tuple[Untyped, ...]


class RowReader:
    """Reads the rows of text files sequentially.

    Rows are views of parsed blocks; rows that span blocks are copied.

    Parameters
    ----------
    files : the files to read
    parse : parses a block's text into arrays of its rows; may raise BadLine
    skip : rows to skip at the beginning
    prefetch : the least number of rows that a thread parses ahead of the caller; 0: no thread
    """

    def __init__(
        self,
        files: TextFiles,
        parse: Callable[[bytes], Columns],
        skip: int = 0,
        prefetch: int = 0,
    ) -> None:
        self.files = files
        self._parse = parse
        self._skip = skip
        self._prefetch = prefetch
        self._start: list[int] = []
        self._blocks: Iterator[_Parsed] = iter(())
        self._thread: Prefetcher[_Parsed] | None = None
        self._block: Block | None = None
        self._columns: Columns = ()
        self._count = self._taken = self._to_skip = 0
        self.rewind()

    @property
    def at_end(self) -> bool:
        """Whether there are no more rows. May read and parse a block.

        Raises
        ------
        DataFileError : the block cannot be read or parsed; the message has file, line and column.
        """
        while self._taken == self._count:
            if self._thread is not None and self._thread.stopped:
                self.seek(self.mark())  # a signal handler raised before it was dropped
            try:
                found = next(self._blocks, None) if self._thread is None else self._thread.next()
            except BaseException:
                self.seek(self.mark())  # the next call retries
                raise
            if found is None:
                return True
            self._block, self._columns = found
            self._count = self._columns[0].shape[0]
            self._taken = min(self._to_skip, self._count)
            self._to_skip -= self._taken
        return False

    def read(self, count: int) -> tuple[int, Columns]:
        """The next rows: their number and their columns; fewer than `count` only at the end.

        Raises
        ------
        DataFileError : see `at_end`.
        """
        pieces: list[Columns] = []
        missing = count
        while missing and not self.at_end:
            if self._prefetch and self._thread is None:
                self._start_thread()
            taken, stop = self._taken, min(self._taken + missing, self._count)
            whole = taken == 0 and stop == self._count
            pieces.append(
                self._columns if whole else tuple(column[taken:stop] for column in self._columns)
            )
            self._taken = stop
            missing -= stop - taken
        return count - missing, concatenate(pieces)

    def rewind(self) -> None:
        """Return to the beginning."""
        self.seek([*self.files.start, self._skip])

    def mark(self) -> list[int]:
        """The position of the next row, for `seek`: file, offset of a block, row in the block."""
        if self._block is None:
            return list(self._start)
        return [self._block.file, self._block.offset, self._taken + self._to_skip]

    def check(self, mark: Sequence[int], row: int) -> None:
        """Check a position as far as that is possible without reading what comes before it.

        Parameters
        ----------
        row : the number of rows before it

        Raises
        ------
        StateError : there is no such position.
        DataFileError : the file cannot be read.
        """
        file, offset, rows = mark
        if rows > row + self._skip or not self.files.is_line_start(file, offset):
            raise StateError(
                f"there is no row {row} at position {list(mark)} in {', '.join(self.files.paths)}"
            )

    def seek(self, mark: Sequence[int]) -> None:
        """Move to a position.

        Raises
        ------
        StateError : there is no such position.
        """
        file, offset, rows = mark
        if not 0 <= file < len(self.files.paths) or offset < 0 or rows < 0:
            raise StateError(f"there is no position {list(mark)} in {', '.join(self.files.paths)}")
        self._stop_thread()
        self._start = [file, offset, rows]
        self._blocks = _parsed(self.files, self._parse, file, offset)
        self._block = None
        self._columns = ()
        self._count = self._taken = 0
        self._to_skip = rows

    def close(self) -> None:
        """Stop the thread and close the files. May be called twice."""
        self.files.close()  # first, as the thread may wait for them
        self._stop_thread()
        self._blocks = iter(())
        self._columns = ()

    def _start_thread(self) -> None:
        """Let a thread parse the blocks that follow."""
        depth = min(1 + self._prefetch // max(1, self._count), MAX_BLOCKS)
        self._thread = Prefetcher(functools.partial(next, self._blocks, None), depth, "gpuio-text")

    def _stop_thread(self) -> None:
        if self._thread is not None:
            self._thread.stop()
            self._thread = None


class _Parsed(NamedTuple):
    block: Block
    columns: Columns


def _parsed(
    files: TextFiles, parse: Callable[[bytes], Columns], file: int, offset: int
) -> Iterator[_Parsed]:
    """Read and parse the blocks from a position on."""
    for block in files.blocks(file, offset):
        try:
            yield _Parsed(block, parse(block.text))
        except BadLine as bad:
            column = "" if bad.column is None else f", column {bad.column + 1}"
            raise DataFileError(f"{files.locate(block, bad.line)}{column}: {bad.reason}") from None


def concatenate(pieces: Sequence[Columns]) -> Columns:
    """Concatenate the rows of several pieces, column by column."""
    if len(pieces) < 2:
        return pieces[0] if pieces else ()
    return tuple(_concatenate(column) for column in zip(*pieces, strict=True))


def _concatenate(pieces: Sequence[Untyped]) -> Untyped:
    if isinstance(pieces[0], np.ndarray):
        return np.concatenate(pieces)
    import scipy.sparse

    return scipy.sparse.vstack(pieces, format="csr")
