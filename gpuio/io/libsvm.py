"""LibSVMIter: batches of sparse rows of LibSVM files."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuio import nd
from gpuio.errors import ArgumentError
from gpuio.io.array_sources import Rows
from gpuio.io.text.files import TextFiles
from gpuio.io.text.libsvm import parse_libsvm
from gpuio.io.text.rows import Columns, RowReader
from gpuio.io.text_iter import WITHOUT_EFFECT, TextIter
from gpuio.iterators.arguments import (
    NoEffect,
    accept_without_effect,
    as_batch_size,
    as_int,
    as_row_shape,
    check_call,
)
from gpuio.iterators.desc import DataDesc
from gpuio.loading.stream import State
from gpuio.nd.sparse import wrap as wrap_csr
from gpuio.sampling.sharding import resolve_shard
from gpuio.storage.local import Path

if TYPE_CHECKING:
    from gpuio.context import Context


# Indices are int32.
MAX_COLUMNS = 2**31 - 1

# MXNet's options that have no effect here.
NO_EFFECT = {
    **WITHOUT_EFFECT,
    "dtype": NoEffect("because values and labels are float32", (None, "float32", np.float32)),
}


class LibSVMIter(TextIter):
    """Batches of sparse rows of LibSVM files, which may be larger than memory.

    A line is ``label index:value index:value …``; indices count from 0. Blank lines and what
    follows a "#" are skipped. Files whose names end in ``.gz``, ``.bz2`` or ``.xz`` are
    decompressed. Names, defaults and meanings are MXNet's.

    Parameters
    ----------
    data_libsvm : a file; several, as a sequence or joined by ";"; or a directory, all of whose
        files are read. Each may be a URL; that of a directory ends with "/"
    data_shape : (columns,)
    batch_size : rows in a batch
    label_libsvm : files whose sparse rows are the labels, line by line; None (or MXNet's "NULL"):
        the labels are the numbers at the beginning of the data's lines
    label_shape : (columns,) of label_libsvm
    num_parts, part_index : read part `part_index` of `num_parts` equal byte ranges of the files; a
        line belongs to the range in which it begins. ``num_parts="auto"`` takes both from the
        launcher's environment variables
    round_batch, last_batch_handle : the handling of an incomplete last batch, see `CSVIter`
    prefetch_buffer : batches whose rows are parsed ahead of the caller, see `CSVIter`
    ctx : the device; None: the current context
    data_name, label_name : the arrays' names
    cache_dir, cache_limit, storage_options, retries, timeout, readahead : for remote files, as in
        ImageRecordIter
    options : options of MXNet's iterators that have no effect here, which is logged

    Attributes
    ----------
    provide_data : one DataDesc: (batch_size, columns); batches are CSRNDArrays, float32
    provide_label : one DataDesc: (batch_size,), float32; or (batch_size, label columns), CSR

    Raises
    ------
    ArgumentError : a value is out of range.
    TypeError : there is no such argument.
    DataFileError, DataFileNotFoundError : a file is missing, has no rows, or has a malformed line
        or an index that is out of range; `next` raises what is found later.
    RemoteError, FileChangedError : a remote file cannot be read, or has changed since it was
        opened.
    UnsupportedError : compressed files cannot be divided into parts.
    ContextError : the device is not available.
    """

    @check_call
    def __init__(
        self,
        *,
        data_libsvm: Path | Sequence[Path],
        data_shape: Sequence[int] | int,
        batch_size: int,
        label_libsvm: Path | Sequence[Path] | None = None,
        label_shape: Sequence[int] | int = (1,),
        num_parts: int | str = 1,
        part_index: int = 0,
        round_batch: bool = True,
        last_batch_handle: str | None = None,
        prefetch_buffer: int = 4,
        ctx: Context | str | None = None,
        data_name: str = "data",
        label_name: str = "softmax_label",
        cache_dir: Path | None = None,
        cache_limit: int | str | None = None,
        storage_options: Mapping[str, Any] | None = None,
        retries: int = 10,
        timeout: float = 60.0,
        readahead: int | str = "256MB",
        **options: Any,
    ) -> None:
        known = inspect.signature(LibSVMIter.__init__).parameters
        accept_without_effect(options, NO_EFFECT, known, type(self).__name__)
        super().__init__(as_batch_size(batch_size))
        columns = _columns("data_shape", data_shape)
        label_columns = _columns("label_shape", label_shape)
        shard = resolve_shard(num_parts, part_index, "contiguous")
        self._check_arguments(round_batch, last_batch_handle, prefetch_buffer, ctx)
        remote = self._as_remote(
            cache_dir, cache_limit, storage_options, retries, timeout, readahead
        )
        files = TextFiles(
            data_libsvm, "data_libsvm", 0, shard.index, shard.count, columns + 1, remote
        )
        readers = {
            "data_libsvm": RowReader(files, _parse_with(columns), prefetch=self._prefetch_rows)
        }
        label_row: tuple[int, ...] = ()
        if label_libsvm is not None and label_libsvm != "NULL":
            if label_columns < 2:
                raise ArgumentError(
                    "label_libsvm needs label_shape, the number of columns of the labels, of at "
                    f"least 2, not {label_shape!r}"
                )
            labels = TextFiles(
                label_libsvm, "label_libsvm", fields=label_columns + 1, remote=remote
            )
            readers["label_libsvm"] = RowReader(
                labels, _parse_with(label_columns), files.lines_before(), self._prefetch_rows
            )
            label_row = (label_columns,)
        self._shard = shard
        self._read_text(
            readers,
            _assemble,
            DataDesc(data_name, (self.batch_size, columns), np.float32),
            DataDesc(label_name, (self.batch_size, *label_row), np.float32),
            whole=shard.count == 1,
        )

    def _identity(self) -> State:
        return {**super()._identity(), "part": self._shard.identity}


def _parse_with(columns: int) -> Callable[[bytes], Columns]:
    """A function that parses a block into two columns: labels and sparse rows."""

    def parse(text: bytes) -> Columns:
        import scipy.sparse  # slow to import

        block = parse_libsvm(text, columns)
        rows = scipy.sparse.csr_matrix(
            (block.values, block.indices, block.indptr), (len(block.label), columns)
        )
        return block.label, rows

    return parse


def _assemble(columns: Columns) -> tuple[list[Rows], list[Rows]]:
    """A batch's data and labels: the first number of each line, or the rows of the label file."""
    number, data, *of_label_file = columns
    label = wrap_csr(of_label_file[1]) if of_label_file else nd.wrap(number)
    return [wrap_csr(data)], [label]


def _columns(name: str, shape: Sequence[int] | int) -> int:
    row = as_row_shape(name, shape)
    if len(row) != 1:
        raise ArgumentError(f"{name} must have one axis, such as (100,), not {shape!r}")
    return as_int(name, row[0], most=MAX_COLUMNS)
