"""Arguments of NDArrays' indexing, and of NumPy's functions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gpuio.context import device_of
from gpuio.nd.types import Index, Values


def as_index(key: Index) -> Index:
    """An index as NumPy and CuPy take it: MXNet's may be floating-point NDArrays, and the result of
    a comparison is a mask.
    """
    if isinstance(key, tuple):
        return tuple(map(as_index, key))
    mask = getattr(key, "is_mask", False)
    if isinstance(key, np.ndarray):
        key = key.view(np.ndarray)
    elif device_of(key).device_type == "gpu":
        import cupy

        key = key.view(type=cupy.ndarray)
    else:
        return key
    if mask:
        return key != 0
    return key.astype(np.int64) if key.dtype.kind == "f" else key


def as_device_index(key: Index) -> Index:
    """An index as CuPy takes it, with arrays on the current GPU."""
    if isinstance(key, tuple):
        return tuple(map(as_device_index, key))
    key = as_index(np.asarray(key) if isinstance(key, list) else key)
    if not isinstance(key, np.ndarray):
        return key
    import cupy

    return cupy.asarray(key)


def without_scalars(method: str, inputs: tuple[Values, ...]) -> tuple[Values, ...]:
    """Arguments of a ufunc: a NumPy scalar leaves the array's dtype, as a number does."""
    if method != "__call__":
        return inputs
    return tuple(x.item() if isinstance(x, np.generic) else x for x in inputs)


def each_array(function: Callable[[Values], Values], values: Values) -> Values:
    """Apply a function to each host array in nested tuples, lists and dicts."""
    if isinstance(values, np.ndarray):
        return function(values)
    if type(values) in (tuple, list):
        return type(values)(each_array(function, each) for each in values)
    if type(values) is dict:
        return {key: each_array(function, each) for key, each in values.items()}
    return values
