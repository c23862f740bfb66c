"""The operations and magnitudes among which RandAugment and TrivialAugment choose."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.planning import operations as ops
from gpuio.planning.operations import Operations
from gpuio.planning.plan import NEAREST, Ints


class Magnitudes(NamedTuple):
    """The ranges of a policy's magnitudes: linear in the number of the magnitude, from 0.

    Attributes
    ----------
    shear : the largest shear
    translate : the largest shift: of the width and height, or in pixels
    relative : whether it is of the width and height
    rotate : the largest angle in degrees
    blend : the largest change of a factor from 1
    bits : how many bits are cleared at most
    """

    shear: float
    translate: float
    relative: bool
    rotate: float
    blend: float
    bits: int


# The operations of RandAugment and TrivialAugment, in torchvision's order.
NAMES = (
    "Identity",
    "ShearX",
    "ShearY",
    "TranslateX",
    "TranslateY",
    "Rotate",
    "Brightness",
    "Color",
    "Contrast",
    "Sharpness",
    "Posterize",
    "Solarize",
    "AutoContrast",
    "Equalize",
)
(_, SHEAR_X, SHEAR_Y, TRANSLATE_X, TRANSLATE_Y, ROTATE, BRIGHTNESS, _, _, SHARPNESS) = range(10)
POSTERIZE, SOLARIZE = 10, 11
CODES = np.array(
    [
        ops.IDENTITY,
        *[ops.WARP_NEAREST] * 5,
        ops.BRIGHTNESS,
        ops.SATURATION,
        ops.CONTRAST,
        ops.SHARPNESS,
        ops.POSTERIZE,
        ops.SOLARIZE,
        ops.AUTOCONTRAST,
        ops.EQUALIZE,
    ],
    np.int32,
)

# As torchvision has them, which follow the papers.
RANDAUGMENT = Magnitudes(0.3, 150 / 331, True, 30.0, 0.9, 4)
TRIVIAL_WIDE = Magnitudes(0.99, 32.0, False, 135.0, 0.99, 6)


def named_operations(
    name: Ints,
    magnitude: Ints,
    negative: NDArray[np.bool_],
    bins: int,
    magnitudes: Magnitudes,
    size: tuple[int, int],
    interpolation: int,
    fill: tuple[int, ...],
) -> Operations:
    """The operations with names and magnitudes.

    Parameters
    ----------
    name : int64 (…,), numbers in `NAMES`
    magnitude : int64 (…,), 0 to bins - 1
    negative : bool (…,): the other way, if the operation has two directions
    bins : number of magnitudes, at least 2
    size : width and height of the output in pixels
    interpolation : NEAREST or LINEAR
    fill : pixel values of what is outside, one for each channel

    Returns
    -------
    OPERATION (…,)
    """
    result = ops.no_operations(*name.shape)
    result["code"] = CODES[name]
    result["fill"][..., : len(fill)] = fill
    if len(fill) == 1:
        result["code"][np.isin(result["code"], ops.OF_COLORS)] = ops.IDENTITY
    if interpolation != NEAREST:
        result["code"][result["code"] == ops.WARP_NEAREST] = ops.WARP_BILINEAR
    sign = np.where(negative, -1.0, 1.0)

    def amount(largest: float) -> NDArray[np.float64]:
        return linear(0, largest, magnitude, bins)

    def put(number: int, values: NDArray[np.float64]) -> None:
        chosen = name == number
        result["values"][chosen] = values[chosen]

    values = result["values"]
    put(SHEAR_X, ops.shear_x_values(sign * amount(magnitudes.shear)))
    put(SHEAR_Y, ops.shear_y_values(sign * amount(magnitudes.shear)))
    across, down = size if magnitudes.relative else (1, 1)
    still = np.zeros(name.shape)
    move = sign * np.trunc(amount(magnitudes.translate * across))
    put(TRANSLATE_X, ops.translate_values(move, still))
    move = sign * np.trunc(amount(magnitudes.translate * down))
    put(TRANSLATE_Y, ops.translate_values(still, move))
    put(ROTATE, ops.rotate_values(sign * amount(magnitudes.rotate), size))
    blended = (name >= BRIGHTNESS) & (name <= SHARPNESS)
    values[blended] = ops.blend_values(1 + sign * amount(magnitudes.blend))[blended]
    cleared = 8 - np.rint(8 - magnitude / ((bins - 1) / magnitudes.bits)).astype(np.int64)
    put(POSTERIZE, ops.number_values(256 - (1 << cleared)))
    put(SOLARIZE, ops.number_values(255 * linear(1, 0, magnitude, bins)))
    return result


def linear(first: float, last: float, number: Ints, count: int) -> NDArray[np.float64]:
    """Some of the float32 numbers of ``torch.linspace(first, last, count)``: float64 (…,).

    That some of them are a little more or less than the fraction decides how many pixels an image
    is moved by, and how products with pixel values are rounded.
    """
    end = np.float32(last)
    step = np.float64((end - np.float32(first)) / np.float32(count - 1))
    ahead, behind = first + step * number, end - step * (count - 1 - number)
    return np.where(number < count // 2, ahead, behind).astype(np.float32).astype(np.float64)
