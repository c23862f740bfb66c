"""Operations on the pixels of samples, on the host; see `gpuio.planning.operations`.

The native module and kernels/augment.cu give the same bits: integers are exact, and of float32 each
operation is rounded to nearest, none fused.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from gpuio import native
from gpuio.planning import operations as ops
from gpuio.planning.operations import FRACTION, GRAY, Operations

Pixels = NDArray[np.uint8]

# Bits of the weights of an interpolation.
WEIGHT = 16

# Every pixel value, and its share of the largest.
VALUES = np.arange(256, dtype=np.float32)
UNIT = np.float32(1 / 255)

# Where the channels of a color are among (value, p, q, t), for each sixth of a turn.
SECTORS = np.array([(0, 3, 1), (2, 0, 1), (1, 0, 3), (1, 2, 0), (3, 1, 0), (0, 1, 2)])


def operate_batch(pixels: Pixels, operations: Operations | None) -> Pixels:
    """Apply the operations of a batch.

    Parameters
    ----------
    pixels : uint8 (N, height, width, channels), on the host
    operations : OPERATION (N, K), or None

    Returns
    -------
    A new array, or `pixels` if there are no operations
    """
    if operations is None or not operations["code"].any():
        return pixels
    result = pixels.copy()
    for sample, row in zip(result, operations, strict=True):
        sample[...] = operate(sample, row)
    return result


def operate(pixels: Pixels, operations: Operations) -> Pixels:
    """Apply the operations of one sample, in their order.

    Parameters
    ----------
    pixels : uint8 (height, width, channels), on the host; 1 or 3 channels, or of operations that
        only erase any number up to 4
    operations : OPERATION (K,)

    Returns
    -------
    A new array, or `pixels` if no operation changes anything
    """
    active = operations[operations["code"] != ops.IDENTITY]
    if not len(active):
        return pixels
    if (module := native.library()) is not None:
        return module.operate(active, pixels)
    for each in active:
        pixels = _FUNCTIONS[int(each["code"])](pixels, each)
    return pixels


def _warp_nearest(pixels: Pixels, operation: np.void) -> Pixels:
    height, width, channels = pixels.shape
    x, y = (each >> FRACTION for each in _sources(operation, width, height))
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    taken = pixels[y.clip(0, height - 1), x.clip(0, width - 1)]
    warped: Pixels = np.where(inside[..., None], taken, operation["fill"][:channels])
    return warped


def _warp_bilinear(pixels: Pixels, operation: np.void) -> Pixels:
    height, width, channels = pixels.shape
    # Around the image lie two pixels of the fill, beyond which nothing else is seen.
    framed = np.empty((height + 4, width + 4, channels), np.int64)
    framed[...] = operation["fill"][:channels]
    framed[2:-2, 2:-2] = pixels
    half = 1 << (FRACTION - 1)
    x, y = (each - half for each in _sources(operation, width, height))
    one, drop = 1 << WEIGHT, FRACTION - WEIGHT
    across, down = ((each >> drop & (one - 1))[..., None] for each in (x, y))
    left = (x >> FRACTION).clip(-2, width) + 2
    top = (y >> FRACTION).clip(-2, height) + 2
    upper = framed[top, left] * (one - across) + framed[top, left + 1] * across
    lower = framed[top + 1, left] * (one - across) + framed[top + 1, left + 1] * across
    total = upper * (one - down) + lower * down
    warped: Pixels = (total + (1 << (2 * WEIGHT - 1)) >> 2 * WEIGHT).astype(np.uint8)
    return warped


def _sources(
    operation: np.void, width: int, height: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each output pixel lies in the image, in units of 2**-32: x and y, (height, width)."""
    a, b, c, d, e, f = operation["values"].astype(np.int64).tolist()
    j, i = np.arange(width), np.arange(height)[:, None]
    return a * j + b * i + c, d * j + e * i + f


def _brightness(pixels: Pixels, operation: np.void) -> Pixels:
    factor = np.float32(operation["values"][0])
    return _look_up(pixels, _truncated(VALUES * factor))


def _contrast(pixels: Pixels, operation: np.void) -> Pixels:
    factor, rest = operation["values"][:2].astype(np.float32)
    height, width, _ = pixels.shape
    mean = np.float32(int(_gray(pixels).sum()) / (height * width))
    return _look_up(pixels, _truncated(VALUES * factor + rest * mean))


def _saturation(pixels: Pixels, operation: np.void) -> Pixels:
    factor, rest = operation["values"][:2].astype(np.float32)
    gray = _gray(pixels).astype(np.float32)[..., None]
    return _truncated(pixels * factor + rest * gray)


def _sharpness(pixels: Pixels, operation: np.void) -> Pixels:
    height, width, _ = pixels.shape
    if height <= 2 or width <= 2:
        return pixels
    rest = np.float32(operation["values"][1])
    inner = pixels[1:-1, 1:-1].astype(np.int32)
    # Each of 3 x 3 pixels once, and the middle one four times more; 13 has no half.
    total = cv2.boxFilter(pixels, cv2.CV_32S, (3, 3), normalize=False)
    total = total.reshape(pixels.shape)[1:-1, 1:-1] + 4 * inner
    difference = (total + 6) // 13 - inner
    result = pixels.copy()
    result[1:-1, 1:-1] = _truncated(inner.astype(np.float32) + rest * difference.astype(np.float32))
    return result


def _posterize(pixels: Pixels, operation: np.void) -> Pixels:
    return pixels & np.uint8(operation["values"][0])


def _solarize(pixels: Pixels, operation: np.void) -> Pixels:
    threshold = np.float32(operation["values"][0])
    return _look_up(pixels, np.where(threshold <= VALUES, 255 - VALUES, VALUES).astype(np.uint8))


def _invert(pixels: Pixels, operation: np.void) -> Pixels:
    return ~pixels


def _autocontrast(pixels: Pixels, operation: np.void) -> Pixels:
    result = np.empty_like(pixels)
    for channel in range(pixels.shape[2]):
        plane = pixels[..., channel]
        low, high = np.float32(plane.min()), np.float32(plane.max())
        if high > low:
            plane = _look_up(plane, _truncated((VALUES - low) / ((high - low) * UNIT)))
        result[..., channel] = plane
    return result


def _equalize(pixels: Pixels, operation: np.void) -> Pixels:
    result = np.empty_like(pixels)
    for channel in range(pixels.shape[2]):
        plane = pixels[..., channel]
        counts = np.bincount(plane.reshape(-1), minlength=256)
        # All but those of the largest value, shared out among 255 steps.
        step = (plane.size - int(counts[int(plane.max())])) // 255
        if step:
            below = counts.cumsum() - counts
            plane = _look_up(plane, ((below + step // 2) // step).clip(0, 255).astype(np.uint8))
        result[..., channel] = plane
    return result


def _hue(pixels: Pixels, operation: np.void) -> Pixels:
    one, sixth = np.float32(1), np.float32(1 / 6)
    rgb = pixels.astype(np.float32) * UNIT
    red, green = rgb[..., 0], rgb[..., 1]
    high, low = rgb.max(-1), rgb.min(-1)
    chroma = high - low
    saturation = chroma / np.where(chroma > 0, high, one)
    rc, gc, bc = np.moveaxis(
        (high[..., None] - rgb) / np.where(chroma > 0, chroma, one)[..., None], -1, 0
    )
    hue = np.where(
        high == red, bc - gc, np.where(high == green, rc + 2 - bc, gc + 4 - rc)
    )  # in sixths of a turn
    hue = hue * sixth + one
    hue = np.where(hue >= 1, hue - one, hue) + np.float32(operation["values"][0])
    hue = np.where(hue < 0, hue + one, np.where(hue >= 1, hue - one, hue))
    hue6 = hue * np.float32(6)
    sector = np.floor(hue6)
    part = saturation * (hue6 - sector)
    gray = one - saturation
    shades = [each.clip(0, 1) for each in (gray * high, (one - part) * high, (part + gray) * high)]
    found = np.stack([high, *shades], axis=-1)
    place = SECTORS[sector.astype(np.int64) % 6]
    shifted = np.take_along_axis(found, place, axis=-1)
    return (shifted * np.float32(255.999)).astype(np.uint8)


def _erase(pixels: Pixels, operation: np.void) -> Pixels:
    x0, y0, x1, y1 = operation["values"][:4].astype(np.int64).tolist()
    result = pixels.copy()
    result[y0:y1, x0:x1] = operation["fill"][: pixels.shape[2]]
    return result


def _gray(pixels: Pixels) -> NDArray[np.int64]:
    """The gray of each pixel, rounded down: int64 (height, width)."""
    if pixels.shape[2] == 1:
        return pixels[..., 0].astype(np.int64)
    red, green, blue = np.moveaxis(pixels.astype(np.int64), -1, 0)
    gray: NDArray[np.int64] = (red * GRAY[0] + green * GRAY[1] + blue * GRAY[2]) // 10000
    return gray


def _truncated(values: NDArray[np.float32]) -> Pixels:
    """Values clipped to 0 to 255 and rounded down."""
    return values.clip(0, 255).astype(np.uint8)


def _look_up(pixels: Pixels, table: Pixels) -> Pixels:
    return table[pixels]


_FUNCTIONS: dict[int, Callable[[Pixels, np.void], Pixels]] = {
    ops.WARP_NEAREST: _warp_nearest,
    ops.WARP_BILINEAR: _warp_bilinear,
    ops.BRIGHTNESS: _brightness,
    ops.SATURATION: _saturation,
    ops.CONTRAST: _contrast,
    ops.SHARPNESS: _sharpness,
    ops.POSTERIZE: _posterize,
    ops.SOLARIZE: _solarize,
    ops.INVERT: _invert,
    ops.AUTOCONTRAST: _autocontrast,
    ops.EQUALIZE: _equalize,
    ops.HUE: _hue,
    ops.ERASE: _erase,
}
