"""CSVIter: batches of the rows of CSV files."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from gpuio import nd
from gpuio.errors import ArgumentError
from gpuio.io.array_sources import Rows
from gpuio.io.text.csv import CsvParser
from gpuio.io.text.files import TextFiles
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
from gpuio.nd.shapes import check_memory
from gpuio.nd.types import DType
from gpuio.storage.local import Path

if TYPE_CHECKING:
    from gpuio.context import Context

DTYPES = ("float32", "int32", "int64")

# MXNet's options that have no effect here.
NO_EFFECT = {
    **WITHOUT_EFFECT,
    "num_parts": NoEffect("because each process reads the files that data_csv names", (1, None)),
    "part_index": NoEffect("because each process reads the files that data_csv names", (0, None)),
}

DELIMITER = re.compile(r'[^\w.+\-"\r\n\x80-\U0010ffff]', re.ASCII)


class CSVIter(TextIter):
    """Batches of rows of CSV files, which may be larger than memory.

    A thread reads and parses the files in blocks of a few megabytes. Names, defaults and meanings
    are MXNet's.

    A line holds numbers separated by `delimiter`. Blank lines, white space around numbers, a
    trailing delimiter, quotes around numbers, CRLF, a byte order mark, a missing last line end,
    ``nan``, ``inf`` and exponents are accepted. Everything else is an error that names file, line
    and column. Files whose names end in ``.gz``, ``.bz2`` or ``.xz`` are decompressed.

    Parameters
    ----------
    data_csv : a file; several, as a sequence or joined by ";"; or a directory, all of whose files
        are read. Each may be a URL; that of a directory ends with "/"
    data_shape : the shape of one row; each line must have as many numbers
    batch_size : rows in a batch
    label_csv : the same for labels, line by line; None (or MXNet's "NULL"): labels are 0
    label_shape : the shape of one row's label
    round_batch : an incomplete last batch is filled with the next epoch's first rows, and that
        epoch continues after them; if False, it is filled with the files' first rows, and each
        epoch begins with the first row. `pad` counts them
    last_batch_handle : instead of round_batch: "pad" (as round_batch=False), "discard" the
        incomplete batch, or "roll_over": it becomes the beginning of the next epoch's first batch
    dtype : "float32" (also None), "int32" or "int64", of data and labels
    delimiter : one character
    skip_header : lines to skip at the beginning of each file; True: one
    prefetch_buffer : batches whose rows are parsed ahead of the caller in a thread (at least one
        block of lines); 0: none, and no thread
    ctx : the device; None: the current context. Batches reach a GPU through pinned memory
    data_name, label_name : the arrays' names
    cache_dir, cache_limit, storage_options, retries, timeout, readahead : for remote files, as in
        ImageRecordIter
    options : options of MXNet's iterators that have no effect here, which is logged

    Attributes
    ----------
    provide_data : one DataDesc: (batch_size, *data_shape)
    provide_label : one DataDesc: (batch_size,), or (batch_size, *label_shape)

    Raises
    ------
    ArgumentError : a value is out of range.
    TypeError : there is no such argument.
    DataFileError, DataFileNotFoundError : a file is missing, has no rows, or cannot be parsed;
        `next` raises what is found later, at the batch where it is found.
    RemoteError, FileChangedError : a remote file cannot be read, or has changed since it was
        opened.
    ContextError : the device is not available.

    Examples
    --------
    >>> train = CSVIter(
    ...     data_csv="train.csv", data_shape=(100,), label_csv="labels.csv", batch_size=256
    ... )
    """

    @check_call
    def __init__(
        self,
        *,
        data_csv: Path | Sequence[Path],
        data_shape: Sequence[int] | int,
        batch_size: int,
        label_csv: Path | Sequence[Path] | None = None,
        label_shape: Sequence[int] | int = (1,),
        round_batch: bool = True,
        last_batch_handle: str | None = None,
        dtype: DTypeLike | None = None,
        delimiter: str = ",",
        skip_header: int | bool = 0,
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
        known = inspect.signature(CSVIter.__init__).parameters
        accept_without_effect(options, NO_EFFECT, known, type(self).__name__)
        super().__init__(as_batch_size(batch_size))
        shape = as_row_shape("data_shape", data_shape)
        labels = as_row_shape("label_shape", label_shape)
        target = _dtype(dtype)
        if not isinstance(delimiter, str) or not DELIMITER.fullmatch(delimiter):
            raise ArgumentError(
                "delimiter must be one ASCII character that numbers, quotes and line ends do not "
                f"have, such as ',', ';' or '\\t', not {delimiter!r}"
            )
        lines = int(skip_header) if isinstance(skip_header, bool) else skip_header
        header = as_int("skip_header", lines, 0)
        for name, row in (("data", shape), ("labels", labels)):
            check_memory(f"a batch of {name}", (self.batch_size, *row), target.itemsize)
        self._check_arguments(round_batch, last_batch_handle, prefetch_buffer, ctx)
        remote = self._as_remote(
            cache_dir, cache_limit, storage_options, retries, timeout, readahead
        )
        sources = [("data_csv", data_csv, shape)]
        if label_csv is None or label_csv == "NULL":
            labels = (1,)
        else:
            sources.append(("label_csv", label_csv, labels))
        readers = {
            name: RowReader(
                TextFiles(uri, name, header, fields=prod(row), remote=remote),
                _parse_with(CsvParser(prod(row), target, delimiter)),
                prefetch=self._prefetch_rows,
            )
            for name, uri, row in sources
        }
        label_row = () if labels == (1,) else labels
        self._read_text(
            readers,
            _assemble_with(shape, label_row, target),
            DataDesc(data_name, (self.batch_size, *shape), target.type),
            DataDesc(label_name, (self.batch_size, *label_row), target.type),
        )


def _parse_with(parser: CsvParser) -> Callable[[bytes], Columns]:
    """A function that parses a block into one column."""
    return lambda text: (parser(text),)


def _assemble_with(
    data_shape: tuple[int, ...], label_shape: tuple[int, ...], dtype: DType
) -> Callable[[Columns], tuple[list[Rows], list[Rows]]]:
    """A function that reshapes the columns of the data file, and of the label file if any."""

    def assemble(columns: Columns) -> tuple[list[Rows], list[Rows]]:
        data, *labels = columns
        count = data.shape[0]
        if labels:
            label = labels[0].reshape((count, *label_shape))
        else:
            label = np.zeros((count, *label_shape), dtype)
        return [nd.wrap(data.reshape((count, *data_shape)))], [nd.wrap(label)]

    return assemble


def _dtype(dtype: DTypeLike | None) -> DType:
    try:
        target = np.dtype(np.float32 if dtype is None else dtype)
    except (TypeError, ValueError, SyntaxError):  # as NumPy parses a string
        target = None
    if target is None or target.name not in DTYPES:
        raise ArgumentError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
    return target
