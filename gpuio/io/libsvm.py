"""LibSVMIter: batches of sparse rows of LibSVM files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuio import nd
from gpuio.errors import ArgumentError
from gpuio.io.text.files import Path, TextFiles
from gpuio.io.text.libsvm import parse_libsvm
from gpuio.io.text.rows import Columns, RowReader
from gpuio.io.text_iter import TextIter
from gpuio.iterators.arguments import as_int, as_row_shape
from gpuio.iterators.desc import DataDesc
from gpuio.sampling.sharding import resolve_shard

if TYPE_CHECKING:
    from gpuio.context import Context


class LibSVMIter(TextIter):
    """Batches of sparse rows of LibSVM files, which may be larger than memory.

    A line is ``label index:value index:value …``; indices count from 0. Blank lines and what
    follows a "#" are passed over. Files whose names end in ``.gz``, ``.bz2`` or ``.xz`` are
    unpacked. Names, defaults and meanings are MXNet's.

    Parameters
    ----------
    data_libsvm : a file; several, as a sequence or joined by ";"; or a directory, all of whose
        files are read
    data_shape : (columns,)
    batch_size : rows in a batch
    label_libsvm : files whose sparse rows are the labels, line for line; None (or MXNet's "NULL"):
        the labels are the numbers at the beginning of the data's lines
    label_shape : (columns,) of label_libsvm
    num_parts, part_index : the bytes of the files are cut into so many equal runs, of which this
        one is read; a line belongs to the run in which it begins. ``num_parts="auto"`` takes both
        from the launcher's variables
    round_batch, last_batch_handle : what becomes of an incomplete last batch, as for `CSVIter`
    prefetch_buffer : batches whose rows are parsed ahead of the caller, as for `CSVIter`
    ctx : the device; None: the current context
    data_name, label_name : the arrays' names

    Attributes
    ----------
    provide_data : one DataDesc: (batch_size, columns); batches are CSRNDArrays, float32
    provide_label : one DataDesc: (batch_size,), float32; or (batch_size, label columns), CSR

    Raises
    ------
    ArgumentError : a value is out of range.
    DataFileError, DataFileNotFoundError : a file is missing, has no rows, or has a broken line or
        an index that is out of range; what is found later is raised by `next`.
    UnsupportedError : packed files cannot be cut into parts.
    ContextError : the device is not there.
    """

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
    ) -> None:
        super().__init__(as_int("batch_size", batch_size, 1))
        columns = _columns("data_shape", data_shape)
        label_columns = _columns("label_shape", label_shape)
        part = resolve_shard(num_parts, part_index, "contiguous")
        self._check(round_batch, last_batch_handle, prefetch_buffer, ctx)
        files = TextFiles(data_libsvm, "data_libsvm", 0, part.index, part.count)
        readers = {"data_libsvm": RowReader(files, _Parse(columns), ahead=self._ahead)}
        label_row: tuple[int, ...] = ()
        if label_libsvm is not None and label_libsvm != "NULL":
            if label_columns < 2:
                raise ArgumentError(
                    "label_libsvm needs label_shape, the number of columns of the labels, of at "
                    f"least 2, not {label_shape!r}"
                )
            labels = TextFiles(label_libsvm, "label_libsvm")
            readers["label_libsvm"] = RowReader(
                labels, _Parse(label_columns), files.lines_before(), self._ahead
            )
            label_row = (label_columns,)
        self._part = part
        self._read_text(
            readers,
            _compose,
            DataDesc(data_name, (self.batch_size, columns), np.float32),
            DataDesc(label_name, (self.batch_size, *label_row), np.float32),
            whole=part.count == 1,
        )

    def _identity(self) -> dict[str, Any]:
        return {**super()._identity(), "part": self._part.identity}


class _Parse:
    """Parses a block into two columns: labels and sparse rows."""

    def __init__(self, columns: int) -> None:
        self._columns = columns

    def __call__(self, text: bytes) -> Columns:
        import scipy.sparse  # not before it is needed

        block = parse_libsvm(text, self._columns)
        rows = scipy.sparse.csr_matrix(
            (block.values, block.indices, block.indptr), (len(block.label), self._columns)
        )
        return block.label, rows


def _compose(columns: Columns) -> tuple[list[Any], list[Any]]:
    """The batch's data, and its labels: the lines' first numbers, or the rows of the label file."""
    from gpuio.nd import sparse

    number, data, *of_labels = columns
    label = sparse.wrap(of_labels[1]) if of_labels else nd.wrap(number)
    return [sparse.wrap(data)], [label]


def _columns(name: str, shape: Any) -> int:
    sides = as_row_shape(name, shape)
    if len(sides) != 1:
        raise ArgumentError(f"{name} must have one axis, such as (100,), not {shape!r}")
    return sides[0]
