"""Normalisation, on the device of the picture."""

from __future__ import annotations

from typing import Any

from gpuio.context import get_array_module
from gpuio.errors import ArgumentError
from gpuio.image.arrays import by_channel, picture_of
from gpuio.nd import NDArray


def color_normalize(src: Any, mean: Any, std: Any = None) -> NDArray:
    """Subtract the mean and divide by the deviation, in place.

    Parameters
    ----------
    src : (height, width, channels), of a floating type; it is changed
    mean, std : a number for each channel, or one for all; None: leave that step out

    Returns
    -------
    src

    Raises
    ------
    ArgumentError : src has whole numbers, which could not hold the result.
    """
    picture = picture_of(src)
    if picture.dtype.kind != "f":
        raise ArgumentError(
            f"color_normalize works in place, and {picture.dtype} cannot hold the result; convert "
            "the picture first: src.astype('float32')"
        )
    xp = get_array_module(picture)
    if mean is not None:
        by_channel(xp.subtract, picture, mean, picture)
    if std is not None:
        by_channel(xp.divide, picture, std, picture)
    return picture
