"""Rotation about the centre, on the device of the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuio import nd
from gpuio.context import get_array_module
from gpuio.image.arrays import host
from gpuio.nd import NDArray
from gpuio.sampling import sample_rng as draws


def imrotate(
    src: Any, rotation_degrees: Any, zoom_in: bool = False, zoom_out: bool = False
) -> NDArray:
    """Rotate one picture, or several, about the centre; the size stays.

    Parameters
    ----------
    src : float32 (channels, height, width), or (pictures, channels, height, width)
    rotation_degrees : a number; or, for several pictures, one for each. Positive ones turn the
        picture counter-clockwise
    zoom_in : enlarge it so that no corner is empty
    zoom_out : shrink it so that nothing is cut off

    Returns
    -------
    float32 of the same shape, sampled bilinearly; what lies outside is 0

    Raises
    ------
    TypeError : src is not float32, or one picture is given several angles.
    ValueError : both zooms are asked for, the number of angles is not that of the pictures, or src
        has not 3 or 4 axes.
    """
    pictures = src if isinstance(src, NDArray) else nd.wrap(np.asarray(src))
    if pictures.dtype != np.float32:
        raise TypeError(
            f"Only `float32` images are supported by this function, not {pictures.dtype}"
        )
    if zoom_in and zoom_out:
        raise ValueError("`zoom_in` and `zoom_out` cannot be both True")
    if pictures.ndim not in (3, 4):
        raise ValueError(
            f"src must be (channels, height, width) or several such pictures, not {pictures.shape}"
        )
    angles = host(rotation_degrees).astype(np.float64)
    if pictures.ndim == 3:
        if angles.ndim:
            raise TypeError("one picture takes one angle, a number")
        return nd.wrap(imrotate(pictures[None], angles, zoom_in, zoom_out)[0])
    if angles.ndim and angles.shape != (len(pictures),):
        raise ValueError(
            f"there must be an angle for each of {len(pictures)} pictures, not {angles.shape}"
        )
    turned = np.broadcast_to(np.deg2rad(angles), len(pictures))
    xp = get_array_module(pictures)
    made = xp.stack(
        [
            _rotated(xp, picture, float(angle), zoom_in, zoom_out)
            for picture, angle in zip(pictures, turned, strict=True)
        ]
    )
    return nd.wrap(made)


def random_rotate(
    src: Any, angle_limits: Sequence[float], zoom_in: bool = False, zoom_out: bool = False
) -> NDArray:
    """Rotate, as `imrotate` does, by an angle that NumPy's global generator draws evenly for each
    picture.

    Parameters
    ----------
    angle_limits : least and most, in degrees
    """
    pictures = src if isinstance(src, NDArray) else nd.wrap(np.asarray(src))
    low, high = angle_limits
    size = None if pictures.ndim == 3 else len(pictures)
    return imrotate(pictures, draws.uniforms(low, high, size), zoom_in, zoom_out)


def _rotated(xp: Any, picture: Any, angle: float, zoom_in: bool, zoom_out: bool) -> Any:
    """One picture (channels, height, width), turned by an angle in radians."""
    channels, height, width = picture.shape
    cos, sin = math.cos(angle), math.sin(angle)
    # Where the corners of the picture come to lie.
    reach_x = width * abs(cos) + height * abs(sin)
    reach_y = width * abs(sin) + height * abs(cos)
    zoom = 1.0
    if zoom_out:
        zoom = max(reach_x / width, reach_y / height)
    elif zoom_in:
        zoom = min(width / reach_x, height / reach_y)
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    x = xp.arange(width) - centre_x
    y = (xp.arange(height) - centre_y)[:, None]
    source_x = (x * cos - y * sin) * zoom + centre_x
    source_y = (x * sin + y * cos) * zoom + centre_y
    left, top = xp.floor(source_x).astype(int), xp.floor(source_y).astype(int)
    share_x = (source_x - left).astype(np.float32)
    share_y = (source_y - top).astype(np.float32)
    made = xp.zeros((channels, height, width), np.float32)
    for down, weight_y in ((0, 1 - share_y), (1, share_y)):
        for right, weight_x in ((0, 1 - share_x), (1, share_x)):
            row, column = top + down, left + right
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            pixel = picture[:, row.clip(0, height - 1), column.clip(0, width - 1)]
            made += xp.where(inside, weight_y * weight_x, np.float32(0)) * pixel
    return made
