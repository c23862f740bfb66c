"""MXNet's CSRNDArray over the sparse matrices that everybody has: SciPy's on the CPU, CuPy's on a
GPU.

A CSRNDArray *is* a scipy.sparse.csr_matrix or a cupyx.scipy.sparse.csr_matrix, with MXNet's methods
beside its own. Both classes are made when they are first needed, because SciPy and CuPy take a
while to import.
"""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from gpuio.context import Context, as_context, device_of, require
from gpuio.errors import ArgumentError, UnsupportedError
from gpuio.nd.array import NDArray, as_dtype, converted, wait_for
from gpuio.nd.array import wrap as wrap_dense
from gpuio.nd.csr_format import check_columns, check_ends, check_order, check_rises

__all__ = ["CSRNDArray", "array", "csr_matrix", "wrap", "zeros"]

if TYPE_CHECKING:
    _Base = Any
else:
    _Base = object

# What CuPy's sparse matrices hold (cuSPARSE computes with nothing else).
_ON_GPU = ("bool", "float32", "float64", "complex64", "complex128")


class CSRNDArray(_Base):  # type: ignore[misc]
    """A matrix of compressed sparse rows on a device, with MXNet's methods.

    Made by `csr_matrix`, `array`, `zeros`, `wrap` and the iterators; its instances are also
    scipy.sparse.csr_matrix or cupyx.scipy.sparse.csr_matrix, whose methods and operators they have.

    Attributes
    ----------
    data : (nnz,) on `context`; the stored values
    indices : int32 or int64 (nnz,) on `context`; the column of each value
    indptr : of the dtype of `indices`, (rows + 1,) on `context`; where each row begins in `data`
    stype : "csr"
    """

    __slots__ = ()

    stype = "csr"

    @property
    def context(self) -> Context:
        """The device on which the matrix lives."""
        return device_of(self.data)

    ctx = context

    def asnumpy(self) -> np.ndarray[Any, Any]:
        """The matrix as a dense numpy.ndarray (rows, columns) of its dtype.

        Raises
        ------
        ArgumentError : a column or a row's beginning lies outside of the matrix.
        """
        host = self.asscipy()
        # SciPy would write outside of the array.
        check_ends(host)
        check_rises(host.indptr)
        check_columns(host.indices[: host.indptr[-1]], host.indptr, host.shape[1])
        return host.toarray()  # type: ignore[no-any-return]

    def asscipy(self) -> Any:
        """The matrix as a plain scipy.sparse.csr_matrix: on the CPU the same memory, from a GPU a
        copy.
        """
        raise NotImplementedError

    def check_format(self, full_check: bool = True) -> None:
        """Check that the parts of the matrix make a matrix.

        Parameters
        ----------
        full_check : look at each index: ascending in its row, none twice, none outside; else only
            at the parts' lengths and ends, in constant time

        Raises
        ------
        ArgumentError : they do not; the text says what is wrong, and in which row.
        """
        check_ends(self)
        if not full_check:
            return
        begin, end = _host(self.indptr), len(self.indices)
        if begin[-1] != end:
            raise ArgumentError(f"indptr must end with {end}, the number of indices: {begin[-1]}")
        indices = _host(self.indices)
        check_rises(begin)
        check_columns(indices, begin, self.shape[1])
        check_order(indices, begin)

    def as_in_context(self, ctx: Context | str) -> CSRNDArray:
        """The matrix on a device: itself if it is there, else a copy.

        Raises
        ------
        ContextError : the device is not there.
        UnsupportedError : the device is a GPU, and CuPy has no sparse matrices of this dtype.
        """
        ctx = as_context(ctx)
        there = self.context
        if ctx == there or ctx.device_type == there.device_type == "cpu":
            return self
        return _place(self, ctx, self.dtype)

    as_in_ctx = as_in_context

    def copyto(self, other: Context | str | CSRNDArray | NDArray) -> CSRNDArray | NDArray:
        """Copy to a device as a new matrix; or into another matrix or a dense array of the same
        shape, which keeps its dtype and is returned.

        Raises
        ------
        ArgumentError : the shapes differ, or it is the same matrix.
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
            return self.tostype("default").copyto(other)
        copied = _place(self, other.context, other.dtype, copy=True)
        other.__dict__.clear()  # also what SciPy remembers of the old values' order
        other.__dict__.update(copied.__dict__)
        return other

    def tostype(self, stype: str) -> CSRNDArray | NDArray:
        """The matrix in a way of storage: "csr", itself; "default", a new NDArray (rows, columns)
        on the same device.

        Raises
        ------
        UnsupportedError : it is "row_sparse".
        ArgumentError : there is no such way, or the matrix is damaged (see `asnumpy`).
        """
        if check_stype(stype) == "csr":
            return self
        return wrap_dense(self.asnumpy()).as_in_context(self.context)

    def wait_to_read(self) -> None:
        """Wait until the values are there; on the CPU they always are."""
        wait_for(self.context)

    def __copy__(self) -> CSRNDArray:
        return self.copy()  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: Any) -> CSRNDArray:
        return self.copy()  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"\n<CSRNDArray {rows}x{columns} @{self.context}>"

    __str__ = __repr__


@functools.cache
def _host_class() -> Any:
    """CSRNDArray on the CPU."""
    import scipy.sparse

    class HostCSR(CSRNDArray, scipy.sparse.csr_matrix):  # type: ignore[misc]
        """A CSRNDArray on the CPU."""

        def asscipy(self) -> Any:
            return _same_parts(scipy.sparse.csr_matrix, self)

        def check_format(self, full_check: bool = True) -> None:
            super().check_format(full_check)
            # SciPy's constructor calls this with False, and wants room to spare cut off.
            if len(self.indices) > self.indptr[-1]:
                self.prune()

        def __reduce__(self) -> tuple[Any, ...]:
            return wrap, (self.asscipy(),)

    return HostCSR


@functools.cache
def _device_class() -> Any:
    """CSRNDArray on a GPU."""
    import cupy
    import cupyx.scipy.sparse

    class DeviceCSR(CSRNDArray, cupyx.scipy.sparse.csr_matrix):  # type: ignore[misc]
        """A CSRNDArray on a GPU."""

        @property
        def device(self) -> Any:
            return self.data.device

        def asscipy(self) -> Any:
            with cupy.cuda.Device(self.context.device_id):
                return self.get()

        def __reduce__(self) -> tuple[Any, ...]:
            return csr_matrix, (self.asscipy(), self.shape, repr(self.context), self.dtype)

    return DeviceCSR


def wrap(matrix: Any) -> CSRNDArray:
    """A CSR matrix of SciPy or CuPy as a CSRNDArray: the same memory, on the same device.

    Parameters
    ----------
    matrix : csr_matrix, or a csr_array (rows, columns), of scipy.sparse or cupyx.scipy.sparse

    Raises
    ------
    ArgumentError : it is none.
    """
    if isinstance(matrix, CSRNDArray):
        return matrix
    if getattr(matrix, "format", None) != "csr" or len(matrix.shape) != 2:
        raise ArgumentError(
            "sparse.wrap takes a CSR matrix (rows, columns) of scipy.sparse or "
            f"cupyx.scipy.sparse, not {type(matrix).__name__}; csr_matrix takes more"
        )
    kind = _host_class() if _on_host(matrix) else _device_class()
    return _same_parts(kind, matrix)  # type: ignore[no-any-return]


def csr_matrix(
    arg1: Any,
    shape: tuple[int, int] | None = None,
    ctx: Context | str | None = None,
    dtype: DTypeLike | None = None,
) -> CSRNDArray:
    """A new matrix of compressed sparse rows.

    Parameters
    ----------
    arg1 : one of
        ``(data, indices, indptr)``: row i has the values ``data[indptr[i]:indptr[i + 1]]`` in the
        columns ``indices[indptr[i]:indptr[i + 1]]``; call `check_format` where they may be wrong;
        ``(data, (row, col))``: values with their rows and columns; those in one place are added;
        ``(rows, columns)``: a matrix with no values;
        dense numbers (rows, columns): an array on either device, or lists;
        a sparse matrix of gpuio, SciPy or CuPy
    shape : (rows, columns); None: that of `arg1`, or as far as its last row and column
    ctx : the device; None: the current context
    dtype : None: that of the array or matrix. For lists float64 (or int64) where they come with
        ``(row, col)``, else float32, as in MXNet; float32 also for a matrix with no values

    Raises
    ------
    ContextError : the device is not there.
    ArgumentError : `arg1` is none of these, its parts do not belong together, or `shape` is
        another than its own.
    UnsupportedError : the device's library has no sparse matrices of this dtype.

    Examples
    --------
    >>> csr_matrix(([7, 8, 9], [0, 2, 1], [0, 2, 3]), shape=(2, 3)).asnumpy()
    array([[7., 0., 8.],
           [0., 9., 0.]], dtype=float32)
    """
    ctx = as_context(ctx)
    require(ctx)
    sides = None if shape is None else _sides(shape)
    if hasattr(arg1, "tocsr"):
        matrix, fresh = _of_sparse(arg1), False
    else:
        matrix, fresh = _made(arg1, sides, dtype), True
    if sides is not None and matrix.shape != sides:
        raise ArgumentError(f"shape is {sides}, and the matrix given is {matrix.shape}")
    target = matrix.dtype if dtype is None else as_dtype(dtype)
    return _place(matrix, ctx, target, copy=not fresh)


def array(
    source_array: Any, ctx: Context | str | None = None, dtype: DTypeLike | None = None
) -> CSRNDArray:
    """A new matrix with the values of another sparse one.

    Parameters
    ----------
    source_array : a sparse matrix of gpuio, SciPy or CuPy
    ctx : the device; None: the current context
    dtype : None: that of the source

    Raises
    ------
    ContextError : the device is not there.
    ArgumentError : the source is not sparse.
    """
    if not hasattr(source_array, "tocsr"):
        raise ArgumentError(
            f"sparse.array takes a sparse matrix, not {type(source_array).__name__}; use nd.array, "
            "or sparse.csr_matrix to make a sparse matrix of a dense array"
        )
    return csr_matrix(source_array, ctx=ctx, dtype=dtype)


def zeros(
    stype: str,
    shape: tuple[int, int],
    ctx: Context | str | None = None,
    dtype: DTypeLike | None = None,
) -> CSRNDArray:
    """A matrix with no values.

    Parameters
    ----------
    stype : "csr"
    shape : (rows, columns)
    ctx : the device; None: the current context
    dtype : None: float32

    Raises
    ------
    ContextError : the device is not there.
    UnsupportedError : `stype` is "row_sparse".
    ArgumentError : another argument is wrong.
    """
    if check_stype(stype) != "csr":
        raise ArgumentError(f"sparse.zeros makes 'csr', not {stype!r}; use nd.zeros")
    return csr_matrix(_sides(shape), ctx=ctx, dtype=dtype)


def check_stype(stype: str) -> str:
    """A way of storage that gpuio has: "csr" or "default".

    Raises
    ------
    UnsupportedError : it is MXNet's "row_sparse".
    ArgumentError : there is no such way.
    """
    if stype == "row_sparse":
        raise UnsupportedError("gpuio has no row_sparse arrays; use 'csr' or 'default'")
    if stype not in ("csr", "default"):
        raise ArgumentError(f"stype must be 'csr' or 'default', not {stype!r}")
    return stype


def _sides(shape: Any) -> tuple[int, int]:
    try:
        rows, columns = map(operator.index, shape)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"the shape of a sparse matrix is (rows, columns), not {shape!r}"
        ) from error
    if rows < 0 or columns < 0:
        raise ArgumentError(f"a shape has no negative sides: {shape!r}")
    return rows, columns


def _host(values: Any) -> Any:
    """Values on the host, as an array or as they are."""
    if isinstance(values, NDArray):
        return values.asnumpy()
    return values if device_of(values).device_type == "cpu" else values.get()


def _on_host(matrix: Any) -> bool:
    # Asked of a part, because CuPy's matrices refuse to tell their device.
    return isinstance(matrix.data, np.ndarray)


def _same_parts(kind: Any, matrix: Any) -> Any:
    """A matrix of another class with the same parts: the constructors would look at, and could
    convert, each index.
    """
    made = kind.__new__(kind)
    made.__dict__.update(matrix.__dict__)
    return made


def _place(matrix: Any, ctx: Context, dtype: Any, copy: bool = False) -> CSRNDArray:
    """A CSR matrix on a device, in a dtype; the same memory where it is there already, unless
    `copy`.
    """
    require(ctx)
    if ctx.device_type == "cpu":
        here = _on_host(matrix)
        host = wrap(matrix if here else wrap(matrix).asscipy())
        if host.dtype != dtype:
            return host.astype(_for_scipy(dtype))  # type: ignore[no-any-return]
        return host.copy() if copy and here else host
    if dtype.name not in _ON_GPU:
        raise UnsupportedError(
            f"CuPy has sparse matrices of {', '.join(_ON_GPU)}, not of {dtype}; ask for another "
            "dtype, or use ctx=cpu()"
        )
    import cupy

    with cupy.cuda.Device(ctx.device_id):
        bring = cupy.array if copy else cupy.asarray
        data, *where = map(bring, (matrix.data, matrix.indices, matrix.indptr))
        parts = (data.astype(dtype, copy=False), *where)
        return _device_class()(parts, shape=matrix.shape)  # type: ignore[no-any-return]


def _for_scipy(dtype: Any) -> Any:
    """A dtype that SciPy's sparse matrices can have."""
    if dtype.kind not in "biufc" or dtype == np.float16:
        raise UnsupportedError(
            f"SciPy has no sparse matrices of {dtype}; ask for another dtype, such as float32"
        )
    return dtype


def _of_sparse(matrix: Any) -> Any:
    """A sparse matrix of any library and format as CSR, where it is."""
    if len(matrix.shape) != 2:
        raise ArgumentError(f"a sparse matrix is (rows, columns), not {matrix.shape}")
    rows = matrix.tocsr()
    return rows if isinstance(rows, CSRNDArray) else wrap(rows)


def _made(arg1: Any, shape: tuple[int, int] | None, dtype: Any) -> Any:
    """A new matrix on the host of what is not sparse yet."""
    try:
        if not isinstance(arg1, tuple):
            return _of_dense(arg1, dtype)
        if len(arg1) == 3:
            return _of_rows(*arg1, shape, dtype)
        if len(arg1) == 2 and isinstance(arg1[1], tuple):
            return _of_places(arg1[0], arg1[1], shape, dtype)
    except (ArgumentError, UnsupportedError):
        raise
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"csr_matrix: {error}") from error
    if len(arg1) == 2:
        kept = np.float32 if dtype is None else dtype
        return _host_class()(_sides(arg1), dtype=_for_scipy(as_dtype(kept)))
    raise ArgumentError(
        "a tuple for csr_matrix is (data, indices, indptr), (data, (row, col)) or (rows, columns), "
        f"not one of {len(arg1)}; make a dense matrix an array or a list of lists"
    )


def _values(given: Any, dtype: Any, plain: Any = None) -> np.ndarray[Any, Any]:
    """New values on the host, in a dtype, or in their own if they have one, or in `plain`."""
    values = np.asarray(_host(given))
    if dtype is not None:
        target = as_dtype(dtype)
    else:
        target = values.dtype if plain is None or hasattr(given, "dtype") else np.dtype(plain)
    return converted(values, _for_scipy(target))  # type: ignore[no-any-return]


def _whole(name: str, given: Any) -> np.ndarray[Any, Any]:
    """New indices on the host: whole numbers, also as floats, as which NDArrays often come."""
    values = np.asarray(_host(given))
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise ArgumentError(
            f"{name} must be whole numbers in one axis, not {values.dtype} {values.shape}"
        )
    with np.errstate(invalid="ignore"):  # what is no number becomes another one, and is found
        whole = values.astype(np.int64)
    if not np.array_equal(whole, values):
        raise ArgumentError(f"{name} must be whole numbers: {values}")
    return whole


def _of_rows(
    data: Any, indices: Any, indptr: Any, shape: tuple[int, int] | None, dtype: Any
) -> Any:
    columns, begins = _whole("indices", indices), _whole("indptr", indptr)
    if shape is None:
        if not len(columns) or not len(begins):
            raise ArgumentError("csr_matrix needs shape=(rows, columns) where there are no values")
        shape = (len(begins) - 1, int(columns.max()) + 1)
    return _host_class()((_values(data, dtype, np.float32), columns, begins), shape=shape)


def _of_places(data: Any, where: Any, shape: tuple[int, int] | None, dtype: Any) -> Any:
    if len(where) != 2:
        raise ArgumentError(f"(data, (row, col)) wants two arrays in its second, not {len(where)}")
    row, column = (_whole(name, part) for name, part in zip(("row", "col"), where, strict=True))
    return _host_class()((_values(data, dtype), (row, column)), shape=shape)


def _of_dense(values: Any, dtype: Any) -> Any:
    dense = _values(values, dtype, np.float32)
    if dense.ndim != 2:
        raise ArgumentError(f"csr_matrix wants numbers (rows, columns), not of shape {dense.shape}")
    return _host_class()(dense)
