"""Rows of parsed text files: so many at a time, from any place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpuio.errors import DataFileError, StateError
from gpuio.io.text.bad_line import BadLine
from gpuio.io.text.files import Block, TextFiles
from gpuio.loading.prefetch import Prefetcher

# Parsed blocks that wait for the caller at most, however large a batch is.
MOST_BLOCKS = 16

# What a block or a batch consists of: arrays or CSR matrices with the same number of rows.
Columns = tuple[Any, ...]


class RowReader:
    """Gives the rows of text files one run after another.

    Rows are views of parsed blocks; a run that spans blocks is copied together.

    Parameters
    ----------
    files : where the lines come from
    parse : turns a block's text into arrays of its rows; may raise BadLine
    skip : rows to leave out at the beginning
    ahead : rows that a thread parses ahead of the caller, at least; 0: no thread
    """

    def __init__(
        self,
        files: TextFiles,
        parse: Callable[[bytes], Columns],
        skip: int = 0,
        ahead: int = 0,
    ) -> None:
        self.files = files
        self._parse = parse
        self._skip = skip
        self._ahead = ahead
        self._from: list[int] = []
        self._blocks = _ParsedBlocks(files, parse, iter(()))
        self._thread: Prefetcher[_Parsed] | None = None
        self._block: Block | None = None
        self._columns: Columns = ()
        self._count = self._taken = self._to_skip = 0
        self.rewind()

    @property
    def at_end(self) -> bool:
        """Whether there is no further row. May read and parse a block.

        Raises
        ------
        DataFileError : the block cannot be read or parsed; the text has file, line and column.
        """
        while self._taken == self._count:
            found = self._blocks() if self._thread is None else self._thread.next()
            if found is None:
                return True
            self._block, self._columns = found
            self._count = self._columns[0].shape[0]
            self._taken = min(self._to_skip, self._count)
            self._to_skip -= self._taken
        return False

    def read(self, count: int) -> tuple[int, Columns]:
        """The next rows: how many, and they; fewer than `count` only at the end.

        Raises
        ------
        DataFileError : see `at_end`.
        """
        pieces: list[Columns] = []
        missing = count
        while missing and not self.at_end:
            if self._ahead and self._thread is None:
                self._start()
            taken, stop = self._taken, min(self._taken + missing, self._count)
            whole = taken == 0 and stop == self._count
            pieces.append(
                self._columns if whole else tuple(column[taken:stop] for column in self._columns)
            )
            self._taken = stop
            missing -= stop - taken
        return count - missing, joined(pieces)

    def rewind(self) -> None:
        """Go on from the beginning."""
        self.seek([*self.files.start, self._skip])

    def mark(self) -> list[int]:
        """The place of the next row, for `seek`: file, offset of a block, rows of the block."""
        if self._block is None:
            return list(self._from)
        return [self._block.file, self._block.offset, self._taken]

    def seek(self, mark: Sequence[int]) -> None:
        """Go on from a place.

        Raises
        ------
        StateError : there is no such place.
        """
        file, offset, rows = mark
        if not 0 <= file < len(self.files.paths) or offset < 0 or rows < 0:
            raise StateError(f"there is no place {list(mark)} in {', '.join(self.files.paths)}")
        self._stop()
        self._from = [file, offset, rows]
        self._blocks = _ParsedBlocks(self.files, self._parse, self.files.blocks(file, offset))
        self._block = None
        self._columns = ()
        self._count = self._taken = 0
        self._to_skip = rows

    def close(self) -> None:
        """Stop the thread and close the file that is being read. May be called twice."""
        self._stop()
        self._blocks = _ParsedBlocks(self.files, self._parse, iter(()))
        self._columns = ()

    def _start(self) -> None:
        """Let a thread parse the blocks that follow."""
        depth = min(1 + self._ahead // max(1, self._count), MOST_BLOCKS)
        self._thread = Prefetcher(self._blocks, depth, "gpuio-text")

    def _stop(self) -> None:
        if self._thread is not None:
            self._thread.stop()
            self._thread = None


class _Parsed(NamedTuple):
    block: Block
    columns: Columns


class _ParsedBlocks:
    """Reads and parses one block after another; None at the end."""

    def __init__(
        self, files: TextFiles, parse: Callable[[bytes], Columns], blocks: Iterator[Block]
    ) -> None:
        self._files = files
        self._parse = parse
        self._blocks = blocks

    def __call__(self) -> _Parsed | None:
        block = next(self._blocks, None)
        if block is None:
            return None
        try:
            return _Parsed(block, self._parse(block.text))
        except BadLine as bad:
            column = "" if bad.column is None else f", column {bad.column + 1}"
            raise DataFileError(
                f"{self._files.locate(block, bad.line)}{column}: {bad.reason}"
            ) from None


def joined(pieces: list[Columns]) -> Columns:
    """Runs of rows as one."""
    if len(pieces) < 2:
        return pieces[0] if pieces else ()
    return tuple(_joined(column) for column in zip(*pieces, strict=True))


def _joined(pieces: Sequence[Any]) -> Any:
    if isinstance(pieces[0], np.ndarray):
        return np.concatenate(pieces)
    import scipy.sparse

    return scipy.sparse.vstack(pieces, format="csr")
