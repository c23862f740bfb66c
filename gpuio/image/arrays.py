"""Images as arrays, on the host or on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from numpy.typing import NDArray as HostArray

from gpuio import nd
from gpuio.context import device_of, get_array_module, on_device
from gpuio.errors import ArgumentError
from gpuio.iterators.arguments import as_int
from gpuio.nd import NDArray
from gpuio.nd.placement import host_array, plain
from gpuio.nd.types import Values


def host(values: object) -> HostArray[Any]:
    """Values as a plain NumPy array, copied from a GPU if they are there."""
    return np.asarray(host_array(values))


def as_image(src: Values) -> NDArray:
    """An image as an NDArray, sharing memory.

    Raises
    ------
    ArgumentError : it does not have three axes, or is empty.
    """
    image = as_ndarray(src)
    if image.ndim != 3 or not image.size:
        raise ArgumentError(
            f"an image has the shape (height, width, channels), not {tuple(image.shape)}"
        )
    return image


def as_ndarray(src: Values) -> NDArray:
    """Values as an NDArray on their device, sharing memory if they are an array."""
    if isinstance(src, NDArray):
        return src
    return nd.wrap(src if device_of(src).device_type == "gpu" else np.asarray(src))


def write(out: NDArray, image: NDArray) -> NDArray:
    """Write an image into an array that the caller gave, and return that.

    Raises
    ------
    ArgumentError : it has not the image's shape, dtype and device.
    """
    wanted = f"{image.dtype} {image.shape} on {image.context}"
    if not isinstance(out, NDArray):
        raise ArgumentError(f"out must be an NDArray, {wanted}, not {type(out).__name__}")
    if (out.shape, out.dtype, out.context) != (image.shape, image.dtype, image.context):
        raise ArgumentError(
            f"out must be {wanted}, as the image, not {out.dtype} {out.shape} on {out.context}"
        )
    out[...] = image
    return out


def on_device_of(image: NDArray, values: ArrayLike | NDArray) -> NDArray:
    """Numbers in the image's dtype, on its device."""
    if isinstance(values, NDArray) and values.context == image.context:
        return values.astype(image.dtype)
    return nd.wrap(np.asarray(host(values), image.dtype)).as_in_context(image.context)


def as_range(name: str, pair: Sequence[float]) -> tuple[float, float]:
    """Check a range of positive numbers.

    Raises
    ------
    ArgumentError : it is not 0 < least <= most.
    """
    try:
        least, most = pair
        valid = 0 < least <= most
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ArgumentError(f"{name} must be a range 0 < least <= most, not {pair!r}")
    return least, most


def as_size(size: int | Sequence[int]) -> tuple[int, int]:
    """Width and height in pixels, from these or from one number for both.

    Raises
    ------
    ArgumentError : they are not integers of at least 1.
    """
    lengths = [size] if np.ndim(size) == 0 else list(size)  # type: ignore[arg-type]
    if len(lengths) not in (1, 2):
        raise ArgumentError(f"a size is one number, or (width, height), in pixels, not {size!r}")
    return as_int("size", lengths[0], 1), as_int("size", lengths[-1], 1)


def by_channel(
    operation: Callable[..., Any],
    image: NDArray,
    values: ArrayLike | NDArray,
    out: NDArray | None = None,
) -> NDArray:
    """Apply an arithmetic operation to an image and a number for each channel, or one for all.

    NumPy's inner loop runs along the last axis, which with three channels is short; so the numbers
    are repeated along a row of pixels if the image is contiguous.

    Parameters
    ----------
    operation : a ufunc of the image's array library, such as ``numpy.subtract``
    image : (height, width, channels), floating-point
    values : numbers
    out : the image itself, to change it in place; None: a new array
    """
    pixels, numbers = plain(image), plain(on_device_of(image, values)).reshape(-1)
    height, width, channels = image.shape
    with on_device(image.context):
        if image.flags.c_contiguous and len(numbers) in (1, channels):
            pixels = pixels.reshape(height, width * channels)
            numbers = get_array_module(image).tile(numbers, width * channels // len(numbers))
        result = operation(pixels, numbers, out=None if out is None else pixels)
        return image if out is not None else nd.wrap(result.reshape(image.shape))
