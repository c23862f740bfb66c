"""Resizing on either device: OpenCV's on the CPU, and on a GPU the same filters as two matrix
products.

All of OpenCV's interpolations are separable: the output is ``rows @ image @ columns.T`` with a
matrix of weights for each axis, which is worked out on the host.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gpuio.context import Module, device_of, get_array_module, on_device
from gpuio.decoding.limits import check_pixels
from gpuio.errors import ArgumentError
from gpuio.nd.placement import host_array, plain
from gpuio.nd.types import Array, HostArray
from gpuio.planning.plan import AREA, CUBIC, LANCZOS, LINEAR, NEAREST

# The third coefficient of OpenCV's bicubic kernel (Keys, IEEE Trans. ASSP 29, 1981).
KEYS_A = -0.75

# Weights of the largest matrix, of which working it out takes several times its 128 MB, and of the
# largest that is kept.
LARGEST_MATRIX, KEPT_MATRIX = 1 << 25, 1 << 20

# Source pixels that a filter reads for an output pixel, where it does not average areas.
TAPS = {LINEAR: 2, CUBIC: 4, LANCZOS: 8}


def resize(image: Array, width: int, height: int, method: int) -> Array:
    """Resize an image.

    Parameters
    ----------
    image : (height, width, channels), on either device
    width, height : of the output, in pixels
    method : NEAREST, LINEAR, CUBIC, AREA or LANCZOS, OpenCV's, none of which antialiases but AREA

    Returns
    -------
    a new array (height, width, channels) of the same dtype on the same device. A GPU's values
    differ from the CPU's by rounding only: by at most 1 for integers. Where its matrices would be
    huge, the array is made on the CPU and copied

    Raises
    ------
    ArgumentError : the output has too many pixels.
    """
    check_pixels(width, height)
    ctx = device_of(image)
    if ctx.device_type == "cpu":
        return _with_opencv(np.asarray(image), width, height, method)
    with on_device(ctx):
        if max(image.shape[0] * height, image.shape[1] * width) > LARGEST_MATRIX:
            made: Array = get_array_module(image).asarray(
                _with_opencv(np.asarray(host_array(image)), width, height, method)
            )
            return made
        return with_matrices(get_array_module(image), plain(image), width, height, method)


def _with_opencv(image: HostArray, width: int, height: int, method: int) -> HostArray:
    import cv2

    from gpuio.execution.resample import OPENCV_METHODS

    channels = image.shape[2]
    try:
        made = cv2.resize(image, (width, height), interpolation=OPENCV_METHODS[method])
    except cv2.error as error:
        raise ArgumentError(f"an image of {width} x {height} pixels: {error.err}") from error
    return made.reshape(height, width, channels)


def with_matrices(xp: Module, image: Array, width: int, height: int, method: int) -> Array:
    """Resize with the array library `xp`: NumPy or CuPy."""
    source_height, source_width, channels = image.shape
    down = averages_area(source_width, width) and averages_area(source_height, height)
    rows = xp.asarray(weights(source_height, height, method, down))
    columns = xp.asarray(weights(source_width, width, method, down))
    kind = xp.float64 if image.dtype == np.float64 else xp.float32
    values = image.astype(kind)
    tall = xp.tensordot(rows.astype(kind), values, axes=(1, 0))
    made = xp.matmul(columns.astype(kind), tall)
    if image.dtype.kind in "ui":
        limits = np.iinfo(image.dtype)
        made = xp.rint(made).clip(limits.min, limits.max)
    resized: Array = made.astype(image.dtype).reshape(height, width, channels)
    return resized


def averages_area(source: int, target: int) -> bool:
    """Whether AREA averages along this axis; it does only where it does along both."""
    return source >= target


def weights(source: int, target: int, method: int, average: bool = False) -> NDArray[np.float32]:
    """What each source pixel of an axis counts for each output pixel.

    Parameters
    ----------
    source, target : pixels
    method : the interpolation
    average : for AREA: average what lies under an output pixel; else it interpolates between the
        two nearest, so that output pixels cover source pixels evenly

    Returns
    -------
    float32 (target, source), rows of which sum to 1; read-only
    """
    small = source * target <= KEPT_MATRIX
    return (_kept_weights if small else _weights)(source, target, method, average)


def _weights(source: int, target: int, method: int, average: bool) -> NDArray[np.float32]:
    weights = np.zeros((target, source))
    scale = source / target
    output = np.arange(target)
    if method == NEAREST:
        weights[output, np.minimum((output * scale).astype(int), source - 1)] = 1
    elif method == AREA and average:
        # How much of each source pixel [j, j + 1] lies under the output pixel.
        edges = np.arange(source)
        begin, end = output[:, None] * scale, (output[:, None] + 1) * scale
        covered = np.minimum(end, edges + 1) - np.maximum(begin, edges)
        weights = covered.clip(0) / scale
    elif method == AREA:
        first = np.floor(output * scale).astype(int)
        share = output + 1 - (first + 1) / scale
        _add(weights, first, np.where(share <= 0, 0, share - np.floor(share)), LINEAR)
    else:
        place = (output + 0.5) * scale - 0.5
        first = np.floor(place).astype(int)
        _add(weights, first, place - first, method)
    even: NDArray[np.float32] = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    even.flags.writeable = False
    return even


_kept_weights = lru_cache(maxsize=64)(_weights)


def _add(weights: HostArray, first: HostArray, share: HostArray, method: int) -> None:
    """Add the filter's weights around the places ``first + share``; beyond the ends the last pixel
    goes on.
    """
    taps = TAPS[method]
    rows = np.arange(len(first))
    for tap in range(1 - taps // 2, taps // 2 + 1):
        pixel = (first + tap).clip(0, weights.shape[1] - 1)
        np.add.at(weights, (rows, pixel), _kernel(share - tap, method))


def _kernel(distance: HostArray, method: int) -> HostArray:
    """The weight of a pixel at a distance."""
    d = np.abs(distance)
    if method == LINEAR:
        return (1 - d).clip(0)
    if method == LANCZOS:
        return np.sinc(d) * np.sinc(d / 4)
    near = ((KEYS_A + 2) * d - (KEYS_A + 3)) * d * d + 1
    far = ((KEYS_A * d - 5 * KEYS_A) * d + 8 * KEYS_A) * d - 4 * KEYS_A
    return np.where(d <= 1, near, np.where(d < 2, far, 0))
