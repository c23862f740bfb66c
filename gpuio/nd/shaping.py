"""Functions that rearrange values: shapes, axes, slices, borders."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

import numpy as np

from gpuio.context import get_array_module
from gpuio.errors import ArgumentError
from gpuio.nd.ndarray import NDArray, wrap
from gpuio.nd.operator import operator
from gpuio.nd.shapes import as_shape
from gpuio.nd.types import Option, Values

__all__ = [
    "Flatten",
    "Pad",
    "Reshape",
    "SwapAxis",
    "broadcast_axes",
    "broadcast_axis",
    "broadcast_like",
    "broadcast_to",
    "cast_storage",
    "crop",
    "diag",
    "expand_dims",
    "flatten",
    "flip",
    "moveaxis",
    "ones_like",
    "pad",
    "repeat",
    "reshape",
    "reshape_like",
    "reverse",
    "shape_array",
    "size_array",
    "slice",
    "slice_axis",
    "slice_like",
    "squeeze",
    "swapaxes",
    "tile",
    "transpose",
    "zeros_like",
]


@operator
def reshape(data: Values, shape: Option, reverse: bool = False) -> Values:
    """Another shape, with MXNet's codes; see `NDArray.reshape`, which shares memory."""
    return wrap(data).reshape(shape, reverse=reverse)


Reshape = reshape


@operator
def reshape_like(
    lhs: Values,
    rhs: Values,
    lhs_begin: int | None = None,
    lhs_end: int | None = None,
    rhs_begin: int | None = None,
    rhs_end: int | None = None,
) -> Values:
    """The shape of `rhs`; or with its axes ``[rhs_begin, rhs_end)`` in place of
    ``[lhs_begin, lhs_end)``.
    """
    first, end = builtins.slice(lhs_begin, lhs_end).indices(lhs.ndim)[:2]
    middle = rhs.shape[builtins.slice(rhs_begin, rhs_end)]
    return lhs.reshape((*lhs.shape[:first], *middle, *lhs.shape[end:]))


@operator
def flatten(data: Values) -> Values:
    """(N, everything else)."""
    return (
        data.reshape(data.shape[0], -1)
        if data.size
        else data.reshape(data.shape[0], int(np.prod(data.shape[1:])))
    )


Flatten = flatten


@operator
def expand_dims(data: Values, axis: int) -> Values:
    """A new axis of length 1."""
    return get_array_module(data).expand_dims(data, axis)


@operator
def squeeze(data: Values, axis: Option = None) -> Values:
    """Without axes of length 1, or without the given ones; at least one is left."""
    made = get_array_module(data).squeeze(
        data, axis if axis is None or isinstance(axis, int) else tuple(axis)
    )
    return made if made.ndim else made.reshape(1)


@operator
def transpose(data: Values, axes: Option = None) -> Values:
    """The axes in another order, by default reversed."""
    return data.transpose(None if axes is None or not len(axes) else tuple(axes))


@operator
def swapaxes(data: Values, dim1: int = 0, dim2: int = 0) -> Values:
    """Two axes exchanged."""
    return data.swapaxes(dim1, dim2)


SwapAxis = swapaxes


@operator
def moveaxis(tensor: Values, source: Option, destination: Option) -> Values:
    """Axes moved to other positions."""
    return get_array_module(tensor).moveaxis(tensor, source, destination)


@operator
def flip(data: Values, axis: Option) -> Values:
    """Reverse the order along one axis or several."""
    return get_array_module(data).flip(data, axis if isinstance(axis, int) else tuple(axis))


reverse = flip


@operator
def tile(data: Values, reps: Option) -> Values:
    """Repeat the whole array along each axis."""
    return get_array_module(data).tile(data, as_shape(reps))


@operator
def repeat(data: Values, repeats: int, axis: int | None = None) -> Values:
    """Repeat each value along an axis; None: in one dimension."""
    return get_array_module(data).repeat(data, repeats, axis)


@operator
def broadcast_to(data: Values, shape: Sequence[int]) -> Values:
    """Axes of length 1 repeated to fill a shape; a 0 keeps the length."""
    old = (1,) * (len(shape) - data.ndim) + data.shape
    wanted = tuple(have if want == 0 else want for have, want in zip(old, shape, strict=True))
    return get_array_module(data).broadcast_to(data, wanted)


@operator
def broadcast_axis(data: Values, axis: Option = (), size: Option = ()) -> Values:
    """Axes of length 1 repeated to given lengths."""
    shape = list(data.shape)
    for each, length in zip(as_shape(axis), as_shape(size), strict=True):
        if shape[each] != 1:
            raise ArgumentError(f"broadcast_axis: axis {each} of {data.shape} has not length 1")
        shape[each] = length
    return get_array_module(data).broadcast_to(data, tuple(shape))


broadcast_axes = broadcast_axis


@operator
def broadcast_like(
    lhs: Values, rhs: Values, lhs_axes: Option = None, rhs_axes: Option = None
) -> Values:
    """Axes of length 1 repeated to the shape of `rhs`, all or the given ones."""
    shape = list(lhs.shape if lhs_axes is not None else rhs.shape)
    if lhs_axes is not None:
        for each, other in zip(as_shape(lhs_axes), as_shape(rhs_axes), strict=True):
            shape[each] = rhs.shape[other]
    return get_array_module(lhs).broadcast_to(lhs, tuple(shape))


@operator
def pad(
    data: Values, mode: str = "constant", pad_width: Sequence[int] = (), constant_value: float = 0
) -> Values:
    """Add borders.

    Parameters
    ----------
    mode : "constant", "edge" or "reflect"
    pad_width : values before and after, for each axis in turn
    constant_value : of the border in mode "constant"
    """
    if mode not in ("constant", "edge", "reflect"):
        raise ArgumentError(f"pad: mode must be 'constant', 'edge' or 'reflect', not {mode!r}")
    if len(pad_width) != 2 * data.ndim:
        raise ArgumentError(f"pad: pad_width must have {2 * data.ndim} numbers, two for each axis")
    around = list(zip(pad_width[::2], pad_width[1::2], strict=True))
    options = {"constant_values": constant_value} if mode == "constant" else {}
    return get_array_module(data).pad(data, around, mode, **options)


Pad = pad


@operator
def slice(data: Values, begin: Option, end: Option, step: Option = None) -> Values:
    """``data[begin[0]:end[0]:step[0], begin[1]:end[1]:step[1], ...]``; None is as in a slice."""
    begin, end = (each if isinstance(each, (tuple, list)) else (each,) for each in (begin, end))
    steps = step if isinstance(step, (tuple, list)) else (step,) * len(begin)
    key = tuple(
        builtins.slice(*each)
        for each in zip(begin, end, steps or (None,) * len(begin), strict=True)
    )
    return data[key]


crop = slice


@operator
def slice_axis(data: Values, axis: int, begin: int, end: int | None = None) -> Values:
    """``begin:end`` along one axis."""
    if not -data.ndim <= axis < data.ndim:
        raise ArgumentError(f"slice_axis: there is no axis {axis} in {data.shape}")
    key = [builtins.slice(None)] * data.ndim
    key[axis] = builtins.slice(begin, end)
    return data[tuple(key)]


@operator
def slice_like(data: Values, shape_like: Values, axes: Option = ()) -> Values:
    """The beginning of each axis, or of the given ones, as long as in `shape_like`."""
    chosen = as_shape(axes) or range(builtins.min(data.ndim, shape_like.ndim))
    key = [builtins.slice(None)] * data.ndim
    for axis in chosen:
        if shape_like.shape[axis] > data.shape[axis]:
            raise ArgumentError(f"slice_like: {data.shape} is shorter than {shape_like.shape}")
        key[axis] = builtins.slice(shape_like.shape[axis])
    return data[tuple(key)]


@operator
def diag(data: Values, k: int = 0, axis1: int = 0, axis2: int = 1) -> Values:
    """The k-th diagonal; of one dimension: a matrix with this diagonal."""
    if data.ndim == 1:
        return get_array_module(data).diag(data, k)
    return data.diagonal(k, axis1, axis2)


@operator
def shape_array(data: Values) -> Values:
    """The shape, int64 (ndim,)."""
    return get_array_module(data).asarray(data.shape, np.int64)


@operator
def size_array(data: Values) -> Values:
    """The number of values, int64 (1,)."""
    return get_array_module(data).asarray([data.size], np.int64)


@operator
def zeros_like(data: Values) -> Values:
    """Zeros of the same shape and dtype."""
    return get_array_module(data).zeros(data.shape, data.dtype)


@operator
def ones_like(data: Values) -> Values:
    """Ones of the same shape and dtype."""
    return get_array_module(data).ones(data.shape, data.dtype)


def cast_storage(data: Values, stype: str) -> Values:
    """Convert to a storage type; see `NDArray.tostype`."""
    return (
        data.tostype(stype)
        if data.stype != stype
        else (data.copy() if isinstance(data, NDArray) else data.copyto(data.context))
    )
