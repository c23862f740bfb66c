"""Base of the iterators over text files: CSVIter and LibSVMIter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpuio.context import Context, as_context, require
from gpuio.io.rows_iter import RowsIter
from gpuio.io.text.rows import Columns, RowReader
from gpuio.io.text.stream import TextStream
from gpuio.iterators.arguments import as_bool, as_int, last_batch_mode
from gpuio.iterators.desc import DataDesc


class TextIter(RowsIter):
    """Base of the iterators over text files. A subclass calls `_check` and then `_read_text`."""

    _ending: str
    _ahead: int  # rows
    _home: Context
    _fingerprint: list[str]

    def _check(
        self,
        round_batch: bool,
        last_batch_handle: str | None,
        prefetch_buffer: int,
        ctx: Context | str | None,
    ) -> None:
        """Look at the arguments that all have, before a file is opened."""
        self._ending = last_batch_mode(as_bool("round_batch", round_batch), last_batch_handle)
        self._ahead = as_int("prefetch_buffer", prefetch_buffer, 0) * self.batch_size
        self._home = as_context(ctx)
        require(self._home)

    def _read_text(
        self,
        readers: dict[str, RowReader],
        compose: Callable[[Columns], tuple[list[Any], list[Any]]],
        provide_data: DataDesc,
        provide_label: DataDesc,
        whole: bool = True,
    ) -> None:
        """Begin to read.

        Parameters
        ----------
        readers : by the names of the arguments that gave their files
        compose : makes data and labels of the columns of all readers
        whole : the readers read whole files, and must end together
        """
        stream = TextStream(readers, compose, self.batch_size, self._ending, whole)
        self._fingerprint = [reader.files.fingerprint() for reader in readers.values()]
        self._draw_rows(stream, self._home, [provide_data], [provide_label])

    def _identity(self) -> dict[str, Any]:
        return {"data": self._fingerprint, "last_batch_handle": self._ending}
