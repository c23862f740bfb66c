"""Checks that data, indices and indptr form a valid CSR matrix.

Each takes arrays on the host (`check_ends` also on a GPU) and raises an ArgumentError that says
what is wrong, and in which row.
"""

from __future__ import annotations

import numpy as np

from gpuio.errors import ArgumentError
from gpuio.nd.types import CSRMatrix, HostArray


def check_ends(matrix: CSRMatrix) -> None:
    """Check that the lengths of the arrays and the ends of indptr are consistent."""
    data, indices, indptr = matrix.data, matrix.indices, matrix.indptr
    rows = matrix.shape[0]
    if not data.ndim == indices.ndim == indptr.ndim == 1:
        raise ArgumentError(
            "data, indices and indptr must have one dimension, not the shapes "
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


def check_rises(indptr: HostArray) -> None:
    """Check that no row ends before it begins."""
    decreasing = np.flatnonzero(indptr[1:] < indptr[:-1])
    if len(decreasing):
        row = decreasing[0]
        raise ArgumentError(
            f"indptr must not decrease: in row {row} from {indptr[row]} to {indptr[row + 1]}"
        )


def check_columns(indices: HostArray, indptr: HostArray, columns: int) -> None:
    """Check that all indices are in [0, columns)."""
    outside = np.flatnonzero((indices < 0) | (indices >= columns))
    if len(outside):
        raise ArgumentError(
            f"row {_row(indptr, outside[0])} has column {indices[outside[0]]}, but the matrix has "
            f"{columns} columns, counted from 0"
        )


def check_order(indices: HostArray, indptr: HostArray) -> None:
    """Check that the indices of each row are strictly ascending."""
    descending = indices[1:] <= indices[:-1]
    begins = indptr[1:-1]
    descending[begins[(begins > 0) & (begins < len(indices))] - 1] = False
    found = np.flatnonzero(descending)
    if len(found):
        before, after = indices[found[0]], indices[found[0] + 1]
        raise ArgumentError(
            f"columns must ascend in a row: row {_row(indptr, found[0])} has {after} after "
            f"{before}; sum_duplicates() sorts them and sums duplicates"
        )


def _row(indptr: HostArray, position: int) -> int:
    """The row that contains ``indices[position]``."""
    return int(np.searchsorted(indptr, position, side="right")) - 1
