"""The checks that data, indices and indptr form a valid matrix."""

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, Error
from gpuio.nd import sparse


def _parts(
    data: list[float], indices: list[int], indptr: list[int], shape: tuple[int, int]
) -> sparse.CSRNDArray:
    """A matrix of parts that no constructor has looked at."""
    made = sparse.csr_matrix(shape, ctx="cpu")
    made.data = np.array(data, np.float32)
    made.indices = np.array(indices, np.int32)
    made.indptr = np.array(indptr, np.int32)
    return made


@pytest.mark.parametrize(
    ("indices", "indptr", "rows", "text"),
    [
        ([0, 2, 1], [0, 2], 2, "2 rows must have length 3: 2"),
        ([0, 2, 1], [1, 2, 3], 2, "start with 0: 1"),
        ([0, 2, 1], [0, 3, 2, 3], 3, "in row 1 from 3 to 2"),
        ([0, 2, 1], [0, 2, 2], 2, "end with 3, the number of indices: 2"),
        ([0, 2, 1], [0, 2, 4], 2, "end with 3, the number of indices: 4"),
        ([0, 2], [0, 2, 3], 2, "3 values and 2 indices"),
        ([0, 2, 3], [0, 2, 3], 2, "row 1 has column 3, but the matrix has 3 columns"),
        ([0, 2, -1], [0, 0, 2, 3], 3, "row 2 has column -1"),
        ([2, 0, 1], [0, 2, 3], 2, "row 0 has 0 after 2"),
        ([2, 1, 1], [0, 1, 1, 3], 3, "row 2 has 1 after 1"),
    ],
)
def test_check_format_finds_damage(
    indices: list[int], indptr: list[int], rows: int, text: str
) -> None:
    made = _parts([1, 2, 3], indices, indptr, (rows, 3))
    with pytest.raises(ArgumentError, match=text) as caught:
        made.check_format()
    assert isinstance(caught.value, Error) and isinstance(caught.value, ValueError)


def test_check_format_in_brief_looks_only_at_the_ends(ctx: mx.Context) -> None:
    for indices in ([2, 0, 1], [2, 2, 1], [0, 3, 1], [0, -1, 1]):
        made = sparse.csr_matrix(([1, 2, 3], indices, [0, 2, 3]), (2, 3), ctx)
        made.check_format(False)
        made.check_format(full_check=False)
        with pytest.raises(ArgumentError, match="row 0"):
            made.check_format()
    with pytest.raises(ArgumentError, match="must have length"):
        _parts([1], [0], [0, 1], (2, 3)).check_format(False)


def test_check_format_passes_good_matrices_and_changes_nothing(ctx: mx.Context) -> None:
    big = sparse.csr_matrix(np.eye(64, dtype=np.float32), ctx=ctx)
    for made in (big, big[3:5], big[5:5], sparse.zeros("csr", (3, 4), ctx)):
        parts = made.data, made.indices, made.indptr
        made.check_format()
        made.check_format(False)
        for now, before in zip((made.data, made.indices, made.indptr), parts, strict=True):
            assert now is before
    # The last column of a row and the first of the next; rows with none before, between and after.
    made = sparse.csr_matrix(([1, 2, 3], [2, 0, 1], [0, 0, 1, 1, 3, 3]), (5, 3), ctx)
    made.check_format()


def test_scipys_constructor_still_cuts_off_spare_room() -> None:
    kind = type(sparse.csr_matrix((1, 1), ctx="cpu"))
    made = kind((np.ones(5, np.float32), np.arange(5), np.array([0, 1, 3])), shape=(2, 5))
    assert len(made.data) == len(made.indices) == 3
    made.check_format()


def test_damage_does_not_reach_memory() -> None:
    for indices, indptr, text in (
        ([0, 10**8, 1], [0, 2, 3], "row 0 has column 100000000"),
        ([0, -(10**8), 1], [0, 2, 3], "row 0 has column -100000000"),
        ([0, 2, 1], [0, 2, 10**8], "end with 3"),
        ([0, 2, 1], [0, 3, 2, 3], "in row 1"),
    ):
        made = _parts([1, 2, 3], indices, indptr, (len(indptr) - 1, 3))
        for call in (made.asnumpy, lambda made=made: made.tostype("default")):
            with pytest.raises(ArgumentError, match=text):
                call()
