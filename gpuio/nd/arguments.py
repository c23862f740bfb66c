"""Arguments of NDArrays' indexing, and of NumPy's functions."""

from __future__ import annotations

import numpy as np

from gpuio.context import Context, on_device
from gpuio.nd.nested import is_array
from gpuio.nd.placement import on_context
from gpuio.nd.types import Index, Values


def as_index(key: Index, ctx: Context) -> Index:
    """An index as NumPy and CuPy take it, with arrays on `ctx`: MXNet's may be floating-point
    NDArrays, and the result of a comparison is a mask.
    """
    if isinstance(key, tuple):
        return tuple(as_index(each, ctx) for each in key)
    if isinstance(key, list) and ctx.device_type == "gpu":
        key = np.asarray(key)
    if not is_array(key):
        return key
    mask = getattr(key, "is_mask", False)
    key = on_context(key, ctx)
    with on_device(ctx):
        if mask:
            return key != 0
        return key.astype(np.int64) if key.dtype.kind == "f" else key


def as_ufunc_inputs(method: str, inputs: tuple[Values, ...]) -> tuple[Values, ...]:
    """Arguments of a ufunc, lists as arrays. A NumPy scalar leaves the array's dtype, as a number
    does.
    """
    if method != "__call__":
        return inputs
    return tuple(as_operand(each) for each in inputs)


def as_operand(value: Values) -> Values:
    """An operand: a number for a NumPy scalar, an array for a list."""
    if isinstance(value, np.generic):
        return value.item()
    return np.asarray(value) if isinstance(value, (list, tuple)) else value
