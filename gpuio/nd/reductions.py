"""Sums, means, extremes and norms, over all values or along axes.

`axis` is an integer, several, or None: all. ``keepdims`` leaves each reduced axis with length 1,
``exclude`` reduces all axes but the given ones. A reduction over all values has shape (1,).
"""

from __future__ import annotations

import numpy as np

from gpuio.context import get_array_module
from gpuio.errors import ArgumentError
from gpuio.nd.operator import operator
from gpuio.nd.types import Option, Values

__all__ = [
    "argmax",
    "argmax_channel",
    "argmin",
    "cumsum",
    "max",
    "max_axis",
    "mean",
    "min",
    "min_axis",
    "moments",
    "nanprod",
    "nansum",
    "norm",
    "prod",
    "sum",
    "sum_axis",
]


# Integers that do not hold the index of every element.
_SMALL = ("uint8", "int8", "float16", "bool")


def _axes(data: Values, axis: Option, exclude: bool) -> Option:
    if axis is None or axis == ():
        if exclude and axis == ():
            return tuple(range(data.ndim))
        return None
    axes = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    if any(not -data.ndim <= each < data.ndim for each in axes):
        raise ArgumentError(f"axis {axis} is out of bounds for an array of shape {data.shape}")
    axes = tuple(each % data.ndim for each in axes)
    return tuple(each for each in range(data.ndim) if each not in axes) if exclude else axes


def _reduce(name: str, data: Values, axis: Option, keepdims: bool, exclude: bool = False) -> Values:
    xp = get_array_module(data)
    axes = _axes(data, axis, exclude)
    if axes == ():
        return data.copy()
    return _legacy(xp.asarray(getattr(xp, name)(data, axis=axes, keepdims=bool(keepdims))))


def _legacy(result: Values) -> Values:
    """MXNet has no arrays of shape ()."""
    return result if result.ndim else result.reshape(1)


@operator
def sum(data: Values, axis: Option = None, keepdims: bool = False, exclude: bool = False) -> Values:
    """Sum; of integers in int64 or uint64."""
    return _reduce("sum", data, axis, keepdims, exclude)


@operator
def nansum(
    data: Values, axis: Option = None, keepdims: bool = False, exclude: bool = False
) -> Values:
    """Sum of the values that are not NaN."""
    return _reduce("nansum", data, axis, keepdims, exclude)


@operator
def prod(
    data: Values, axis: Option = None, keepdims: bool = False, exclude: bool = False
) -> Values:
    """Product; of integers in int64 or uint64."""
    return _reduce("prod", data, axis, keepdims, exclude)


@operator
def nanprod(
    data: Values, axis: Option = None, keepdims: bool = False, exclude: bool = False
) -> Values:
    """Product of the values that are not NaN."""
    return _reduce("nanprod", data, axis, keepdims, exclude)


@operator
def mean(
    data: Values, axis: Option = None, keepdims: bool = False, exclude: bool = False
) -> Values:
    """Mean; of integers in float32."""
    made = _reduce("mean", data, axis, keepdims, exclude)
    return made if data.dtype.kind == "f" else made.astype(np.float32)


@operator
def max(data: Values, axis: Option = None, keepdims: bool = False, exclude: bool = False) -> Values:
    """Greatest value."""
    return _reduce("max", data, axis, keepdims, exclude)


@operator
def min(data: Values, axis: Option = None, keepdims: bool = False, exclude: bool = False) -> Values:
    """Least value."""
    return _reduce("min", data, axis, keepdims, exclude)


sum_axis, max_axis, min_axis = sum, max, min


@operator
def norm(
    data: Values,
    ord: int = 2,
    axis: Option = None,
    out_dtype: Option = None,
    keepdims: bool = False,
) -> Values:
    """Root of the sum of squares (`ord` 2), or sum of absolute values (`ord` 1)."""
    if ord not in (1, 2):
        raise ArgumentError(f"norm: ord must be 1 or 2, not {ord!r}")
    xp = get_array_module(data)
    terms = xp.abs(data) if ord == 1 else xp.square(data)
    made = _reduce("sum", terms, axis, keepdims)
    made = made if ord == 1 else xp.sqrt(made)
    return made.astype(data.dtype if out_dtype is None else out_dtype, copy=False)


def _index(name: str, data: Values, axis: int | None, keepdims: bool) -> Values:
    xp = get_array_module(data)
    found = xp.asarray(getattr(xp, name)(data, axis=axis))
    if keepdims:
        found = found.reshape((1,) * data.ndim) if axis is None else xp.expand_dims(found, axis)
    # As in MXNet, except where the dtype would not hold large indices.
    return _legacy(found.astype(np.float32 if data.dtype.name in _SMALL else data.dtype))


@operator
def argmax(data: Values, axis: int | None = None, keepdims: bool = False) -> Values:
    """Index of the greatest value along an axis, the first of equal ones.

    Parameters
    ----------
    axis : None: the index among all values

    Returns
    -------
    the indices, of the dtype of `data`; of 8-bit integers and float16 in float32
    """
    return _index("argmax", data, axis, keepdims)


@operator
def argmin(data: Values, axis: int | None = None, keepdims: bool = False) -> Values:
    """Index of the least value along an axis; see `argmax`."""
    return _index("argmin", data, axis, keepdims)


@operator
def argmax_channel(data: Values) -> Values:
    """`argmax` along axis 1."""
    return _index("argmax", data, 1, False)


@operator
def moments(data: Values, axes: Option = None, keepdims: bool = False) -> Values:
    """Mean and variance."""
    xp = get_array_module(data)
    center = _reduce("mean", data, axes, True)
    if axes is None:
        center = center.reshape((1,) * data.ndim)
    spread = _reduce("mean", xp.square(data - center), axes, keepdims)
    return [center if keepdims else center.reshape(spread.shape), spread]


@operator
def cumsum(a: Values, axis: int | None = None, dtype: Option = None) -> Values:
    """Cumulative sum, along an axis or of all values."""
    return get_array_module(a).cumsum(a, axis, dtype or a.dtype)
