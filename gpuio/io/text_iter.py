"""Base class of the iterators over text files: CSVIter and LibSVMIter."""

from __future__ import annotations

from collections.abc import Callable

from gpuio.context import Context, as_context, require
from gpuio.io.array_sources import Rows
from gpuio.io.rows_iter import RowsIter
from gpuio.io.text.rows import Columns, RowReader
from gpuio.io.text.stream import TextStream
from gpuio.iterators.arguments import NoEffect, as_bool, as_int, last_batch_mode
from gpuio.iterators.desc import DataDesc
from gpuio.loading.stream import State
from gpuio.storage.local import listed

# MXNet's options that have no effect here.
WITHOUT_EFFECT = {
    "silent": NoEffect("because nothing is printed"),
    "verbose": NoEffect("because nothing is printed"),
    "preprocess_threads": NoEffect("because one thread parses the file"),
    "shuffle": NoEffect(
        "because the files are read in their order (NDArrayIter shuffles)", (False, 0, None)
    ),
    "seed": NoEffect("because the files are read in their order"),
}


class TextIter(RowsIter):
    """Base class of the iterators over text files. A subclass calls `_check_arguments`, then
    `_read_text`.
    """

    _gives_single_arrays = True

    _last_batch: str
    _prefetch_rows: int
    _paths: tuple[str, ...]  # of the data
    _fingerprints: list[str]

    def _check_arguments(
        self,
        round_batch: bool,
        last_batch_handle: str | None,
        prefetch_buffer: int,
        ctx: Context | str | None,
    ) -> None:
        """Check the arguments that all text iterators have, before a file is opened."""
        self._last_batch = last_batch_mode(as_bool("round_batch", round_batch), last_batch_handle)
        self._prefetch_rows = as_int("prefetch_buffer", prefetch_buffer, 0) * self.batch_size
        self._ctx = as_context(ctx)
        require(self._ctx)

    def _read_text(
        self,
        readers: dict[str, RowReader],
        assemble: Callable[[Columns], tuple[list[Rows], list[Rows]]],
        provide_data: DataDesc,
        provide_label: DataDesc,
        whole: bool = True,
    ) -> None:
        """Start reading.

        Parameters
        ----------
        readers : by the names of the arguments with their files
        assemble : makes a batch's data and labels of the columns of all readers
        whole : the readers read whole files, and must end together
        """
        stream = TextStream(readers, assemble, self.batch_size, self._last_batch, whole)
        self._paths = next(iter(readers.values())).files.paths
        self._fingerprints = [reader.files.fingerprint() for reader in readers.values()]
        self._set_row_stream(stream, self._ctx, [provide_data], [provide_label])

    def _source_name(self) -> str:
        return listed(self._paths)

    def _progress(self) -> list[str]:
        return [f"epoch {self.epoch}, row {self._stream.state()['row']}", f"on {self._ctx}"]

    def _identity(self) -> State:
        return {"data": list(self._fingerprints), "last_batch_handle": self._last_batch}
