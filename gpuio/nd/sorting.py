"""Sorting, along an axis or of all values (``axis=None``). The sort is stable."""

from __future__ import annotations

from gpuio.context import get_array_module
from gpuio.errors import ArgumentError
from gpuio.nd.operator import operator
from gpuio.nd.types import Option, Values

__all__ = ["argsort", "sort", "topk"]


def _order(data: Values, axis: int, is_ascend: bool) -> Values:
    """The indices that sort an array; stable."""
    xp = get_array_module(data)
    if is_ascend:
        return xp.argsort(data, axis=axis, kind="stable")
    backwards = xp.argsort(xp.flip(data, axis), axis=axis, kind="stable")
    return data.shape[axis] - 1 - xp.flip(backwards, axis)


def _one_dimension(data: Values, axis: int | None) -> tuple[Values, int]:
    return (data.reshape(-1), 0) if axis is None else (data, axis)


@operator
def sort(data: Values, axis: int | None = -1, is_ascend: bool = True) -> Values:
    """The values in order."""
    data, axis = _one_dimension(data, axis)
    xp = get_array_module(data)
    made = xp.sort(data, axis=axis)
    return made if is_ascend else xp.flip(made, axis).copy()


@operator
def argsort(
    data: Values, axis: int | None = -1, is_ascend: bool = True, dtype: Option = "float32"
) -> Values:
    """The indices that sort the values."""
    data, axis = _one_dimension(data, axis)
    return _order(data, axis, is_ascend).astype(dtype)


@operator
def topk(
    data: Values,
    axis: int | None = -1,
    k: int = 1,
    ret_typ: str = "indices",
    is_ascend: bool = False,
    dtype: Option = "float32",
) -> Values:
    """The first values in order.

    Parameters
    ----------
    k : how many; less than 1: all
    ret_typ : "indices", "value", "both" (a list of values and indices) or "mask" (1 at these
        places, else 0)
    is_ascend : the least, not the greatest
    dtype : of the indices
    """
    if ret_typ not in ("indices", "value", "both", "mask"):
        raise ArgumentError(
            f"topk: ret_typ must be 'indices', 'value', 'both' or 'mask', not {ret_typ!r}"
        )
    shape = data.shape
    data, axis = _one_dimension(data, axis)
    if k > data.shape[axis]:
        raise ArgumentError(f"topk: there are no {k} values along axis {axis} of {data.shape}")
    xp = get_array_module(data)
    found = _order(data, axis, is_ascend)
    found = xp.take(found, xp.arange(k if k >= 1 else data.shape[axis]), axis)
    if ret_typ == "mask":
        mask = xp.zeros(data.shape, data.dtype)
        xp.put_along_axis(mask, found, 1, axis)
        return mask.reshape(shape)
    values = xp.take_along_axis(data, found, axis)
    if ret_typ == "value":
        return values
    return [values, found.astype(dtype)] if ret_typ == "both" else found.astype(dtype)
