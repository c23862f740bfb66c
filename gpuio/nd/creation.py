"""Functions that create NDArrays, as in MXNet's ``mx.nd``."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from gpuio.context import Context, as_context, gpus_in_use, num_gpus, on_device, require
from gpuio.errors import ArgumentError
from gpuio.nd.conversion import as_dtype, convert
from gpuio.nd.ndarray import NDArray, place, wrap
from gpuio.nd.shapes import allocating, as_shape
from gpuio.nd.sparse import CSRNDArray
from gpuio.nd.sparse import array as sparse_array
from gpuio.nd.sparse import zeros as sparse_zeros
from gpuio.nd.types import Array, HostArray, Option, SupportsToCSR, Untyped, Values

__all__ = [
    "arange",
    "array",
    "empty",
    "eye",
    "from_dlpack",
    "from_numpy",
    "full",
    "linspace",
    "ones",
    "to_dlpack_for_read",
    "to_dlpack_for_write",
    "waitall",
    "zeros",
]


# DLPack's device types (dlpack.h, DLDeviceType).
_DLPACK_CPU, _DLPACK_CUDA, _DLPACK_PINNED = 1, 2, 3


@overload
def array(
    source: SupportsToCSR, ctx: Context | str | None = ..., dtype: DTypeLike | None = ...
) -> CSRNDArray: ...
@overload
def array(
    source: ArrayLike | Array | Sequence[NDArray],
    ctx: Context | str | None = ...,
    dtype: DTypeLike | None = ...,
) -> NDArray: ...
def array(
    source: Values, ctx: Context | str | None = None, dtype: DTypeLike | None = None
) -> NDArray | CSRNDArray:
    """Create an array from values on either device.

    Parameters
    ----------
    source : a number, nested lists, an array on either device, a list of NDArrays of one shape, or
        whatever NumPy makes an array of; a sparse matrix becomes a CSRNDArray, see `sparse.array`
    ctx : the device; None: the current context
    dtype : None: that of an NDArray or sparse matrix, else float32, as in MXNet

    Raises
    ------
    ContextError : the device is not available.
    ArgumentError : the source is not a rectangular numeric array.
    """
    ctx = as_context(ctx)
    require(ctx)
    if hasattr(source, "tocsr"):
        return sparse_array(source, ctx, dtype)
    if dtype is None:
        dtype = source.dtype if isinstance(source, NDArray) else np.float32
    return place(convert(source, as_dtype(dtype)), ctx)


def empty(
    shape: int | Sequence[int],
    ctx: Context | str | None = None,
    dtype: DTypeLike | None = np.float32,
) -> NDArray:
    """Create an array without initializing its values.

    Parameters
    ----------
    shape : the dimensions, of which any may be 0; () is a single value
    ctx : the device; None: the current context
    dtype : None: float32

    Raises
    ------
    ContextError : the device is not available.
    ArgumentError : a dimension is negative or not an integer, or the dtype is unknown.
    """
    ctx = as_context(ctx)
    require(ctx)
    lengths = as_shape(shape)
    if any(length < 0 for length in lengths):
        raise ArgumentError(f"a shape has no negative dimensions: {shape!r}")
    target = as_dtype(np.float32 if dtype is None else dtype)
    with allocating("an array", lengths, target.itemsize):
        if ctx.device_type == "cpu":
            return wrap(np.empty(lengths, target))
        import cupy

        with on_device(ctx):
            return wrap(cupy.empty(lengths, target))


def full(
    shape: int | Sequence[int],
    val: ArrayLike | Array,
    ctx: Context | str | None = None,
    dtype: DTypeLike | None = np.float32,
    out: NDArray | None = None,
) -> NDArray:
    """Create an array filled with a value.

    Parameters
    ----------
    shape, ctx, dtype : see `empty`
    val : a number, or an array that broadcasts to the shape
    out : an array to fill in its place, which is returned

    Raises
    ------
    ContextError, ArgumentError : see `empty`.
    """
    if out is not None and not isinstance(out, NDArray):
        raise ArgumentError(f"full: out must be an NDArray, not {type(out).__name__}")
    made = empty(shape, ctx, dtype) if out is None else out
    if np.isscalar(val):
        value = convert(val, made.dtype)[()]
    else:
        value = array(val, made.context, made.dtype)
    try:
        made[...] = value
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"full of shape {made.shape}: {error}") from error
    return made


@overload
def zeros(
    shape: int | Sequence[int],
    ctx: Context | str | None = ...,
    dtype: DTypeLike | None = ...,
    stype: None = ...,
) -> NDArray: ...
@overload
def zeros(
    shape: int | Sequence[int],
    ctx: Context | str | None = ...,
    dtype: DTypeLike | None = ...,
    *,
    stype: str,
) -> NDArray | CSRNDArray: ...
def zeros(
    shape: int | Sequence[int],
    ctx: Context | str | None = None,
    dtype: DTypeLike | None = np.float32,
    stype: str | None = None,
) -> NDArray | CSRNDArray:
    """Create an array of zeros; see `empty`. With ``stype="csr"`` a CSRNDArray."""
    if stype in (None, "default"):
        return full(shape, 0, ctx, dtype)
    return sparse_zeros(stype, shape, ctx, dtype)  # type: ignore[arg-type]


def ones(
    shape: int | Sequence[int],
    ctx: Context | str | None = None,
    dtype: DTypeLike | None = np.float32,
) -> NDArray:
    """Create an array of ones; see `empty`."""
    return full(shape, 1, ctx, dtype)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1.0,
    repeat: int = 1,
    infer_range: bool | None = None,
    ctx: Context | str | None = None,
    dtype: DTypeLike | None = np.float32,
) -> NDArray:
    """Evenly spaced values from `start` up to and without `stop`; with one number from 0 up to it.

    Parameters
    ----------
    step : the distance
    repeat : how many times each value is repeated
    infer_range : MXNet's; has no effect
    ctx, dtype : see `empty`
    """
    first, end = (0, start) if stop is None else (start, stop)
    repeats = _lengths("arange: repeat", (repeat,))[0]
    if not (_finite("arange: start, stop and step", first, end, step) and step and repeats):
        raise ArgumentError(f"arange: step must not be 0, nor repeat less than 1: {step}, {repeat}")
    count = (end - first) / step
    _finite("arange: the number of steps", count)
    length = max(math.ceil(count), 0)
    with allocating("the range", (length, repeats), 8):
        values = np.arange(first, end, step).repeat(repeats) if length else np.empty(0)
        return array(values, ctx, np.float32 if dtype is None else dtype)


def linspace(
    start: float,
    stop: float,
    num: int,
    endpoint: bool = True,
    ctx: Context | str | None = None,
    dtype: DTypeLike | None = np.float32,
) -> NDArray:
    """`num` evenly spaced values from `start` to `stop`, which is included if `endpoint`."""
    _finite("linspace: start and stop", start, stop)
    with allocating("the range", _lengths("linspace: num", (num,)), 8):
        values = np.linspace(start, stop, num, endpoint)
        return array(values, ctx, np.float32 if dtype is None else dtype)


def eye(
    N: int,  # noqa: N803  # MXNet's names
    M: int = 0,  # noqa: N803
    k: int = 0,
    ctx: Context | str | None = None,
    dtype: DTypeLike | None = None,
) -> NDArray:
    """Ones on the k-th diagonal of N rows and M columns (0: N), zeros elsewhere."""
    rows, columns = _lengths("eye: N and M", (N, M or N))
    _finite("eye: k", k)
    diagonal = max(-rows, min(int(k), columns))  # beyond that, all are zeros
    with allocating("the matrix", (rows, columns), 8):
        return array(np.eye(rows, columns, diagonal), ctx, np.float32 if dtype is None else dtype)


def _lengths(what: str, lengths: Option) -> tuple[int, ...]:
    """One or several integers of at least 0."""
    try:
        found = as_shape(lengths)
        valid = all(length >= 0 for length in found)
    except ArgumentError:
        valid = False
    if not valid:
        raise ArgumentError(f"{what} must be integers of at least 0, not {lengths!r}")
    return found


def _finite(what: str, *numbers: float) -> bool:
    """Raise unless all of them are finite numbers."""
    try:
        valid = all(map(math.isfinite, numbers))
    except (TypeError, ValueError, OverflowError):
        valid = False
    if not valid:
        raise ArgumentError(f"{what} must be finite numbers, not {', '.join(map(repr, numbers))}")
    return True


def from_numpy(ndarray: HostArray, zero_copy: bool = True) -> NDArray:
    """Import a NumPy array in its dtype.

    Parameters
    ----------
    ndarray : C-contiguous
    zero_copy : share its memory; `ndarray` becomes read-only, as in MXNet. False: copy it

    Raises
    ------
    ArgumentError : it is not a NumPy array, or not C-contiguous and not to be copied.
    """
    if not isinstance(ndarray, np.ndarray):
        raise ArgumentError(f"from_numpy takes a NumPy array, not {type(ndarray).__name__}")
    if not zero_copy:
        return wrap(np.array(ndarray, order="C"))
    if not ndarray.flags.c_contiguous:
        raise ArgumentError("from_numpy shares C-contiguous arrays only; use zero_copy=False")
    shared = wrap(ndarray.view())
    ndarray.flags.writeable = False
    return shared


def to_dlpack_for_read(data: NDArray) -> Untyped:
    """A DLPack capsule of an array's memory."""
    return data.to_dlpack_for_read()


to_dlpack_for_write = to_dlpack_for_read


def from_dlpack(values: Values) -> NDArray:
    """Import an array of another library, such as a torch tensor, by DLPack: same memory and
    device.

    Raises
    ------
    ArgumentError : it does not offer DLPack, or is on a device that gpuio does not support.
    """
    if not hasattr(values, "__dlpack__") or not hasattr(values, "__dlpack_device__"):
        raise ArgumentError(
            f"from_dlpack takes an object with __dlpack__, not {type(values).__name__}"
        )
    if isinstance(values, np.ndarray):  # NumPy refuses to export a read-only one
        return wrap(values)
    kind, number = values.__dlpack_device__()
    if kind in (_DLPACK_CPU, _DLPACK_PINNED):
        return wrap(np.from_dlpack(values))
    if kind == _DLPACK_CUDA:
        require(Context("gpu", int(number)))
        import cupy

        return wrap(cupy.from_dlpack(values))
    raise ArgumentError(f"from_dlpack: the array is on a device of DLPack's type {kind}")


def waitall() -> None:
    """Wait until all work is done on the current GPU, and on all that gpuio has used; a no-op
    without a GPU.
    """
    if "cupy" in sys.modules and num_gpus():
        import cupy

        for number in {cupy.cuda.runtime.getDevice(), *gpus_in_use}:
            cupy.cuda.Device(number).synchronize()
