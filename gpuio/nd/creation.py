"""Functions that create NDArrays, as in MXNet's ``mx.nd``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from gpuio.context import Context, as_context, get_array_module, num_gpus, on_device, require
from gpuio.errors import ArgumentError
from gpuio.nd.ndarray import NDArray, as_dtype, convert, place, wrap
from gpuio.nd.shapes import as_shape
from gpuio.nd.sparse import CSRNDArray
from gpuio.nd.sparse import array as sparse_array
from gpuio.nd.types import Array, SupportsToCSR, Values

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
    try:
        lengths = as_shape(shape)
    except TypeError as error:
        raise ArgumentError(f"a shape consists of integers, not {shape!r}") from error
    if any(length < 0 for length in lengths):
        raise ArgumentError(f"a shape has no negative dimensions: {shape!r}")
    target = as_dtype(np.float32 if dtype is None else dtype)
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
) -> NDArray:
    """Create an array filled with a value.

    Parameters
    ----------
    shape, ctx, dtype : see `empty`
    val : a number, or an array that broadcasts to the shape

    Raises
    ------
    ContextError, ArgumentError : see `empty`.
    """
    made = empty(shape, ctx, dtype)
    if np.isscalar(val):
        value = convert(val, made.dtype)[()]
    else:
        value = array(val, made.context, made.dtype)
    try:
        with on_device(made.context):
            made[...] = value
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"full of shape {made.shape}: {error}") from error
    return made


def zeros(
    shape: int | Sequence[int],
    ctx: Context | str | None = None,
    dtype: DTypeLike | None = np.float32,
) -> NDArray:
    """Create an array of zeros; see `empty`."""
    return full(shape, 0, ctx, dtype)


def ones(
    shape: int | Sequence[int],
    ctx: Context | str | None = None,
    dtype: DTypeLike | None = np.float32,
) -> NDArray:
    """Create an array of ones; see `empty`."""
    return full(shape, 1, ctx, dtype)


def concat(*arrays: NDArray, dim: int = 1) -> NDArray:
    """Concatenate arrays along an existing axis.

    Parameters
    ----------
    arrays : on one device and of one dtype; their shapes may differ in `dim` only
    dim : the axis

    Raises
    ------
    ArgumentError : there are none, or they do not fit together.
    """
    return _join("concat", "concatenate", arrays, dim)


def stack(*arrays: NDArray, axis: int = 0) -> NDArray:
    """Stack arrays along a new axis.

    Parameters
    ----------
    arrays : on one device, of one dtype and one shape
    axis : position of the new axis

    Raises
    ------
    ArgumentError : there are none, or they do not fit together.
    """
    return _join("stack", "stack", arrays, axis)


def _join(name: str, function: str, arrays: tuple[NDArray, ...], axis: int) -> NDArray:
    wrong = [each for each in arrays if not isinstance(each, NDArray)]
    if wrong or not arrays:
        got = type(wrong[0]).__name__ if wrong else "none"
        raise ArgumentError(f"{name} takes NDArrays, one by one, and got {got}; unpack a list: *")
    kinds = {(each.context, each.dtype) for each in arrays}
    if len(kinds) > 1:
        got = ", ".join(sorted(f"{dtype} on {ctx}" for ctx, dtype in kinds))
        raise ArgumentError(f"{name} takes NDArrays on one device and of one dtype, not {got}")
    join = getattr(get_array_module(arrays[0]), function)
    try:
        with on_device(arrays[0].context):
            return wrap(join(arrays, axis=axis))
    except ValueError as error:  # NumPy's and CuPy's AxisError is one
        shapes = ", ".join(str(each.shape) for each in arrays)
        raise ArgumentError(f"{name} of {shapes} along axis {axis}: {error}") from error


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
    """Wait until all work of the current GPU is done; a no-op without a GPU."""
    if "cupy" in sys.modules and num_gpus():
        import cupy

        cupy.cuda.Device().synchronize()
