"""CSVIter: batches of the rows of CSV files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from gpuio import nd
from gpuio.errors import ArgumentError
from gpuio.io.text.csv import CsvParser
from gpuio.io.text.files import Path, TextFiles
from gpuio.io.text.rows import Columns, RowReader
from gpuio.io.text_iter import TextIter
from gpuio.iterators.arguments import as_int, as_row_shape
from gpuio.iterators.desc import DataDesc

if TYPE_CHECKING:
    from gpuio.context import Context

DTYPES = ("float32", "int32", "int64")

DELIMITER = re.compile(r'[^\w.+\-"\r\n\x80-\U0010ffff]', re.ASCII)


class CSVIter(TextIter):
    """Batches of rows of CSV files, which may be larger than memory.

    The files are read and parsed in blocks of some megabytes, in a thread. Names, defaults and
    meanings are MXNet's.

    A line holds numbers separated by `delimiter`. Blank lines, white space around numbers, a
    delimiter at the end of lines, quotes around numbers, CRLF, a byte order mark, a missing last
    line end, ``nan``, ``inf`` and exponents are understood. Everything else is an error that names
    file, line and column. Files whose names end in ``.gz``, ``.bz2`` or ``.xz`` are unpacked.

    Parameters
    ----------
    data_csv : a file; several, as a sequence or joined by ";"; or a directory, all of whose files
        are read
    data_shape : the shape of one row; each line has as many numbers
    batch_size : rows in a batch
    label_csv : the same for labels, line for line; None (or MXNet's "NULL"): labels are 0
    label_shape : the shape of one row's label
    round_batch : an incomplete last batch is filled with the next epoch's first rows, and that
        epoch goes on after them; if False, it is filled with the files' first rows, and each epoch
        begins with the first row. `pad` counts them
    last_batch_handle : instead of round_batch: "pad" (as round_batch=False), "discard" the
        incomplete batch, or "roll_over": it becomes the beginning of the next epoch's first batch
    dtype : "float32" (None means that), "int32" or "int64", for data and labels
    delimiter : one character
    skip_header : lines to leave out at the beginning of each file; True: one
    prefetch_buffer : batches whose rows are parsed ahead of the caller in a thread (at least a
        block of lines is); 0: none, and no thread
    ctx : the device; None: the current context. On a GPU batches arrive through pinned memory
    data_name, label_name : the arrays' names

    Attributes
    ----------
    provide_data : one DataDesc: (batch_size, *data_shape)
    provide_label : one DataDesc: (batch_size,), or (batch_size, *label_shape)

    Raises
    ------
    ArgumentError : a value is out of range.
    DataFileError, DataFileNotFoundError : a file is missing, has no rows, or cannot be parsed. What
        is found later is raised by `next`, at the batch where it is found.
    ContextError : the device is not there.

    Examples
    --------
    >>> train = CSVIter(
    ...     data_csv="train.csv", data_shape=(100,), label_csv="labels.csv", batch_size=256
    ... )
    """

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
    ) -> None:
        super().__init__(as_int("batch_size", batch_size, 1))
        shape = as_row_shape("data_shape", data_shape)
        labels = as_row_shape("label_shape", label_shape)
        kind = _dtype(dtype)
        if not isinstance(delimiter, str) or not DELIMITER.fullmatch(delimiter):
            raise ArgumentError(
                "delimiter must be one ASCII character that numbers, quotes and line ends do not "
                f"have, such as ',', ';' or '\\t', not {delimiter!r}"
            )
        header = as_int("skip_header", int(skip_header), 0)
        self._check(round_batch, last_batch_handle, prefetch_buffer, ctx)
        sources = [("data_csv", data_csv, shape)]
        if label_csv is None or label_csv == "NULL":
            labels = (1,)
        else:
            sources.append(("label_csv", label_csv, labels))
        readers = {
            name: RowReader(
                TextFiles(uri, name, header),
                _Parse(CsvParser(prod(row), kind, delimiter)),
                ahead=self._ahead,
            )
            for name, uri, row in sources
        }
        label_row = () if labels == (1,) else labels
        self._read_text(
            readers,
            _Compose(shape, label_row, kind),
            DataDesc(data_name, (self.batch_size, *shape), kind.type),
            DataDesc(label_name, (self.batch_size, *label_row), kind.type),
        )


class _Parse:
    """Parses a block into one column: its rows."""

    def __init__(self, parser: CsvParser) -> None:
        self._parser = parser

    def __call__(self, text: bytes) -> Columns:
        return (self._parser(text),)


class _Compose:
    """Shapes the rows of the data file, and of the label file if there is one."""

    def __init__(
        self, data_shape: tuple[int, ...], label_shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self._data_shape = data_shape
        self._label_shape = label_shape
        self._dtype = dtype

    def __call__(self, columns: Columns) -> tuple[list[Any], list[Any]]:
        data, *label = columns
        count = len(data)
        if label:
            found = label[0].reshape(count, *self._label_shape)
        else:
            found = np.zeros((count, *self._label_shape), self._dtype)
        return [nd.wrap(data.reshape(count, *self._data_shape))], [nd.wrap(found)]


def _dtype(dtype: DTypeLike | None) -> np.dtype[Any]:
    try:
        kind = np.dtype(np.float32 if dtype is None else dtype)
    except TypeError:
        kind = None
    if kind is None or kind.name not in DTYPES:
        raise ArgumentError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
    return kind
