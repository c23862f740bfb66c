"""Stream of batches of text files, whose number of rows is not known in advance."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from gpuio.errors import ArgumentError, DataFileError, Error, StateError
from gpuio.io.array_sources import Rows
from gpuio.io.text.rows import Columns, RowReader, concatenate
from gpuio.loading.batch import LoadedBatch
from gpuio.loading.outcome import CLOSED_MEANWHILE
from gpuio.loading.states import as_integer, as_items, flag, integer, items
from gpuio.loading.stream import CLOSED, State
from gpuio.sampling.order import LAST_BATCH_MODES


class _Position(NamedTuple):
    """A position between two batches.

    Attributes
    ----------
    epoch : the number of the epoch
    row : the index of the next row
    begun : whether a batch of the epoch has been handed out
    carrying : whether the epoch begins with rows of the one before
    ended : whether the epoch has no further batch
    places : the marks of the readers, see `RowReader.mark`
    """

    epoch: int
    row: int
    begun: bool
    carrying: bool
    ended: bool
    places: list[list[int]]

    def contradiction(self, last_batch: str) -> str:
        """What is wrong with the epoch, if the values contradict each other."""
        may_begin_here = (
            not self.row
            or (self.epoch > 0 and last_batch == "wrap")
            or (self.epoch > 0 and last_batch == "roll_over" and self.carrying)
        )
        if self.begun and not self.row:
            return "has begun, but no row has been read"
        if not self.begun and not may_begin_here:
            return "has not begun, but rows have been read"
        if self.ended and not self.begun:
            return "has ended, but not begun"
        if self.carrying and (self.begun or not self.row):
            return "cannot begin with rows of the one before"
        return ""


class TextStream:
    """Batches of the rows of text files, in the files' order, epoch after epoch.

    `last_batch` means what it does for `Order`, which needs the number of rows in advance.

    Parameters
    ----------
    readers : the readers of a batch's columns, by the names of the arguments with their files; all
        must have as many rows as the first
    assemble : makes a batch's data and labels of the columns of all readers
    batch_size : rows in a batch
    last_batch : "wrap", "pad", "discard" or "roll_over", see `Order`
    whole : whether the readers read whole files, and must end together

    Raises
    ------
    DataFileError : the files have no rows, or the first rows cannot be read.
    """

    state_fields = (*_Position._fields, "checksum")

    def __init__(
        self,
        readers: dict[str, RowReader],
        assemble: Callable[[Columns], tuple[list[Rows], list[Rows]]],
        batch_size: int,
        last_batch: str,
        whole: bool = True,
    ) -> None:
        assert last_batch in LAST_BATCH_MODES
        self._names = list(readers)
        self._readers = list(readers.values())
        self._assemble = assemble
        self._batch_size = batch_size
        self._last_batch = last_batch
        self._whole = whole
        self._row = 0  # index of the readers' next row
        # Assigned when a batch is complete: also what is saved while one is being made.
        self._position = _Position(0, 0, False, False, False, self._marks())
        self._closed = False
        if self._readers[0].at_end:
            paths = ", ".join(self._readers[0].files.paths)
            raise DataFileError(f"{self._names[0]}: {paths} has no rows")

    @property
    def epoch(self) -> int:
        """The number of the current epoch, from 0."""
        return self._position.epoch

    @property
    def ended(self) -> bool:
        """Whether the current epoch is known to have ended."""
        return self._position.ended

    def next(self) -> LoadedBatch | None:
        """The next batch; None at the end of the epoch. After a failure, the next call retries."""
        if self._closed:
            raise Error(CLOSED)
        if self.ended:
            return None
        before = self._position
        try:
            batch = self._next(before)
        except BaseException as error:
            self._move(before)
            if self._closed and isinstance(error, Exception):
                raise Error(CLOSED_MEANWHILE) from error
            raise
        finally:
            if self._closed:
                self._close_readers()  # `close` came before they were opened
        if self._closed:
            raise Error(CLOSED_MEANWHILE)
        return batch

    def reset(self) -> None:
        """Begin the next epoch, as `Stream` says."""
        before = self._position
        if not (before.begun or before.ended):
            return
        continues = before.ended and self._last_batch in ("wrap", "roll_over")
        try:
            if not continues or self._readers[0].at_end:
                self._rewind()
            carrying = continues and self._last_batch == "roll_over" and self._row > 0
            self._position = _Position(
                before.epoch + 1, self._row, False, carrying, False, self._marks()
            )
        except BaseException:
            self._move(before)
            raise

    def state(self) -> State:
        """Save the position."""
        position = self._position
        return {
            **position._asdict(),
            "places": [list(place) for place in position.places],
            "checksum": _checksum(position),
        }

    def check(self, state: State) -> None:
        """Check a saved position; see `Stream.check`. The files are looked at only where the
        position is.
        """
        position = self._saved(state)
        for reader, place in zip(self._readers, position.places, strict=True):
            reader.check(place, position.row)

    def restore(self, state: State) -> None:
        """Restore a saved position."""
        self._move(self._saved(state))

    def close(self) -> None:
        """Close the files. May be called twice."""
        self._closed = True
        self._close_readers()

    def wake(self, interruptions: Mapping[int, str]) -> None:
        """Do nothing: `next` waits no longer than it takes to parse a batch."""

    def _close_readers(self) -> None:
        for reader in self._readers:
            reader.close()

    def _saved(self, state: State) -> _Position:
        """The position that a state holds."""
        position = _Position(
            integer(state, "epoch"),
            integer(state, "row"),
            flag(state, "begun"),
            flag(state, "carrying"),
            flag(state, "ended"),
            [
                [as_integer("places", number) for number in as_items("places", place, 3)]
                for place in items(state, "places", len(self._readers))
            ],
        )
        # To compare the row with the places, all lines before them would have to be read; nor is it
        # known where the epoch ends. States of earlier versions have no checksum.
        if "checksum" in state and integer(state, "checksum") != _checksum(position):
            raise StateError(
                f"the state's row {position.row}, its places {position.places} and its other "
                "values do not belong together"
            )
        if wrong := position.contradiction(self._last_batch):
            raise StateError(f"by the state, epoch {position.epoch} at row {position.row} {wrong}")
        return position

    def _next(self, before: _Position) -> LoadedBatch | None:
        size, first = self._batch_size, before.row
        count, columns = self._read(size)
        last = count < size and not before.carrying
        if last:
            self._check_rows(self._row)
            if self._last_batch == "roll_over":
                self._seek(first, before.places)
            if count == 0 or self._last_batch in ("discard", "roll_over"):
                self._position = before._replace(row=self._row, ended=True, places=self._marks())
                return None
        index = np.arange(first, first + size, dtype=np.uint64)
        if count < size:
            index[count:] = np.arange(size - count) % self._row
            columns = self._fill(columns, size - count)
        ended = last or self._readers[0].at_end
        data, label = self._assemble(columns)
        self._position = _Position(before.epoch, self._row, True, False, ended, self._marks())
        return LoadedBatch(data, label, size - count if last else 0, index)

    def _fill(self, columns: Columns, missing: int) -> Columns:
        """Append the files' first rows, repeatedly if there are too few."""
        pieces = [columns] if columns else []
        while missing:
            self._rewind()
            count, more = self._read(missing)
            pieces.append(more)
            missing -= count
        return concatenate(pieces)

    def _check_rows(self, rows: int) -> None:
        """Raise if the batch size does not suit the number of rows, now that it is known."""
        size = self._batch_size
        if self._last_batch in ("discard", "roll_over") and rows < size:
            raise ArgumentError(
                f"a batch of {size} rows is never full with {rows} rows and "
                f"last_batch_handle={self._last_batch!r}; use a smaller batch_size, or 'pad'"
            )
        if self._last_batch == "wrap" and 2 * rows < size:
            raise ArgumentError(
                f"with round_batch=True a batch of {size} rows needs at least half as many, and "
                f"there are {rows}; use a smaller batch_size, or round_batch=False"
            )

    def _read(self, count: int) -> tuple[int, Columns]:
        """The next rows of all readers, column by column; fewer than `count` at the end."""
        found, columns = self._readers[0].read(count)
        for reader, name in zip(self._readers[1:], self._names[1:], strict=True):
            found_here, more = reader.read(found)
            if found_here < found:
                raise DataFileError(
                    f"{name}: {', '.join(reader.files.paths)} ends after "
                    f"{self._row + found_here} rows, and {self._names[0]} has more"
                )
            if self._whole and self._readers[0].at_end and not reader.at_end:
                raise DataFileError(
                    f"{name}: {', '.join(reader.files.paths)} has more than the "
                    f"{self._row + found} rows of {self._names[0]}"
                )
            columns += more
        self._row += found
        return found, columns

    def _rewind(self) -> None:
        self._row = 0
        for reader in self._readers:
            reader.rewind()

    def _marks(self) -> list[list[int]]:
        return [reader.mark() for reader in self._readers]

    def _move(self, position: _Position) -> None:
        self._seek(position.row, position.places)
        self._position = position

    def _seek(self, row: int, places: list[list[int]]) -> None:
        self._row = row
        for reader, place in zip(self._readers, places, strict=True):
            reader.seek(place)


def _checksum(position: _Position) -> int:
    """Checksum of a position, for saved states."""
    return zlib.crc32(repr(tuple(position)).encode())
