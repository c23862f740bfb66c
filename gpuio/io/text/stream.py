"""Stream of batches of text files, whose number of rows is not known in advance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gpuio.errors import ArgumentError, DataFileError, Error
from gpuio.io.array_sources import Rows
from gpuio.io.text.rows import Columns, RowReader, concatenate
from gpuio.loading.batch import LoadedBatch
from gpuio.loading.stream import CLOSED, State
from gpuio.sampling.order import LAST_BATCH_MODES


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

    def __init__(
        self,
        readers: dict[str, RowReader],
        assemble: Callable[[Columns], tuple[list[Rows], list[Rows]]],
        batch_size: int,
        last_batch: str,
        whole: bool = True,
    ) -> None:
        assert last_batch in LAST_BATCH_MODES
        self.epoch = 0
        self.ended = False
        self._names = list(readers)
        self._readers = list(readers.values())
        self._assemble = assemble
        self._batch_size = batch_size
        self._last_batch = last_batch
        self._whole = whole
        self._row = 0  # index of the next row
        self._begun = False  # whether a batch of the epoch has been handed out
        self._carrying = False  # whether the epoch begins with rows of the one before
        self._closed = False
        if self._readers[0].at_end:
            paths = ", ".join(self._readers[0].files.paths)
            raise DataFileError(f"{self._names[0]}: {paths} has no rows")

    def next(self) -> LoadedBatch | None:
        """The next batch; None at the end of the epoch. After a failure, the next call retries."""
        if self._closed:
            raise Error(CLOSED)
        if self.ended:
            return None
        before = self._row, [reader.mark() for reader in self._readers]
        try:
            return self._next(*before)
        except BaseException:
            self._seek(*before)
            raise

    def reset(self) -> None:
        """Begin the next epoch, as `Stream` says."""
        if not (self._begun or self.ended):
            return
        continues = self.ended and self._last_batch in ("wrap", "roll_over")
        if not continues or self._readers[0].at_end:
            self._rewind()
        self._carrying = continues and self._last_batch == "roll_over" and self._row > 0
        self.epoch += 1
        self._begun = self.ended = False

    def state(self) -> State:
        """Save the position."""
        return {
            "epoch": self.epoch,
            "row": self._row,
            "begun": self._begun,
            "carrying": self._carrying,
            "ended": self.ended,
            "places": [reader.mark() for reader in self._readers],
        }

    def restore(self, state: State) -> None:
        """Restore a saved position."""
        epoch, row, places = int(state["epoch"]), int(state["row"]), state["places"]
        begun, carrying, ended = (bool(state[name]) for name in ("begun", "carrying", "ended"))
        self._seek(row, [[int(number) for number in place] for place in places])
        self.epoch, self._begun, self._carrying, self.ended = epoch, begun, carrying, ended

    def close(self) -> None:
        """Close the files. May be called twice."""
        self._closed = True
        for reader in self._readers:
            reader.close()

    def _next(self, first: int, places: list[list[int]]) -> LoadedBatch | None:
        size = self._batch_size
        count, columns = self._read(size)
        pad = 0
        if count < size and not self._carrying:
            self._check_rows(self._row)
            self.ended = True
            if self._last_batch == "roll_over":
                self._seek(first, places)
            if count == 0 or self._last_batch in ("discard", "roll_over"):
                return None
            pad = size - count
        index = np.arange(first, first + size, dtype=np.uint64)
        if count < size:
            index[count:] = np.arange(size - count) % self._row
            columns = self._fill(columns, size - count)
        self._begun, self._carrying = True, False
        self.ended = self.ended or self._readers[0].at_end
        data, label = self._assemble(columns)
        return LoadedBatch(data, label, pad, index)

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

    def _seek(self, row: int, places: list[list[int]]) -> None:
        self._row = row
        for reader, place in zip(self._readers, places, strict=True):
            reader.seek(place)
