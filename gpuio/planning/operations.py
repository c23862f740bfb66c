"""Operations on the pixels of a sample's output: what RandAugment and its like are made of.

An operation is one record of `OPERATION`: a code, and its numbers. Their arithmetic is that of
torchvision's transforms v2 for uint8 tensors, written so that every device gives the same bits.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Codes, numbered as in kernels/native/operation_codes.h.
IDENTITY, WARP_NEAREST, WARP_BILINEAR, BRIGHTNESS, SATURATION, CONTRAST, SHARPNESS = range(7)
POSTERIZE, SOLARIZE, INVERT, AUTOCONTRAST, EQUALIZE, HUE, ERASE = range(7, 14)

# An operation. What `values` are:
#
# WARP_NEAREST, WARP_BILINEAR : a map, (2, 3), in units of 2**-32, integers: output pixel (i, j) is
#     the image at ``(x, y) = map @ (j, i, 1)``, where pixel p reaches from p to p + 1; outside of
#     the image is `fill`. Nearest takes the pixel at (floor(x), floor(y)); bilinear blends the four
#     pixels whose centers are around (x, y), with weights of 16 bits, those outside with the value
#     `fill`
# BRIGHTNESS, SATURATION, CONTRAST, SHARPNESS : the factor, and 1 less the factor. The pixel is
#     blended with black, its gray, the image's mean gray, or its surroundings of 3 x 3 pixels
# POSTERIZE : the mask of bits that are kept
# SOLARIZE : pixel values of at least this are inverted
# HUE : added to the hue, in turns, -0.5 to 0.5
# ERASE : x0, y0, x1, y1: the pixels that become `fill`
OPERATION = np.dtype(
    [("code", np.int32), ("fill", np.uint8, 4), ("values", np.float64, 6)], align=True
)

# Bits of the fraction of a map's numbers, as there.
FRACTION = 32

Operations: TypeAlias = NDArray[np.void]  # of OPERATION

# Weights of red, green and blue in the gray of torchvision, in units of 1 / 10000.
GRAY = (2989, 5870, 1140)

# Codes whose results depend on more of the image than a pixel's surroundings.
WITH_STATISTICS = (CONTRAST, AUTOCONTRAST, EQUALIZE)

# Codes of operations that need red, green and blue, and leave gray images as they are.
OF_COLORS = (SATURATION, HUE)


def no_operations(*shape: int) -> Operations:
    """Operations that change nothing: OPERATION of a shape."""
    return np.zeros(shape, OPERATION)


def blend_values(factor: ArrayLike) -> NDArray[np.float64]:
    """The `values` of operations with a factor, (…,): float64 (…, 6)."""
    factor = np.asarray(factor, np.float64)
    values = np.zeros((*factor.shape, 6))
    values[..., 0], values[..., 1] = factor, 1 - factor
    return values


def number_values(numbers: ArrayLike) -> NDArray[np.float64]:
    """The `values` of operations with one number, (…,): float64 (…, 6)."""
    numbers = np.asarray(numbers, np.float64)
    values = np.zeros((*numbers.shape, 6))
    values[..., 0] = numbers
    return values


def shear_x_values(shear: ArrayLike) -> NDArray[np.float64]:
    """The `values` of warps: the row whose center is at y shows what lies shear * y to the right.
    The upper edge stays where it is. float64 (…, 6), of shears (…,).
    """
    return _warp_values(1.0, shear, 0.0, 1.0, 0.0, 0.0)


def shear_y_values(shear: ArrayLike) -> NDArray[np.float64]:
    """The same down: the column at x shows what lies shear * x below."""
    return _warp_values(1.0, 0.0, shear, 1.0, 0.0, 0.0)


def translate_values(right: ArrayLike, down: ArrayLike) -> NDArray[np.float64]:
    """The `values` of warps that move the image by so many pixels: float64 (…, 6)."""
    return _warp_values(1.0, 0.0, 0.0, 1.0, -np.asarray(right), -np.asarray(down))


def rotate_values(degrees: ArrayLike, size: tuple[int, int]) -> NDArray[np.float64]:
    """The `values` of warps that rotate the image counterclockwise around its center.

    Parameters
    ----------
    degrees : (…,)
    size : width and height in pixels

    Returns
    -------
    float64 (…, 6)
    """
    angle = np.deg2rad(np.asarray(degrees, np.float64))
    cosine, sine = np.cos(angle), np.sin(angle)
    x, y = size[0] / 2, size[1] / 2
    return _warp_values(
        cosine, -sine, sine, cosine, x - cosine * x + sine * y, y - sine * x - cosine * y
    )


def mirrored(operations: Operations, width: int) -> Operations:
    """The operations that do to an image's mirror image what others do to the image.

    Parameters
    ----------
    operations : OPERATION (…,)
    width : of the image in pixels
    """
    result = operations.copy()
    warps = np.isin(result["code"], (WARP_NEAREST, WARP_BILINEAR))
    # x becomes width - x, before and after the map; j becomes width - 1 - j.
    a, b, c, d, e, f = result["values"][warps].T
    right = (width << FRACTION) - a * (width - 1) - c
    # Less the smallest unit: what lay on a pixel's left edge, and was its, lies on its right one.
    right -= result["code"][warps] == WARP_NEAREST
    result["values"][warps] = np.stack([a, -b, right, -d, e, d * (width - 1) + f], axis=-1)
    erased = result["code"] == ERASE
    x0, _, x1 = result["values"][erased][:, :3].T
    result["values"][erased, 0], result["values"][erased, 2] = width - x1, width - x0
    return result


def _warp_values(
    *numbers: ArrayLike,
) -> NDArray[np.float64]:
    """Maps, flattened, in units of 2**-32: (x, y) is ``((a, b), (c, d)) @ (j + 1/2, i + 1/2) +
    (right, down)``, of numbers a, b, c, d, right and down.
    """
    a, b, c, d, right, down = (np.asarray(each, np.float64) for each in numbers)
    x, y = a / 2 + b / 2 + right, c / 2 + d / 2 + down
    values = np.stack(np.broadcast_arrays(a, b, x, c, d, y), axis=-1)
    fixed: NDArray[np.float64] = np.rint(values * 2.0**FRACTION)
    return fixed
