"""Arrays joined to one, and one split into several."""

from __future__ import annotations

from collections.abc import Sequence

from gpuio.context import get_array_module
from gpuio.errors import ArgumentError
from gpuio.nd.ndarray import NDArray
from gpuio.nd.operator import operator
from gpuio.nd.types import Option, Values

__all__ = ["Concat", "SliceChannel", "concat", "concatenate", "split", "split_v2", "stack"]


def concat(
    *data: NDArray, dim: int = 1, out: NDArray | None = None, name: str | None = None
) -> NDArray:
    """Concatenate arrays along an existing axis.

    Parameters
    ----------
    data : on one device and of one dtype; their shapes may differ in `dim` only
    dim : the axis
    out : an array to write to

    Raises
    ------
    ArgumentError : there are none, or they do not fit together.
    """
    return _join("concat", "concatenate", data, dim, out)


Concat = concat


def concatenate(arrays: Sequence[NDArray], axis: int = 0, always_copy: bool = True) -> NDArray:
    """Concatenate a list of arrays along an existing axis; see `concat`.

    Parameters
    ----------
    always_copy : False: a single array is returned itself
    """
    if not isinstance(arrays, (list, tuple)):
        raise ArgumentError(
            f"concatenate takes a list of NDArrays, not {type(arrays).__name__}; concat takes them "
            "one by one"
        )
    if len(arrays) == 1 and not always_copy:
        return arrays[0]
    return _join("concatenate", "concatenate", arrays, axis, None)


def stack(
    *data: NDArray, axis: int = 0, out: NDArray | None = None, name: str | None = None
) -> NDArray:
    """Stack arrays along a new axis.

    Parameters
    ----------
    data : on one device, of one dtype and one shape
    axis : position of the new axis
    out : an array to write to

    Raises
    ------
    ArgumentError : there are none, or they do not fit together.
    """
    return _join("stack", "stack", data, axis, out)


def _join(
    name: str, function: str, arrays: Sequence[NDArray], axis: int, out: NDArray | None
) -> NDArray:
    wrong = [each for each in arrays if not isinstance(each, NDArray)]
    if wrong or not arrays:
        got = type(wrong[0]).__name__ if wrong else "none"
        advice = "" if name == "concatenate" else ", one by one"
        raise ArgumentError(f"{name} takes NDArrays{advice}, and got {got}; unpack a list: *")
    kinds = {(each.context, each.dtype) for each in arrays}
    if len(kinds) > 1:
        got = ", ".join(sorted(f"{dtype} on {ctx}" for ctx, dtype in kinds))
        raise ArgumentError(f"{name} takes NDArrays on one device and of one dtype, not {got}")

    def join(given: Values) -> Values:
        return getattr(get_array_module(given[0]), function)(given, axis=axis)

    join.__name__ = name
    joined: NDArray = operator(join)(list(arrays), out=out)
    return joined


@operator
def split(data: Values, num_outputs: int, axis: int = 1, squeeze_axis: bool = False) -> Values:
    """Split into equal parts along an axis.

    Returns
    -------
    a list of the parts, without the axis if `squeeze_axis`; the array itself for one part
    """
    if not -data.ndim <= axis < data.ndim or data.shape[axis] % num_outputs:
        raise ArgumentError(
            f"split: {data.shape} has not {num_outputs} equal parts along axis {axis}"
        )
    parts = get_array_module(data).split(data, num_outputs, axis)
    if squeeze_axis:
        parts = [part.squeeze(axis) for part in parts]
    return parts if num_outputs > 1 else parts[0]


SliceChannel = split


@operator
def split_v2(
    ary: Values, indices_or_sections: Option, axis: int = 0, squeeze_axis: bool = False
) -> Values:
    """Split into a number of equal parts, or at given indices, along an axis; see `split`."""
    where = indices_or_sections
    parts = get_array_module(ary).split(ary, where if isinstance(where, int) else list(where), axis)
    if squeeze_axis:
        parts = [part.squeeze(axis) for part in parts]
    return parts if len(parts) > 1 else parts[0]
