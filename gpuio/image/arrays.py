"""Pictures as arrays: on the host or on a GPU, and what must hold of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuio import nd
from gpuio.context import device_of, get_array_module
from gpuio.errors import ArgumentError
from gpuio.nd import NDArray


def host(values: Any) -> Any:
    """Values as a plain NumPy array."""
    return values.asnumpy() if isinstance(values, NDArray) else np.asarray(values)


def picture_of(src: Any) -> NDArray:
    """A picture as an NDArray, the same memory."""
    picture = src if isinstance(src, NDArray) else nd.wrap(_array(src))
    if picture.ndim != 3 or not picture.size:
        raise ArgumentError(
            f"a picture has the axes (height, width, channels), not the shape {picture.shape}"
        )
    return picture


def _array(src: Any) -> Any:
    return src if device_of(src).device_type == "gpu" else np.asarray(src)


def beside(picture: NDArray, values: Any) -> Any:
    """Numbers of the picture's dtype, on its device."""
    dtype = picture.dtype
    if isinstance(values, NDArray) and values.context == picture.context:
        return values.astype(dtype)
    return get_array_module(picture).asarray(host(values), dtype=dtype)


def span(name: str, pair: Sequence[float]) -> tuple[float, float]:
    """A range of numbers above 0."""
    least, most = pair
    if not 0 < least <= most:
        raise ArgumentError(f"{name} must be a range 0 < least <= most, not {tuple(pair)}")
    return least, most


def by_channel(operation: Any, picture: Any, values: Any, out: Any = None) -> Any:
    """A picture and a number for each channel, or one for all, put together.

    NumPy goes through the innermost axis in one run, and starts anew for each: three channels make
    short runs. So the numbers are repeated along a row of pixels, where the picture lies in one
    piece.

    Parameters
    ----------
    operation : a ufunc of the picture's library, such as ``numpy.subtract``
    picture : (height, width, channels), of a floating type
    values : numbers
    out : the picture itself, to change it in place; None: a new array
    """
    numbers = beside(picture, values).reshape(-1)
    height, width, channels = picture.shape
    if not picture.flags.c_contiguous or len(numbers) not in (1, channels):
        return operation(picture, numbers, out=out)
    row = get_array_module(picture).tile(numbers, width * channels // len(numbers))
    flat = picture.reshape(height, width * channels)
    made = operation(flat, row, out=None if out is None else flat)
    return picture if out is not None else made.reshape(picture.shape)
