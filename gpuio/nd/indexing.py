"""Values looked up by index. Indices may be of any dtype, as in MXNet, and are rounded down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpuio.context import get_array_module
from gpuio.errors import ArgumentError
from gpuio.nd.operator import operator
from gpuio.nd.types import Option, Values

__all__ = [
    "batch_take",
    "choose_element_0index",
    "gather_nd",
    "one_hot",
    "onehot_encode",
    "pick",
    "ravel_multi_index",
    "scatter_nd",
    "take",
    "unravel_index",
    "where",
]


def _inside(name: str, indices: Values, length: int, mode: str) -> Values:
    """Indices in [0, length)."""
    indices = indices.astype(np.int64)
    if mode == "clip":
        return indices.clip(0, length - 1)
    if mode == "wrap":
        return indices % length
    if mode != "raise":
        raise ArgumentError(f"{name}: mode must be 'clip', 'wrap' or 'raise', not {mode!r}")
    if indices.size and not (-length <= int(indices.min()) and int(indices.max()) < length):
        raise ArgumentError(
            f"{name}: indices from {int(indices.min())} to {int(indices.max())} are out of range "
            f"for an axis of {length}"
        )
    return indices % length


@operator
def take(a: Values, indices: Values, axis: int = 0, mode: str = "clip") -> Values:
    """Take slices along an axis.

    Parameters
    ----------
    indices : of any shape, which takes the axis's place in the result
    mode : what an index that is out of range means: "clip" the nearest, "wrap" modulo the length,
        "raise" an error (negative ones count from the end)
    """
    xp = get_array_module(a)
    return xp.take(a, _inside("take", xp.asarray(indices), a.shape[axis], mode), axis)


@operator
def batch_take(a: Values, indices: Values) -> Values:
    """``a[i, indices[i]]`` for each row i."""
    return _pick(a, indices, 1, False, "clip")


@operator
def pick(
    data: Values, index: Values, axis: int | None = -1, keepdims: bool = False, mode: str = "clip"
) -> Values:
    """Pick one value along an axis for each position of the others.

    Parameters
    ----------
    index : of the shape of `data` without the axis, or with length 1 there
    axis : None: the array counts as one dimension
    mode : "clip" or "wrap"; see `take`
    """
    return _pick(data, index, axis, keepdims, mode)


choose_element_0index = pick


def _pick(data: Values, index: Values, axis: int | None, keepdims: bool, mode: str) -> Values:
    xp = get_array_module(data)
    if axis is None:
        data, axis = data.reshape(-1), 0
        index = index.reshape(-1)
    index = _inside("pick", index, data.shape[axis], mode)
    if index.ndim < data.ndim:
        index = xp.expand_dims(index, axis)
    made = xp.take_along_axis(data, index, axis)
    made = made if keepdims else made.squeeze(axis)
    return made if made.ndim else made.reshape(1)


@operator
def one_hot(
    indices: Values,
    depth: int,
    on_value: float = 1.0,
    off_value: float = 0.0,
    dtype: Option = "float32",
) -> Values:
    """`on_value` at each index, `off_value` elsewhere: ``indices.shape + (depth,)``. An index out
    of range has no `on_value`.
    """
    xp = get_array_module(indices)
    on = indices.astype(np.int64)[..., None] == xp.arange(depth)
    return xp.where(on, on_value, off_value).astype(dtype)


def onehot_encode(indices: Values, out: Values) -> Values:
    """Write `one_hot` of as many values as `out` has columns into `out`."""
    return one_hot(indices, out.shape[1], out=out)


@operator
def where(condition: Values, x: Values, y: Values) -> Values:
    """`x` where the condition is not 0, else `y`; a condition of one dimension chooses rows."""
    if condition.ndim == 1 and x.ndim > 1:
        condition = condition.reshape(-1, *(1,) * (x.ndim - 1))
    return get_array_module(x).where(condition != 0, x, y)


@operator
def gather_nd(data: Values, indices: Values) -> Values:
    """``data[indices[0], indices[1], ...]``."""
    return data[tuple(indices.astype(np.int64))]


@operator
def scatter_nd(data: Values, indices: Values, shape: Sequence[int]) -> Values:
    """Zeros, with `data` at ``[indices[0], indices[1], ...]``."""
    made = get_array_module(data).zeros(shape, data.dtype)
    made[tuple(indices.astype(np.int64))] = data
    return made


@operator
def ravel_multi_index(data: Values, shape: Sequence[int]) -> Values:
    """Indices into a flattened array, from indices (ndim, N) into an array of `shape`."""
    strides = np.cumprod([1, *shape[:0:-1]])[::-1]
    xp = get_array_module(data)
    return xp.tensordot(xp.asarray(strides, data.dtype), data, 1)


@operator
def unravel_index(data: Values, shape: Sequence[int]) -> Values:
    """Indices (ndim, N) into an array of `shape`, from indices (N,) into the flattened array."""
    xp = get_array_module(data)
    parts = xp.unravel_index(data.astype(np.int64), tuple(shape))
    return xp.stack(parts).astype(data.dtype)
