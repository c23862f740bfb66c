"""Rotation about the center, on the device of the image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gpuio import nd
from gpuio.context import Module, get_array_module, on_device
from gpuio.errors import ArgumentError
from gpuio.image.arrays import as_ndarray, host
from gpuio.nd import NDArray
from gpuio.nd.placement import plain
from gpuio.nd.types import Array, Values
from gpuio.sampling.sample_rng import current_rng


def imrotate(
    src: Values, rotation_degrees: Values, zoom_in: bool = False, zoom_out: bool = False
) -> NDArray:
    """Rotate one image, or several, about the center; the size stays.

    Parameters
    ----------
    src : float32 (channels, height, width), or (images, channels, height, width)
    rotation_degrees : a number; or, for several images, one for each. Positive ones rotate
        counter-clockwise
    zoom_in : enlarge it so that no corner is empty
    zoom_out : shrink it so that nothing is cropped

    Returns
    -------
    float32 of the same shape, interpolated bilinearly; pixels outside the image are 0

    Raises
    ------
    TypeError : src is not float32, or one image is given several angles.
    ValueError : both zooms are asked for, there is not one angle for each image, or src does not
        have 3 or 4 axes.
    """
    images = as_ndarray(src)
    if images.dtype != np.float32:
        raise TypeError(f"Only `float32` images are supported by this function, not {images.dtype}")
    if zoom_in and zoom_out:
        raise ValueError("`zoom_in` and `zoom_out` cannot be both True")
    if images.ndim not in (3, 4):
        raise ValueError(
            f"src must be (channels, height, width) or several such images, not {images.shape}"
        )
    try:
        angles = host(rotation_degrees).astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(f"rotation_degrees: {error}") from error
    if not np.isfinite(angles).all():
        raise ArgumentError(f"rotation_degrees must be finite, not {angles.tolist()}")
    if images.ndim == 3:
        if angles.ndim:
            raise TypeError("one image takes one angle, a number")
        return imrotate(images[None], angles, zoom_in, zoom_out)[0]
    if angles.ndim and angles.shape != (len(images),):
        raise ValueError(
            f"there must be an angle for each of {len(images)} images, not {angles.shape}"
        )
    radians = np.broadcast_to(np.deg2rad(angles), len(images))
    xp = get_array_module(images)
    with on_device(images.context):
        rotated = xp.stack(
            [
                _rotated(xp, image, float(angle), zoom_in, zoom_out)
                for image, angle in zip(plain(images), radians, strict=True)
            ]
        )
    return nd.wrap(rotated)


def random_rotate(
    src: Values, angle_limits: Sequence[float], zoom_in: bool = False, zoom_out: bool = False
) -> NDArray:
    """Rotate, as `imrotate` does, each image by a uniformly distributed angle.

    Parameters
    ----------
    angle_limits : least and most, in degrees
    """
    images = as_ndarray(src)
    try:
        low, high = map(float, angle_limits)
    except (TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(
            f"angle_limits must be the least and the largest angle, not {angle_limits!r}"
        ) from error
    angles = current_rng().uniforms(low, high, 1 if images.ndim == 3 else len(images))
    return imrotate(images, angles[0] if images.ndim == 3 else angles, zoom_in, zoom_out)


def _rotated(xp: Module, image: Array, angle: float, zoom_in: bool, zoom_out: bool) -> Array:
    """One image (channels, height, width), rotated by an angle in radians."""
    channels, height, width = image.shape
    cos, sin = math.cos(angle), math.sin(angle)
    # Width and height of the rotated image.
    reach_x = width * abs(cos) + height * abs(sin)
    reach_y = width * abs(sin) + height * abs(cos)
    zoom = 1.0
    if zoom_out:
        zoom = max(reach_x / width, reach_y / height)
    elif zoom_in:
        zoom = min(width / reach_x, height / reach_y)
    center_x, center_y = (width - 1) / 2, (height - 1) / 2
    x = xp.arange(width) - center_x
    y = (xp.arange(height) - center_y)[:, None]
    source_x = (x * cos - y * sin) * zoom + center_x
    source_y = (x * sin + y * cos) * zoom + center_y
    left, top = xp.floor(source_x).astype(int), xp.floor(source_y).astype(int)
    fraction_x = (source_x - left).astype(np.float32)
    fraction_y = (source_y - top).astype(np.float32)
    rotated: Array = xp.zeros((channels, height, width), np.float32)
    for down, weight_y in ((0, 1 - fraction_y), (1, fraction_y)):
        for right, weight_x in ((0, 1 - fraction_x), (1, fraction_x)):
            row, column = top + down, left + right
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            pixel = image[:, row.clip(0, height - 1), column.clip(0, width - 1)]
            rotated += xp.where(inside, weight_y * weight_x, np.float32(0)) * pixel
    return rotated
