"""Normalization, on the device of the image."""

from __future__ import annotations

from numpy.typing import ArrayLike

from gpuio.context import get_array_module
from gpuio.errors import ArgumentError
from gpuio.image.arrays import as_image, by_channel
from gpuio.nd import NDArray
from gpuio.nd.types import Values


def color_normalize(
    src: Values, mean: ArrayLike | NDArray | None, std: ArrayLike | NDArray | None = None
) -> NDArray:
    """Subtract the mean and divide by the standard deviation, in place.

    Parameters
    ----------
    src : (height, width, channels), floating-point; it is changed
    mean, std : a number for each channel, or one for all; None: omit that step

    Returns
    -------
    src

    Raises
    ------
    ArgumentError : src has integers, which could not hold the result.
    """
    image = as_image(src)
    if image.dtype.kind != "f":
        raise ArgumentError(
            f"color_normalize works in place, and {image.dtype} cannot hold the result; convert "
            "the image first: src.astype('float32')"
        )
    xp = get_array_module(image)
    if mean is not None:
        by_channel(xp.subtract, image, mean, image)
    if std is not None:
        by_channel(xp.divide, image, std, image)
    return image
