"""Changes of color, on the device of the image.

The functions `adjust_…` take and return floating-point images (height, width, channels) of 1 or 3
channels, and do not change their argument; their results may lie outside 0 to 255.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from gpuio.context import get_array_module
from gpuio.errors import ArgumentError
from gpuio.execution.color import hue_of, rgb_of_hue
from gpuio.image.arrays import as_image, by_channel
from gpuio.nd import NDArray
from gpuio.nd.types import Values
from gpuio.planning.colors import LUMA


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


def adjust_contrast(image: Values, factor: float) -> Values:
    """Scale the distance of pixel values from the image's mean luma by a factor."""
    return image * factor + _luma(image).mean() * (1 - factor)


def adjust_saturation(image: Values, factor: float) -> Values:
    """Scale the distance of each pixel from its luma by a factor."""
    if image.shape[2] == 1:
        return image
    return image * factor + _luma(image) * (1 - factor)


def adjust_hue(image: Values, turns: float) -> Values:
    """Rotate the hue of HLS by full turns; lightness and chroma stay."""
    if image.shape[2] == 1:
        return image
    xp = get_array_module(image)
    red, green, blue = planes = xp.ascontiguousarray(image.transpose(2, 0, 1))
    high, low = planes.max(0), planes.min(0)
    chroma = high - low
    hue = hue_of(xp, red, green, blue, high, chroma) + turns % 1 * 6
    return rgb_of_hue(xp, xp.where(hue > 6, hue - 6, hue), low, chroma)


def convert_colors(values: Values, dtype: DTypeLike) -> Values:
    """Convert computed pixel values to an image's dtype: to integers as MXNet does, clipped to
    their range and rounded toward 0.
    """
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = values.clip(limits.min, limits.max)
    return values.astype(dtype, copy=False)


def _luma(image: Values) -> Values:
    """(height, width, 1)."""
    if image.shape[2] == 1:
        return image
    xp = get_array_module(image)
    return xp.matmul(image, xp.asarray(np.asarray(LUMA, image.dtype)))[:, :, None]
