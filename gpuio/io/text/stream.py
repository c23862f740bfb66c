"""A stream of batches out of text files whose number of rows nobody knows beforehand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuio.errors import ArgumentError, DataFileError, Error
from gpuio.io.text.rows import Columns, RowReader, joined
from gpuio.loading.batch import LoadedBatch
from gpuio.loading.stream import CLOSED
from gpuio.sampling.order import LAST_BATCH_MODES


class TextStream:
    """Batches of the rows of text files, in their order, epoch after epoch.

    The endings are those of `Order`, which cannot serve here: the number of rows is known only when
    the end has been reached.

    Parameters
    ----------
    readers : where the columns of a batch come from, by what their files are called; all must have
        as many rows as the first
    compose : makes data and labels of the columns of all readers
    batch_size : rows in a batch
    last_batch : "wrap", "pad", "discard" or "roll_over", see `Order`
    whole : whether the readers read whole files, and must end together

    Raises
    ------
    DataFileError : the files hold no rows, or their first rows cannot be read.
    """

    def __init__(
        self,
        readers: dict[str, RowReader],
        compose: Callable[[Columns], tuple[list[Any], list[Any]]],
        batch_size: int,
        last_batch: str,
        whole: bool = True,
    ) -> None:
        assert last_batch in LAST_BATCH_MODES
        self.epoch = 0
        self.ended = False
        self._names = list(readers)
        self._readers = list(readers.values())
        self._compose = compose
        self._batch_size = batch_size
        self._last_batch = last_batch
        self._whole = whole
        self._row = 0  # of the next row, within the files
        self._begun = False  # whether the epoch has given a batch
        self._carrying = False  # whether it begins with rows of the one before
        self._closed = False
        if self._readers[0].at_end:
            paths = ", ".join(self._readers[0].files.paths)
            raise DataFileError(f"{self._names[0]}: {paths} has no rows")

    def next(self) -> LoadedBatch | None:
        """The next batch; None where the epoch has ended. If it fails, asking again tries again."""
        if self._closed:
            raise Error(CLOSED)
        if self.ended:
            return None
        before = self._row, [reader.mark() for reader in self._readers]
        try:
            return self._next()
        except BaseException:
            self._go_to(*before)
            raise

    def reset(self) -> None:
        """Begin the next epoch, as `Stream` says."""
        if not (self._begun or self.ended):
            return
        goes_on = self.ended and self._last_batch in ("wrap", "roll_over")
        if not goes_on or self._readers[0].at_end:
            self._rewind()
        self._carrying = goes_on and self._last_batch == "roll_over" and self._row > 0
        self.epoch += 1
        self._begun = self.ended = False

    def state(self) -> dict[str, Any]:
        """Where the stream is."""
        return {
            "epoch": self.epoch,
            "row": self._row,
            "begun": self._begun,
            "carrying": self._carrying,
            "ended": self.ended,
            "places": [reader.mark() for reader in self._readers],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        epoch, row, places = int(state["epoch"]), int(state["row"]), state["places"]
        begun, carrying, ended = (bool(state[name]) for name in ("begun", "carrying", "ended"))
        self._go_to(row, [[int(number) for number in place] for place in places])
        self.epoch, self._begun, self._carrying, self.ended = epoch, begun, carrying, ended

    def close(self) -> None:
        """Close the files. May be called twice."""
        self._closed = True
        for reader in self._readers:
            reader.close()

    def _next(self) -> LoadedBatch | None:
        size, first = self._batch_size, self._row
        places = [reader.mark() for reader in self._readers]
        count, columns = self._read(size)
        filler = 0
        if count < size and not self._carrying:
            self._check_rows(self._row)
            self.ended = True
            if self._last_batch == "roll_over":
                self._go_to(first, places)
            if count == 0 or self._last_batch in ("discard", "roll_over"):
                return None
            filler = size - count
        index = np.arange(first, first + size, dtype=np.uint64)
        if count < size:
            index[count:] = np.arange(size - count) % self._row
            columns = self._filled(columns, size - count)
        self._begun, self._carrying = True, False
        self.ended = self.ended or self._readers[0].at_end
        data, label = self._compose(columns)
        return LoadedBatch(data, label, filler, index)

    def _filled(self, columns: Columns, missing: int) -> Columns:
        """Columns made longer with the files' first rows, again and again if need be."""
        pieces = [columns] if columns else []
        while missing:
            self._rewind()
            count, more = self._read(missing)
            pieces.append(more)
            missing -= count
        return joined(pieces)

    def _check_rows(self, rows: int) -> None:
        """Refuse a batch size that does not go with the number of rows, now that it is known."""
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
        """The next rows of all readers, side by side; fewer than `count` at the end."""
        found, columns = self._readers[0].read(count)
        for reader, name in zip(self._readers[1:], self._names[1:], strict=True):
            its, more = reader.read(found)
            if its < found:
                raise DataFileError(
                    f"{name}: {', '.join(reader.files.paths)} ends after {self._row + its} rows, "
                    f"and {self._names[0]} has more"
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

    def _go_to(self, row: int, places: list[list[int]]) -> None:
        self._row = row
        for reader, place in zip(self._readers, places, strict=True):
            reader.seek(place)
