"""CSRNDArray: MXNet's methods on SciPy's and CuPy's sparse matrices."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import gpuio as mx
from gpuio.context import on_device
from gpuio.errors import ArgumentError, ContextError, UnsupportedError
from gpuio.nd import sparse

DENSE = np.array([[1, 0, 2, 0, 0], [0, 0, 0, 0, 0], [0, 3, 0, 0, 0], [4, 0, 0, 0, 5]], np.float32)
ROWS = ([1.0, 2, 3, 4, 5], [0, 2, 1, 0, 4], [0, 2, 2, 3, 5])
KERNEL_DIRS = ([1.0, 2, 3, 4, 5], ([0, 0, 2, 3, 3], [0, 2, 1, 0, 4]))


def _check(made: Any, ctx: mx.Context, dtype: Any = np.float32, dense: Any = DENSE) -> None:
    assert isinstance(made, sparse.CSRNDArray) and made.context == ctx and made.ctx == ctx
    assert made.dtype == dtype and made.shape == np.shape(dense) and made.stype == "csr"
    made.check_format()
    there = made.asnumpy()
    assert type(there) is np.ndarray and there.dtype == dtype
    np.testing.assert_array_equal(there, dense)


def test_it_is_the_librarys_own(ctx: mx.Context) -> None:
    made = sparse.csr_matrix(DENSE, ctx=ctx)
    if ctx.device_type == "cpu":
        assert isinstance(made, scipy.sparse.csr_matrix)
        assert type(made.data) is np.ndarray
    else:
        import cupyx.scipy.sparse

        assert isinstance(made, cupyx.scipy.sparse.csr_matrix)
        assert made.device.id == ctx.device_id
    assert made.indices.dtype == made.indptr.dtype and made.indices.dtype in (np.int32, np.int64)
    assert made.nnz == 5
    made.wait_to_read()


@pytest.mark.parametrize(
    ("given", "shape", "dtype"),
    [
        (ROWS, None, "float32"),
        (ROWS, (4, 5), "float32"),
        (ROWS, [4, 5], "float32"),
        (tuple(map(np.array, ROWS)), None, "float64"),
        ((np.array(ROWS[0], np.float32), *ROWS[1:]), None, "float32"),
        ((ROWS[0], np.array(ROWS[1], np.uint8), np.array(ROWS[2], np.float32)), None, "float32"),
        (KERNEL_DIRS, None, "float64"),
        (KERNEL_DIRS, (4, 5), "float64"),
        ((np.array(KERNEL_DIRS[0], np.float32), KERNEL_DIRS[1]), None, "float32"),
        (DENSE, None, "float32"),
        (DENSE.astype(np.float64), (4, 5), "float64"),
        (DENSE.T.copy().T, None, "float32"),
        (DENSE.tolist(), None, "float32"),
        (DENSE.astype(int).tolist(), None, "float32"),
        (scipy.sparse.csr_matrix(DENSE), None, "float32"),
        (scipy.sparse.csr_matrix(DENSE, dtype=np.float64), (4, 5), "float64"),
        (scipy.sparse.csr_array(DENSE), None, "float32"),
        (scipy.sparse.csc_matrix(DENSE), None, "float32"),
        (scipy.sparse.coo_array(DENSE), None, "float32"),
        (scipy.sparse.lil_matrix(DENSE), None, "float32"),
    ],
)
def test_csr_matrix_takes_all_forms(
    ctx: mx.Context, given: Any, shape: Any, dtype: np.dtype[Any]
) -> None:
    _check(sparse.csr_matrix(given, shape, ctx), ctx, dtype)
    _check(sparse.csr_matrix(given, shape, ctx, "float64"), ctx, "float64")


def test_csr_matrix_takes_what_lives_on_the_device(ctx: mx.Context) -> None:
    dense = mx.nd.array(DENSE, ctx, "float64")
    made = sparse.csr_matrix(dense, ctx=ctx)
    _check(made, ctx, np.float64)
    _check(sparse.csr_matrix(made, ctx=ctx), ctx, np.float64)
    _check(sparse.csr_matrix(made, ctx=ctx, dtype="float32"), ctx)
    data, indices, indptr = (mx.nd.array(part, ctx) for part in ROWS)
    _check(sparse.csr_matrix((data, indices, indptr), (4, 5), ctx), ctx)
    row, column = (mx.nd.array(part, ctx, "int32") for part in KERNEL_DIRS[1])
    _check(sparse.csr_matrix((data, (row, column)), ctx=ctx), ctx)
    _check(sparse.csr_matrix(made), mx.cpu(), np.float64)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "bool"])
def test_whole_numbers_keep_their_dtype_on_the_cpu(dtype: str) -> None:
    values = DENSE.astype(dtype)
    _check(sparse.csr_matrix(values), mx.cpu(), dtype, values)
    data = np.array([1, 1], dtype)
    made = sparse.csr_matrix((data, [0, 1], [0, 1, 2]))
    _check(made, mx.cpu(), dtype, np.eye(2, dtype=dtype))


def test_lists_with_places_keep_numpys_dtype() -> None:
    assert sparse.csr_matrix(([1, 2], ([0, 1], [1, 0]))).dtype == np.int64
    assert sparse.csr_matrix(([1, 2], [1, 0], [0, 1, 2])).dtype == np.float32


def test_values_in_one_place_are_added() -> None:
    made = sparse.csr_matrix(([1.0, 2, 4], ([0, 0, 0], [2, 2, 0])), dtype="float32")
    _check(made, mx.cpu(), np.float32, [[4, 0, 3]])


def test_matrices_with_no_values(ctx: mx.Context) -> None:
    for made in (
        sparse.csr_matrix((3, 4), ctx=ctx),
        sparse.csr_matrix((np.int64(3), np.int32(4)), (3, 4), ctx),
        sparse.zeros("csr", (3, 4), ctx),
        sparse.zeros("csr", [3, 4], ctx, "float32"),
        sparse.csr_matrix(([], [], [0, 0, 0, 0]), (3, 4), ctx),
        sparse.csr_matrix(([], ([], [])), (3, 4), ctx, "float32"),
        sparse.csr_matrix(np.zeros((3, 4), np.float32), ctx=ctx),
    ):
        assert made.nnz == 0
        _check(made, ctx, np.float32, np.zeros((3, 4)))
    assert sparse.zeros("csr", (3, 4), ctx, "float64").dtype == np.float64
    assert sparse.csr_matrix((3, 4), ctx=ctx, dtype="float64").dtype == np.float64
    assert sparse.zeros("csr", (0, 4), ctx).shape == (0, 4)


def test_the_result_is_new_memory() -> None:
    data, indices, indptr = (
        np.array(ROWS[0]),
        np.array(ROWS[1], np.int32),
        np.array(ROWS[2], np.int32),
    )
    plain = scipy.sparse.csr_matrix((data, indices, indptr))
    for made in (
        sparse.csr_matrix((data, indices, indptr)),
        sparse.csr_matrix(plain),
        sparse.csr_matrix(sparse.wrap(plain)),
        sparse.array(plain),
    ):
        for mine, theirs in (
            (made.data, plain.data),
            (made.indices, plain.indices),
            (made.indptr, plain.indptr),
        ):
            assert not np.shares_memory(mine, theirs)


@pytest.mark.parametrize(
    ("given", "options", "text"),
    [
        (ROWS, {"shape": (4,)}, r"\(rows, columns\)"),
        (ROWS, {"shape": (4, 5, 1)}, r"\(rows, columns\)"),
        (ROWS, {"shape": (5, 5)}, "5 rows must have length 6: 5"),
        (ROWS, {"shape": (-4, 5)}, "negative"),
        (([1.0, 2], *ROWS[1:]), {}, "2 values and 5 indices"),
        ((ROWS[0], [0, 2, 1, 0, 1.5], ROWS[2]), {}, "indices must be integers"),
        ((ROWS[0], [0, 2, 1, 0, np.inf], ROWS[2]), {}, "indices must be integers"),
        ((ROWS[0], [ROWS[1]], ROWS[2]), {}, "one dimension"),
        ((ROWS[0], ROWS[1], [1, 2, 2, 3, 5]), {}, "start with 0: 1"),
        ((ROWS[0], ROWS[1], [0, 2, 2, 3, 6]), {}, "end with 5"),
        (([], [], [0, 0]), {}, "needs shape="),
        (KERNEL_DIRS, {"shape": (2, 5)}, "exceeds|row"),
        (([1.0], ([0, 1], [0, 1])), {}, "csr_matrix:"),
        (([1.0], ([0],)), {}, "takes two arrays"),
        (([], ([], [])), {}, "csr_matrix:"),
        ((3, 4), {"shape": (3, 5)}, r"\(3, 5\), but the given matrix has shape \(3, 4\)"),
        (DENSE, {"shape": (4, 6)}, r"\(4, 6\), but the given matrix has shape \(4, 5\)"),
        (scipy.sparse.csr_matrix(DENSE), {"shape": (2, 10)}, "the given matrix has shape"),
        ((3.0, 4.0), {}, r"\(rows, columns\)"),
        ((-1, 4), {}, "negative"),
        (([1, 0], [0, 2]), {}, r"\(rows, columns\)"),
        ((1, 2, 3, 4), {}, "not one of 4"),
        ([1, 0], {}, r"not one of shape \(2,\)"),
        ([[[1, 0]]], {}, r"not one of shape \(1, 1, 2\)"),
        (5, {}, r"not one of shape \(\)"),
        ([["a"]], {}, "numeric"),
        ([[1], [1, 2]], {}, "csr_matrix:|numeric"),
        ([[1]], {"dtype": "no such"}, "no such"),
        (scipy.sparse.coo_array(np.ones(3)), {}, "rows, columns"),
    ],
)
def test_mistakes_are_refused(given: Any, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        sparse.csr_matrix(given, **options)


def test_dtypes_that_the_libraries_lack_are_refused(ctx: mx.Context) -> None:
    with pytest.raises(UnsupportedError, match="float16"):
        sparse.csr_matrix(DENSE, ctx=ctx, dtype="float16")
    with pytest.raises(UnsupportedError, match="float16"):
        sparse.zeros("csr", (2, 2), ctx, "float16")


@pytest.mark.gpu
def test_whole_numbers_are_refused_on_the_gpu() -> None:
    with pytest.raises(UnsupportedError, match="not of int32"):
        sparse.csr_matrix(DENSE, ctx="gpu", dtype="int32")
    whole = sparse.csr_matrix(DENSE, ctx="cpu", dtype="int32")
    with pytest.raises(UnsupportedError, match="not of int32"):
        whole.as_in_context("gpu")
    _check(sparse.csr_matrix(whole, ctx="gpu", dtype="float32"), mx.gpu(0))


@pytest.mark.parametrize(
    "call",
    [
        lambda ctx: sparse.csr_matrix(object(), ctx=ctx),
        lambda ctx: sparse.zeros("csr", (2, 3), ctx),
        lambda ctx: sparse.array(scipy.sparse.csr_matrix(DENSE), ctx),
        lambda ctx: sparse.csr_matrix(DENSE, ctx="cpu").as_in_context(ctx),
        lambda ctx: sparse.csr_matrix(DENSE, ctx="cpu").copyto(ctx),
    ],
)
def test_a_gpu_that_is_not_there(call: Callable[[mx.Context], Any]) -> None:
    with pytest.raises(ContextError):
        call(mx.gpu(mx.num_gpus()))


def test_the_current_context_decides(ctx: mx.Context) -> None:
    with ctx:
        assert sparse.zeros("csr", (2, 3)).context == ctx
        _check(sparse.csr_matrix(ROWS), ctx)
        _check(sparse.array(scipy.sparse.csr_matrix(DENSE)), ctx)


def test_array_takes_sparse_matrices_only(ctx: mx.Context) -> None:
    plain = scipy.sparse.csr_matrix(DENSE, dtype=np.float64)
    _check(sparse.array(plain, ctx), ctx, np.float64)
    _check(sparse.array(plain.tocsc(), ctx, "float32"), ctx)
    _check(sparse.array(sparse.array(plain, ctx), ctx), ctx, np.float64)
    _check(mx.nd.array(plain, ctx), ctx, np.float64)  # type: ignore[arg-type]
    _check(mx.nd.array(plain, ctx, "float32"), ctx)  # type: ignore[arg-type]
    for dense in (DENSE, DENSE.tolist(), mx.nd.array(DENSE, ctx)):
        with pytest.raises(ArgumentError, match=r"use nd\.array"):
            sparse.array(dense, ctx)


def test_row_sparse_is_not_offered() -> None:
    made = sparse.csr_matrix(ROWS)
    for call in (
        lambda: sparse.zeros("row_sparse", (2, 3)),
        lambda: made.tostype("row_sparse"),
        lambda: mx.nd.zeros((2, 3)).tostype("row_sparse"),
    ):
        with pytest.raises(UnsupportedError, match="row_sparse"):
            call()
    for call in (
        lambda: sparse.zeros("default", (2, 3)),
        lambda: sparse.zeros("other", (2, 3)),
        lambda: made.tostype("other"),
        lambda: sparse.zeros("csr", (2,)),  # type: ignore[arg-type]
        lambda: sparse.zeros("csr", 5),  # type: ignore[arg-type]
    ):
        with pytest.raises(ArgumentError):
            call()


def test_wrap_shares_memory() -> None:
    for index in (np.int32, np.int64):
        plain = scipy.sparse.csr_matrix(DENSE)
        plain.indices, plain.indptr = plain.indices.astype(index), plain.indptr.astype(index)
        for source in (plain, scipy.sparse.csr_array(plain)):
            source.indices, source.indptr = plain.indices, plain.indptr
            wrapped = sparse.wrap(source)
            assert wrapped.data is source.data and wrapped.indices is plain.indices
            assert wrapped.indptr is plain.indptr and wrapped.indices.dtype == index
            _check(wrapped, mx.cpu())
            assert sparse.wrap(wrapped) is wrapped
            back = wrapped.asscipy()
            assert type(back) is scipy.sparse.csr_matrix and back.data is source.data
    plain.data[0] = 9
    assert wrapped.asnumpy()[0, 0] == 9


@pytest.mark.gpu
@pytest.mark.parametrize(
    "operate",
    [
        lambda matrix: matrix * 2,
        lambda matrix: matrix[1:3],
        lambda matrix: matrix.copy(),
        lambda matrix: matrix.T,
        lambda matrix: matrix.astype("float64"),
        lambda matrix: matrix.asnumpy(),
        lambda matrix: matrix.check_format(),
        lambda matrix: matrix.check_format(full_check=False),
        lambda matrix: matrix.copyto(mx.cpu()),
        lambda matrix: matrix.tostype("default"),
        lambda matrix: sparse.csr_matrix(DENSE, ctx="gpu") + matrix,
        lambda matrix: mx.nd.dot(matrix, mx.nd.ones((5, 2), ctx="gpu")),
        lambda matrix: mx.nd.dot(matrix, mx.nd.ones((4, 2), ctx="gpu"), transpose_a=True),
    ],
)
@pytest.mark.parametrize("device_memory", [0, None])
def test_each_kind_of_operation_on_another_stream(
    device_memory: int | None, operate: Callable[[Any], Any]
) -> None:
    """It waits for the matrix, and its memory for it."""
    import cupy

    with cupy.cuda.Device(0):
        stream = cupy.cuda.Stream(non_blocking=True)
    rows = sparse.csr_matrix(np.tile(DENSE, (3, 1)))
    for batch in mx.io.NDArrayIter(rows, None, 4, ctx="gpu", device_memory=device_memory):
        (matrix,) = batch.data
        del batch
        with stream:
            operate(matrix)
        del matrix


@pytest.mark.gpu
def test_a_stream_that_is_recorded() -> None:
    import cupy

    with cupy.cuda.Device(0):
        stream = cupy.cuda.Stream(non_blocking=True)
    rows = sparse.csr_matrix(np.tile(DENSE, (3, 1)))
    found = []
    for batch in mx.io.NDArrayIter(rows, None, 4, ctx="gpu", device_memory=0):
        batch.data[0].record_stream(stream)
        with stream:
            found.append(cupy.array(batch.data[0].data))
        del batch
    sparse.csr_matrix(DENSE).record_stream(stream)  # on the host, it does nothing
    stream.synchronize()
    for values in found:
        np.testing.assert_array_equal(values.get(), ROWS[0])


@pytest.mark.gpu
def test_wrap_shares_memory_on_the_gpu() -> None:
    import cupyx.scipy.sparse

    plain = cupyx.scipy.sparse.csr_matrix(scipy.sparse.csr_matrix(DENSE))
    wrapped = sparse.wrap(plain)
    assert wrapped.data is plain.data and wrapped.indices is plain.indices
    assert wrapped.indptr is plain.indptr
    _check(wrapped, mx.gpu(0))
    _check(sparse.csr_matrix(plain, ctx="gpu"), mx.gpu(0))
    _check(sparse.csr_matrix(plain.tocsc(), ctx="gpu"), mx.gpu(0))
    assert sparse.array(plain, "gpu").data is not plain.data


def test_wrap_refuses_what_is_not_csr() -> None:
    for other in (
        DENSE,
        [1],
        scipy.sparse.csc_matrix(DENSE),
        scipy.sparse.coo_matrix(DENSE),
        scipy.sparse.csr_array(np.ones(3)),
    ):
        with pytest.raises(ArgumentError, match=r"sparse\.wrap takes"):
            sparse.wrap(other)


def test_moving_and_copying(ctx: mx.Context) -> None:
    made = sparse.csr_matrix(ROWS, ctx=ctx)
    assert made.as_in_context(ctx) is made and made.as_in_ctx(repr(ctx)) is made
    for here in (made.as_in_context("cpu"), made.copyto("cpu"), made.as_in_context(mx.cpu(1))):
        _check(here, mx.cpu())
    copied = made.copyto(ctx)
    with on_device(ctx):  # plain arrays
        copied.data[0] = 9
    _check(made, ctx)
    back = made.as_in_context("cpu").as_in_context(ctx)
    _check(back, ctx)
    _check(made.copy(), ctx)


def test_copyto_another_array(ctx: mx.Context) -> None:
    made = sparse.csr_matrix(ROWS, ctx=ctx)
    target = sparse.csr_matrix(DENSE[::-1, ::-1].copy(), ctx=ctx, dtype="float64")
    assert target.has_sorted_indices
    assert made.copyto(target) is target
    _check(target, ctx, np.float64)
    with on_device(ctx):  # plain arrays
        target.data[0] = 9
    _check(made, ctx)
    unsorted = sparse.csr_matrix(([1, 2], [2, 0], [0, 2]), (1, 3), ctx)
    tidy = sparse.csr_matrix(([1, 2], [0, 2], [0, 2]), (1, 3), ctx)
    assert tidy.has_sorted_indices
    assert not unsorted.copyto(tidy).has_sorted_indices
    dense = mx.nd.zeros((4, 5), ctx, "int32")
    assert made.copyto(dense) is dense
    np.testing.assert_array_equal(dense.asnumpy(), DENSE)
    with pytest.raises(ArgumentError, match="same matrix"):
        made.copyto(made)
    for other in (sparse.zeros("csr", (4, 6), ctx), mx.nd.zeros((4, 6), ctx)):
        with pytest.raises(ArgumentError, match="differ"):
            made.copyto(other)
    with pytest.raises(ArgumentError, match="copyto takes"):
        made.copyto(5)  # type: ignore[arg-type]


def test_tostype(ctx: mx.Context) -> None:
    made = sparse.csr_matrix(ROWS, ctx=ctx)
    assert made.tostype("csr") is made
    dense = made.tostype("default")
    assert isinstance(dense, mx.nd.NDArray) and dense.context == ctx and dense.stype == "default"
    np.testing.assert_array_equal(dense.asnumpy(), DENSE)
    assert dense.tostype("default") is dense
    _check(dense.tostype("csr"), ctx)
    with pytest.raises(ArgumentError, match="not one of shape"):
        dense[0].tostype("csr")


def test_printing_is_mxnets(ctx: mx.Context) -> None:
    for made in (sparse.csr_matrix(ROWS, ctx=ctx), sparse.zeros("csr", (4, 5), ctx)):
        assert repr(made) == str(made) == f"\n<CSRNDArray 4x5 @{ctx}>"


def test_rows(ctx: mx.Context) -> None:
    made = sparse.csr_matrix(ROWS, ctx=ctx)
    _check(made[1:3], ctx, dense=DENSE[1:3])
    _check(made[2:99], ctx, dense=DENSE[2:])
    _check(made[:], ctx)
    _check(made[0], ctx, dense=DENSE[:1])
    _check(made[-1], ctx, dense=DENSE[3:])
    _check(made[[3, 0, 3]], ctx, dense=DENSE[[3, 0, 3]])
    _check(made[2:2], ctx, dense=np.zeros((0, 5)))
    _check(made[[1]], ctx, dense=DENSE[1:2])
    _check(made[2:2][0:0], ctx, dense=np.zeros((0, 5)))


def test_results_stay_csr(ctx: mx.Context) -> None:
    made = sparse.csr_matrix(ROWS, ctx=ctx)
    _check(made.astype("float64"), ctx, np.float64)
    _check(made * 2, ctx, dense=2 * DENSE)
    _check(made + made, ctx, dense=2 * DENSE)


def test_pickle_and_copy(ctx: mx.Context) -> None:
    for made in (sparse.csr_matrix(ROWS, ctx=ctx), sparse.csr_matrix(ROWS, ctx=ctx)[2:2]):
        for again in (pickle.loads(pickle.dumps(made)), copy.copy(made), copy.deepcopy(made)):
            _check(again, ctx, dense=made.asnumpy())
            with on_device(ctx):  # plain arrays
                again.data[:] = 7
            assert 7 not in made.asnumpy()


def test_neither_scipy_nor_cupy_is_imported_before_it_is_needed() -> None:
    code = """
import sys
import gpuio as mx
mx.nd.sparse.CSRNDArray, mx.nd.array([1]).stype
print("scipy" in sys.modules, "cupy" in sys.modules)
mx.nd.sparse.csr_matrix(([1], [0], [0, 1])).tostype("default")
print("scipy.sparse" in sys.modules, "cupy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "False False\nTrue False\n", done.stderr
