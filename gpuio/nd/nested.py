"""Arrays in nested arguments."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import numpy as np

from gpuio.context import Module
from gpuio.nd.types import Array, Values


def is_array(value: Values) -> bool:
    """Whether this is an array of NumPy or CuPy."""
    cupy: Module = sys.modules.get("cupy")
    return isinstance(value, np.ndarray) or (cupy is not None and isinstance(value, cupy.ndarray))


def arrays_in(values: Values) -> Iterator[Array]:
    """The arrays in nested tuples, lists and dicts."""
    if is_array(values):
        yield values
    elif isinstance(values, (tuple, list)):
        for each in values:
            yield from arrays_in(each)
    elif isinstance(values, dict):
        yield from arrays_in(list(values.values()))


def each_array(function: Callable[[Array], Values], values: Values) -> Values:
    """Apply a function to each array in nested tuples, lists and dicts."""
    if is_array(values):
        return function(values)
    if type(values) in (tuple, list):
        return type(values)(each_array(function, each) for each in values)
    if type(values) is dict:
        return {key: each_array(function, each) for key, each in values.items()}
    return values
