"""CSRNDArray: MXNet's methods on the CSR matrices of SciPy (CPU) and CuPy (GPU).

A CSRNDArray *is* a scipy.sparse.csr_matrix or a cupyx.scipy.sparse.csr_matrix with more methods.
Both classes are created when first needed, because SciPy and CuPy are slow to import.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from gpuio.context import Context, as_context, device_of, on_device, require
from gpuio.errors import ArgumentError, UnsupportedError
from gpuio.nd.conversion import as_dtype, check_stype, convert
from gpuio.nd.csr_format import check_columns, check_ends, check_order, check_rises
from gpuio.nd.device_memory import hand_over, usage_of
from gpuio.nd.ndarray import NDArray, storage_types
from gpuio.nd.ndarray import wrap as wrap_dense
from gpuio.nd.placement import common_context, host_array, on_context, to_gpu, wait_for
from gpuio.nd.shapes import check_memory
from gpuio.nd.types import (
    Array,
    CSRMatrix,
    DType,
    HostArray,
    Index,
    Operand,
    Scalar,
    SupportsToCSR,
    Untyped,
    Values,
)

__all__ = ["CSRNDArray", "array", "csr_matrix", "wrap", "zeros"]

if TYPE_CHECKING:
    from typing_extensions import Self

# Operators that every object has.
_COMPARISONS = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")

# The dtypes of CuPy's sparse matrices: those that cuSPARSE computes with.
_ON_GPU = ("bool", "float32", "float64", "complex64", "complex128")


class CSRNDArray:
    """A matrix of compressed sparse rows on a device, with MXNet's methods.

    Created by `csr_matrix`, `array`, `zeros`, `wrap` and the iterators; every instance is also a
    scipy.sparse.csr_matrix or a cupyx.scipy.sparse.csr_matrix.

    Attributes
    ----------
    data : (nnz,) on `context`; the stored values
    indices : int32 or int64 (nnz,) on `context`; the column of each value
    indptr : of the dtype of `indices`, (rows + 1,) on `context`; where each row begins in `data`
    stype : "csr"
    """

    __slots__ = ()

    stype = "csr"

    if TYPE_CHECKING:
        data: Array
        indices: Array
        indptr: Array
        shape: tuple[int, int]
        dtype: DType

        def __init__(
            self, arg1: Values, shape: tuple[int, int] | None = ..., dtype: DTypeLike | None = ...
        ) -> None: ...
        def __getitem__(self, key: Index, /) -> Self: ...
        def __mul__(self, other: Operand, /) -> Self: ...
        def __matmul__(self, other: Operand, /) -> Scalar: ...
        def astype(self, dtype: DTypeLike) -> Self: ...  # noqa: D102  # these are SciPy's
        def copy(self) -> Self: ...  # noqa: D102
        def tocsr(self) -> Self: ...  # noqa: D102
        def __getattr__(self, name: str) -> Untyped: ...  # the rest is SciPy's and CuPy's

    @property
    def context(self) -> Context:
        """The device that holds the matrix."""
        return device_of(self.data)

    ctx = context

    def asnumpy(self) -> HostArray:
        """The matrix as a dense numpy.ndarray (rows, columns) of its dtype.

        Raises
        ------
        ArgumentError : an index or a row's start is outside the matrix.
        """
        host = self.asscipy()
        # SciPy would write outside of the array.
        check_ends(host)
        check_rises(host.indptr)
        check_columns(host.indices[: host.indptr[-1]], host.indptr, host.shape[1])
        return host.toarray()  # type: ignore[no-any-return]

    def asscipy(self) -> Untyped:
        """The matrix as a plain scipy.sparse.csr_matrix: on the CPU the same memory, from a GPU a
        copy.
        """
        raise NotImplementedError

    def check_format(self, full_check: bool = True) -> None:
        """Check that data, indices and indptr form a valid matrix.

        Parameters
        ----------
        full_check : check every index: in range, ascending within its row, without duplicates; if
            False, only the lengths and ends, in constant time

        Raises
        ------
        ArgumentError : they do not; the message says what is wrong, and in which row.
        """
        with on_device(self.context):
            _hand_over(self)
            check_ends(self)
        if not full_check:
            return
        begin, end = host_array(self.indptr), len(self.indices)
        if begin[-1] != end:
            raise ArgumentError(f"indptr must end with {end}, the number of indices: {begin[-1]}")
        indices = host_array(self.indices)
        check_rises(begin)
        check_columns(indices, begin, self.shape[1])
        check_order(indices, begin)

    def as_in_context(self, ctx: Context | str) -> CSRNDArray:
        """The matrix on `ctx`: itself if it is there already, else a copy.

        Raises
        ------
        ContextError : the device is not available.
        UnsupportedError : the device is a GPU, and CuPy has no sparse matrices of this dtype.
        """
        ctx = as_context(ctx)
        current = self.context
        if ctx == current or ctx.device_type == current.device_type == "cpu":
            return self
        return _place(self, ctx, self.dtype)

    as_in_ctx = as_in_context

    def copyto(self, other: Context | str | CSRNDArray | NDArray) -> CSRNDArray | NDArray:
        """Copy to a device as a new matrix; or into another matrix or a dense array of the same
        shape, which keeps its dtype and is returned.

        Raises
        ------
        ArgumentError : the shapes differ, or `other` is this matrix.
        """
        if isinstance(other, (Context, str)):
            return _place(self, as_context(other), self.dtype, copy=True)
        if not isinstance(other, (CSRNDArray, NDArray)):
            raise ArgumentError(
                f"copyto takes a Context, a CSRNDArray or an NDArray, not {type(other).__name__}"
            )
        if other is self:
            raise ArgumentError("copyto: the source and the target are the same matrix")
        if other.shape != self.shape:
            raise ArgumentError(f"copyto: the shapes {self.shape} and {other.shape} differ")
        if isinstance(other, NDArray):
            return self._dense().copyto(other)
        copied = _place(self, other.context, other.dtype, copy=True)
        other.__dict__.clear()  # also what SciPy caches about the order of the old values
        other.__dict__.update(copied.__dict__)
        return other

    def tostype(self, stype: str) -> CSRNDArray | NDArray:
        """Convert to a storage type: "csr" is the matrix itself, "default" a new NDArray (rows,
        columns) on the same device.

        Raises
        ------
        UnsupportedError : `stype` is "row_sparse".
        ArgumentError : `stype` is unknown, or the matrix is invalid (see `asnumpy`).
        """
        return self if check_stype(stype) == "csr" else self._dense()

    def _dense(self) -> NDArray:
        return wrap_dense(self.asnumpy()).as_in_context(self.context)

    def wait_to_read(self) -> None:
        """Wait until the values have been computed; on the CPU they always are."""
        wait_for(self.context)

    def record_stream(self, stream: Untyped) -> None:
        """Say that a matrix on a GPU is used on a stream, too; see `NDArray.record_stream`.

        Raises
        ------
        TypeError : it is no stream.
        """
        for part in _parts(self):
            usage = usage_of(part)
            if usage is not None:
                usage.note_external(stream)

    def __copy__(self) -> CSRNDArray:
        return self.copy()

    def __deepcopy__(self, memo: object) -> CSRNDArray:
        return self.copy()

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"\n<CSRNDArray {rows}x{columns} @{self.context}>"

    __str__ = __repr__


@functools.cache
def _host_class() -> type[CSRNDArray]:
    """The class of CSRNDArrays on the CPU."""
    import scipy.sparse

    class HostCSR(CSRNDArray, scipy.sparse.csr_matrix):  # type: ignore[misc]
        """A CSRNDArray on the CPU."""

        def asscipy(self) -> Untyped:
            return _with_same_parts(scipy.sparse.csr_matrix, self)

        def check_format(self, full_check: bool = True) -> None:
            super().check_format(full_check)
            # SciPy's constructor calls this with False, and expects unused capacity to be cut off.
            if len(self.indices) > self.indptr[-1]:
                self.prune()

        def __reduce__(self) -> tuple[Callable[[CSRMatrix], CSRNDArray], tuple[CSRMatrix]]:
            return wrap, (self.asscipy(),)

    return HostCSR


@functools.cache
def _device_class() -> type[CSRNDArray]:
    """The class of CSRNDArrays on a GPU."""
    import cupy
    import cupyx.scipy.sparse

    class DeviceCSR(CSRNDArray, cupyx.scipy.sparse.csr_matrix):  # type: ignore[misc]
        """A CSRNDArray on a GPU."""

        @property
        def device(self) -> cupy.cuda.Device:
            return self.data.device  # type: ignore[attr-defined]

        def asscipy(self) -> Untyped:
            return self.get()

        def __reduce__(
            self,
        ) -> tuple[Callable[..., CSRNDArray], tuple[CSRMatrix, tuple[int, int], str, DType]]:
            return csr_matrix, (self.asscipy(), self.shape, repr(self.context), self.dtype)

    # All methods and operators, and the properties that compute: CuPy works on the current device.
    library = cupyx.scipy.sparse.csr_matrix
    for name in {*dir(library)} - {*dir(CSRNDArray)} | set(_COMPARISONS):
        public = not name.startswith("_") or name.endswith("__")
        if public and inspect.isfunction(getattr(library, name)):
            setattr(DeviceCSR, name, _on_own_device(name, getattr(library, name)))
    for name in {"has_canonical_format", "has_sorted_indices", "imag", "real"} & {*dir(library)}:
        computed = getattr(library, name)
        setattr(DeviceCSR, name, property(_on_own_device(name, computed.fget), computed.fset))
    return DeviceCSR


def _parts(matrix: CSRMatrix) -> tuple[Array, Array, Array]:
    return matrix.data, matrix.indices, matrix.indptr


def _hand_over(*values: Values) -> None:
    """Hand the parts of the matrices on a GPU among values over to the current stream."""
    for matrix in values:
        if hasattr(matrix, "indptr"):
            for part in _parts(matrix):
                hand_over(part)


def _on_own_device(name: str, method: Callable[..., Values]) -> Callable[..., Values]:
    """A method of CuPy's matrices on the device of its matrix; it gives CSRNDArrays."""

    @functools.wraps(method)
    def call(self: CSRNDArray, *args: Values, **options: Values) -> Values:
        given = [each.data if hasattr(each, "indptr") else each for each in (self, *args)]
        ctx = common_context(name, given)
        with on_device(ctx):
            _hand_over(self, *args)
            made = method(self, *on_context(args, ctx), **on_context(options, ctx))
        return wrap(made) if getattr(made, "format", "") == "csr" else made

    return call


def wrap(matrix: CSRMatrix) -> CSRNDArray:
    """View a CSR matrix of SciPy or CuPy as a CSRNDArray: same memory and device.

    Parameters
    ----------
    matrix : csr_matrix, or a csr_array (rows, columns), of scipy.sparse or cupyx.scipy.sparse

    Raises
    ------
    ArgumentError : it is something else.
    """
    if isinstance(matrix, CSRNDArray):
        return matrix
    if getattr(matrix, "format", None) != "csr" or len(matrix.shape) != 2:
        raise ArgumentError(
            "sparse.wrap takes a CSR matrix (rows, columns) of scipy.sparse or "
            f"cupyx.scipy.sparse, not {type(matrix).__name__}; csr_matrix takes more"
        )
    return _with_same_parts(_host_class() if _on_host(matrix) else _device_class(), matrix)


def csr_matrix(
    arg1: Values,
    shape: tuple[int, int] | None = None,
    ctx: Context | str | None = None,
    dtype: DTypeLike | None = None,
) -> CSRNDArray:
    """Create a matrix of compressed sparse rows.

    Parameters
    ----------
    arg1 : one of
        ``(data, indices, indptr)``: row i holds the values ``data[indptr[i]:indptr[i + 1]]`` in the
        columns ``indices[indptr[i]:indptr[i + 1]]``; call `check_format` if they may be wrong;
        ``(data, (row, col))``: values with their rows and columns; duplicates are summed;
        ``(rows, columns)``: an empty matrix;
        a dense matrix (rows, columns): an array on either device, or nested lists;
        a sparse matrix of gpuio, SciPy or CuPy
    shape : (rows, columns); None: that of `arg1`, or up to its last row and column
    ctx : the device; None: the current context
    dtype : None: that of the array or matrix. For lists float64 (or int64) with ``(row, col)``,
        else float32, as in MXNet; float32 also for an empty matrix

    Raises
    ------
    ContextError : the device is not available.
    ArgumentError : `arg1` is none of these, its parts are inconsistent, or its shape is not
        `shape`.
    UnsupportedError : the device's library has no sparse matrices of this dtype.

    Examples
    --------
    >>> csr_matrix(([7, 8, 9], [0, 2, 1], [0, 2, 3]), shape=(2, 3)).asnumpy()
    array([[7., 0., 8.],
           [0., 9., 0.]], dtype=float32)
    """
    ctx = as_context(ctx)
    require(ctx)
    shape = None if shape is None else _matrix_shape(shape)
    if hasattr(arg1, "tocsr"):
        matrix, fresh = _from_sparse(arg1), False
    else:
        matrix, fresh = _create(arg1, shape, dtype), True
    if shape is not None and matrix.shape != shape:
        raise ArgumentError(f"shape is {shape}, but the given matrix has shape {matrix.shape}")
    target = matrix.dtype if dtype is None else as_dtype(dtype)
    return _place(matrix, ctx, target, copy=not fresh)


def array(
    source_array: SupportsToCSR, ctx: Context | str | None = None, dtype: DTypeLike | None = None
) -> CSRNDArray:
    """Create a CSR matrix from another sparse matrix.

    Parameters
    ----------
    source_array : a sparse matrix of gpuio, SciPy or CuPy
    ctx : the device; None: the current context
    dtype : None: that of the source

    Raises
    ------
    ContextError : the device is not available.
    ArgumentError : the source is not sparse.
    """
    if not hasattr(source_array, "tocsr"):
        raise ArgumentError(
            f"sparse.array takes a sparse matrix, not {type(source_array).__name__}; use nd.array, "
            "or sparse.csr_matrix to convert a dense array"
        )
    return csr_matrix(source_array, ctx=ctx, dtype=dtype)


def zeros(
    stype: str,
    shape: tuple[int, int],
    ctx: Context | str | None = None,
    dtype: DTypeLike | None = None,
) -> CSRNDArray:
    """Create an empty matrix.

    Parameters
    ----------
    stype : "csr"
    shape : (rows, columns)
    ctx : the device; None: the current context
    dtype : None: float32

    Raises
    ------
    ContextError : the device is not available.
    UnsupportedError : `stype` is "row_sparse".
    ArgumentError : another argument is wrong.
    """
    if check_stype(stype) != "csr":
        raise ArgumentError(f"sparse.zeros makes 'csr', not {stype!r}; use nd.zeros")
    return csr_matrix(_matrix_shape(shape), ctx=ctx, dtype=dtype)


def _matrix_shape(shape: Iterable[int]) -> tuple[int, int]:
    try:
        rows, columns = map(operator.index, shape)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"the shape of a sparse matrix is (rows, columns), not {shape!r}"
        ) from error
    if rows < 0 or columns < 0:
        raise ArgumentError(f"a shape has no negative dimensions: {shape!r}")
    return rows, columns


def _on_host(matrix: CSRMatrix) -> bool:
    # CuPy's matrices do not tell their device; their arrays do.
    return isinstance(matrix.data, np.ndarray)


def _with_same_parts(kind: type[CSRNDArray], matrix: CSRMatrix) -> CSRNDArray:
    """A matrix of class `kind` that shares all parts: constructors would check, and might convert,
    every index.
    """
    made = kind.__new__(kind)
    made.__dict__.update(matrix.__dict__)
    return made


def _place(matrix: CSRMatrix, ctx: Context, dtype: DType, copy: bool = False) -> CSRNDArray:
    """The matrix on `ctx` in `dtype`; the same memory if it is there already, unless `copy`."""
    require(ctx)
    if ctx.device_type == "cpu":
        was_on_host = _on_host(matrix)
        host = wrap(matrix if was_on_host else wrap(matrix).asscipy())
        if host.dtype != dtype:
            return host.astype(_for_scipy(dtype))
        return host.copy() if copy and was_on_host else host
    if dtype.name not in _ON_GPU:
        raise UnsupportedError(
            f"CuPy has sparse matrices of {', '.join(_ON_GPU)}, not of {dtype}; ask for another "
            "dtype, or use ctx=cpu()"
        )
    with on_device(ctx):
        data, *positions = (to_gpu(each, ctx, copy) for each in _parts(matrix))
        parts = (data.astype(dtype, copy=False), *positions)
        return _device_class()(parts, shape=matrix.shape)


def _for_scipy(dtype: DType) -> DType:
    """The dtype, if SciPy has sparse matrices of it."""
    if dtype.kind not in "biufc" or dtype == np.float16:
        raise UnsupportedError(
            f"SciPy has no sparse matrices of {dtype}; ask for another dtype, such as float32"
        )
    return dtype


def _from_sparse(matrix: SupportsToCSR) -> CSRNDArray:
    """A sparse matrix of any library and format as CSR, on its device."""
    if len(matrix.shape) != 2:
        raise ArgumentError(f"a sparse matrix is (rows, columns), not {matrix.shape}")
    return wrap(matrix.tocsr())


def _create(arg1: Values, shape: tuple[int, int] | None, dtype: DTypeLike | None) -> CSRNDArray:
    """A new matrix on the host from a non-sparse argument of `csr_matrix`."""
    try:
        if not isinstance(arg1, tuple):
            return _from_dense(arg1, dtype)
        if len(arg1) == 3:
            return _from_rows(*arg1, shape, dtype)
        if len(arg1) == 2 and isinstance(arg1[1], tuple):
            return _from_coordinates(arg1[0], arg1[1], shape, dtype)
    except (ArgumentError, UnsupportedError):
        raise
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"csr_matrix: {error}") from error
    if len(arg1) == 2:
        target = as_dtype(np.float32 if dtype is None else dtype)
        rows, columns = _matrix_shape(arg1)
        check_memory("the row offsets of a CSR matrix", (rows + 1,), 8)
        return _host_class()((rows, columns), dtype=_for_scipy(target))
    raise ArgumentError(
        "a tuple for csr_matrix is (data, indices, indptr), (data, (row, col)) or (rows, columns), "
        f"not one of {len(arg1)}; make a dense matrix an array or a list of lists"
    )


def _values(
    given: ArrayLike | Array, dtype: DTypeLike | None, default: DTypeLike | None = None
) -> Array:
    """New values on the host: in `dtype`, else in their own dtype, else (lists) in `default`."""
    values = np.asarray(host_array(given))
    if dtype is not None:
        target = as_dtype(dtype)
    elif default is None or hasattr(given, "dtype"):
        target = values.dtype
    else:
        target = np.dtype(default)
    return convert(values, _for_scipy(target))


def _positions(name: str, given: ArrayLike | Array) -> HostArray:
    """New int64 indices on the host; floats, which NDArrays often are, must be integral."""
    values = np.asarray(host_array(given))
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise ArgumentError(
            f"{name} must be integers in one dimension, not {values.dtype} {values.shape}"
        )
    with np.errstate(invalid="ignore"):  # NaN becomes some integer, and differs from it
        integers = values.astype(np.int64)
    if not np.array_equal(integers, values):
        raise ArgumentError(f"{name} must be integers: {values}")
    return integers


def _from_rows(
    data: ArrayLike | Array,
    indices: ArrayLike | Array,
    indptr: ArrayLike | Array,
    shape: tuple[int, int] | None,
    dtype: DTypeLike | None,
) -> CSRNDArray:
    columns, begins = _positions("indices", indices), _positions("indptr", indptr)
    if shape is None:
        if not len(columns) or not len(begins):
            raise ArgumentError("csr_matrix needs shape=(rows, columns) if there are no values")
        shape = (len(begins) - 1, int(columns.max()) + 1)
    return _host_class()((_values(data, dtype, np.float32), columns, begins), shape=shape)


def _from_coordinates(
    data: ArrayLike | Array,
    coordinates: Sequence[ArrayLike | Array],
    shape: tuple[int, int] | None,
    dtype: DTypeLike | None,
) -> CSRNDArray:
    if len(coordinates) != 2:
        raise ArgumentError(
            f"(data, (row, col)) takes two arrays of indices, not {len(coordinates)}"
        )
    row, column = map(_positions, ("row", "col"), coordinates)
    return _host_class()((_values(data, dtype), (row, column)), shape=shape)


def _from_dense(values: ArrayLike | Array, dtype: DTypeLike | None) -> CSRNDArray:
    dense = _values(values, dtype, np.float32)
    if dense.ndim != 2:
        raise ArgumentError(
            f"csr_matrix takes a dense matrix (rows, columns), not one of shape {dense.shape}"
        )
    return _host_class()(dense)


def _from_ndarray(values: NDArray) -> CSRNDArray:
    return csr_matrix(values, ctx=values.context)


storage_types["csr"] = _from_ndarray
