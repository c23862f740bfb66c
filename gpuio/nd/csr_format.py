"""What makes three arrays a matrix of compressed sparse rows.

Each check takes arrays on the host (`check_ends` also those of a GPU) and raises an ArgumentError
that says what is wrong, and in which row.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpuio.errors import ArgumentError


def check_ends(matrix: Any) -> None:
    """The lengths and the ends of a matrix's parts belong together."""
    data, indices, indptr = matrix.data, matrix.indices, matrix.indptr
    rows = matrix.shape[0]
    if not data.ndim == indices.ndim == indptr.ndim == 1:
        raise ArgumentError(
            "data, indices and indptr must have one axis, not the shapes "
            f"{data.shape}, {indices.shape} and {indptr.shape}"
        )
    if len(indptr) != rows + 1:
        raise ArgumentError(f"indptr of {rows} rows must have length {rows + 1}: {len(indptr)}")
    if indptr[0] != 0:
        raise ArgumentError(f"indptr must start with 0: {indptr[0]}")
    if len(data) != len(indices):
        raise ArgumentError(f"there are {len(data)} values and {len(indices)} indices")
    if indptr[-1] > len(indices):
        raise ArgumentError(
            f"indptr must end with {len(indices)}, the number of indices: {indptr[-1]}"
        )


def check_rises(indptr: Any) -> None:
    """No row ends before it begins."""
    falls = np.flatnonzero(indptr[1:] < indptr[:-1])
    if len(falls):
        row = falls[0]
        raise ArgumentError(
            f"indptr must not decrease: in row {row} from {indptr[row]} to {indptr[row + 1]}"
        )


def check_columns(indices: Any, indptr: Any, columns: int) -> None:
    """No index lies outside of the columns."""
    outside = np.flatnonzero((indices < 0) | (indices >= columns))
    if len(outside):
        raise ArgumentError(
            f"row {_row(indptr, outside[0])} has column {indices[outside[0]]}, and the matrix has "
            f"{columns} columns; they count from 0"
        )


def check_order(indices: Any, indptr: Any) -> None:
    """The indices ascend in each row, and none comes twice."""
    back = indices[1:] <= indices[:-1]
    begins = indptr[1:-1]
    back[begins[(begins > 0) & (begins < len(indices))] - 1] = False
    found = np.flatnonzero(back)
    if len(found):
        before, after = indices[found[0]], indices[found[0] + 1]
        raise ArgumentError(
            f"columns must ascend in a row: row {_row(indptr, found[0])} has {after} after "
            f"{before}; sum_duplicates() sorts them, and adds values in the same place"
        )


def _row(indptr: Any, position: int) -> int:
    """The row that holds a position of `indices`."""
    return int(np.searchsorted(indptr, position, side="right")) - 1
