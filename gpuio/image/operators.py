"""MXNet's ``mx.nd.image``: operations on images and batches, on the device of the array.

An image is (height, width, channels), a batch (N, height, width, channels). All have the argument
``out``; see `gpuio.nd.operator`. Integers are computed in float32, cut off and limited to their
range, as in MXNet. The random functions draw as MXNet's augmenters; `gpuio.random.seed` decides.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from gpuio.context import get_array_module
from gpuio.errors import ArgumentError
from gpuio.image.arrays import as_size
from gpuio.image.color import adjust_contrast, adjust_hue, adjust_saturation, convert_colors
from gpuio.image.geometry import imresize, resize_short
from gpuio.nd.operator import operator
from gpuio.nd.placement import plain
from gpuio.nd.types import Values
from gpuio.planning.colors import EIGENVALUES, EIGENVECTORS
from gpuio.sampling.sample_rng import current_rng

__all__ = [
    "adjust_lighting",
    "crop",
    "flip_left_right",
    "flip_top_bottom",
    "normalize",
    "random_brightness",
    "random_color_jitter",
    "random_contrast",
    "random_flip_left_right",
    "random_flip_top_bottom",
    "random_hue",
    "random_lighting",
    "random_saturation",
    "resize",
    "to_tensor",
]


def _check(data: Values, dimensions: tuple[int, ...] = (3, 4)) -> None:
    if data.ndim not in dimensions:
        batch = " or (N, height, width, channels)" if 4 in dimensions else ""
        raise ArgumentError(f"expected an image (height, width, channels){batch}, not {data.shape}")


@operator
def to_tensor(data: Values) -> Values:
    """Pixel values 0 to 255 as float32 0 to 1, with the channels first: (channels, height, width),
    or (N, channels, height, width).
    """
    _check(data)
    xp = get_array_module(data)
    # Bytes are moved faster than floating-point values.
    planes = xp.ascontiguousarray(data.transpose((2, 0, 1) if data.ndim == 3 else (0, 3, 1, 2)))
    return xp.true_divide(planes, np.float32(255), dtype=np.float32)


@operator
def normalize(
    data: Values, mean: float | Sequence[float] = 0.0, std: float | Sequence[float] = 1.0
) -> Values:
    """Subtract the mean and divide by the standard deviation.

    Parameters
    ----------
    data : floating-point (channels, height, width) or (N, channels, height, width) with 1 or 3
        channels, as of `to_tensor`
    mean, std : a number for each channel, or one for all
    """
    if data.ndim not in (3, 4) or data.shape[-3] not in (1, 3):
        raise ArgumentError(
            "normalize takes (channels, height, width) or (N, channels, height, width) with 1 or 3 "
            f"channels, not {data.shape}; use it after to_tensor"
        )
    if data.dtype.kind != "f":
        raise ArgumentError(
            f"{data.dtype} cannot hold a normalized image; use to_tensor or astype('float32') first"
        )
    xp = get_array_module(data)
    numbers = []
    for name, given in (("mean", mean), ("std", std)):
        values = np.asarray(given, np.float64).reshape(-1)
        if values.size not in (1, data.shape[-3]):
            raise ArgumentError(
                f"{name} has {values.size} numbers, the image {data.shape[-3]} channels"
            )
        numbers.append(xp.asarray(values.astype(data.dtype)[:, None, None]))
    return (data - numbers[0]) / numbers[1]


@operator
def resize(
    data: Values, size: int | Sequence[int], keep_ratio: bool = False, interp: int = 1
) -> Values:
    """Resize an image or a batch.

    Parameters
    ----------
    size : (width, height); or the length of both sides, or of the shorter one if `keep_ratio`
    interp : as in `gpuio.image.imresize`
    """
    _check(data)
    width, height = as_size(size)
    if keep_ratio and np.size(size) == 1:
        scale = functools.partial(resize_short, size=width, interp=interp)
    else:
        scale = functools.partial(imresize, w=width, h=height, interp=interp)
    if data.ndim == 3:
        return plain(scale(data))
    return get_array_module(data).stack([plain(scale(image)) for image in data])


@operator
def crop(data: Values, x: int, y: int, width: int, height: int) -> Values:
    """Crop a rectangle, which must lie inside the image."""
    _check(data)
    rows, columns = data.shape[-3:-1]
    if not (0 <= x < x + width <= columns and 0 <= y < y + height <= rows):
        raise ArgumentError(
            f"a crop of {width} x {height} pixels at ({x}, {y}) is empty, or not inside an image "
            f"of {columns} x {rows}"
        )
    return data[..., y : y + height, x : x + width, :]


@operator
def flip_left_right(data: Values) -> Values:
    """Mirror left and right."""
    _check(data)
    return data[..., ::-1, :]


@operator
def flip_top_bottom(data: Values) -> Values:
    """Mirror top and bottom."""
    _check(data)
    return data[..., ::-1, :, :]


@operator
def random_flip_left_right(data: Values, p: float = 0.5) -> Values:
    """Mirror an image left and right with a probability."""
    _check(data, (3,))
    return data[:, ::-1] if current_rng().random() < p else data


@operator
def random_flip_top_bottom(data: Values, p: float = 0.5) -> Values:
    """Mirror an image top and bottom with a probability."""
    _check(data, (3,))
    return data[::-1] if current_rng().random() < p else data


@operator
def random_brightness(data: Values, min_factor: float, max_factor: float) -> Values:
    """Multiply the pixel values by a random factor."""
    return _adjusted(data, _brightness, _factor(min_factor, max_factor))


@operator
def random_contrast(data: Values, min_factor: float, max_factor: float) -> Values:
    """Scale the distance of pixel values from their mean luma by a random factor."""
    return _adjusted(data, adjust_contrast, _factor(min_factor, max_factor))


@operator
def random_saturation(data: Values, min_factor: float, max_factor: float) -> Values:
    """Scale the distance of each pixel from its luma by a random factor.

    MXNet takes 0.114 of blue for the luma, by mistake, which changes the brightness instead.
    """
    return _adjusted(data, adjust_saturation, _factor(min_factor, max_factor))


@operator
def random_hue(data: Values, min_factor: float, max_factor: float) -> Values:
    """Rotate the hue (of HLS) by a random part of a full turn."""
    return _adjusted(data, adjust_hue, _factor(min_factor, max_factor))


@operator
def random_color_jitter(
    data: Values,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    hue: float = 0.0,
) -> Values:
    """Change brightness, contrast, saturation and hue, those above 0, in random order: the first
    three by factors 1 - x to 1 + x, the hue by -x to x of a full turn. Integers are limited to
    their range after each.
    """
    rng = current_rng()
    steps = [
        (_brightness, brightness),
        (adjust_contrast, contrast),
        (adjust_saturation, saturation),
        (adjust_hue, hue),
    ]
    for adjust, most in rng.shuffled(steps):
        if most > 0:
            # A hue of 1 is a full turn: it changes nothing, as a factor of 1.
            data = _adjusted(data, adjust, 1 + rng.uniform(-most, most))
    return _checked(data)


@operator
def adjust_lighting(data: Values, alpha: Sequence[float]) -> Values:
    """Add the principal components of ImageNet's colors, times three numbers."""
    if len(alpha) != 3:
        raise ArgumentError(f"adjust_lighting: alpha has three numbers, not {alpha!r}")
    return _adjusted(data, _add_components, alpha)


@operator
def random_lighting(data: Values, alpha_std: float = 0.05) -> Values:
    """Add the principal components of ImageNet's colors, times normally distributed numbers."""
    return _adjusted(data, _add_components, current_rng().normal(alpha_std, 3))


def _factor(least: float, most: float) -> float:
    if not least <= most:
        raise ArgumentError(f"min_factor must not be above max_factor: {least}, {most}")
    return current_rng().uniform(least, most)


def _adjusted(data: Values, adjust: Callable[[Values, Values], Values], amount: Values) -> Values:
    """An image, adjusted in floating point, in its own dtype."""
    _checked(data)
    values = data if data.dtype.kind == "f" else data.astype(np.float32)
    return convert_colors(adjust(values, amount), data.dtype)


def _checked(data: Values) -> Values:
    _check(data, (3,))
    if data.shape[2] not in (1, 3):
        raise ArgumentError(
            f"expected 1 or 3 channels, not an image of shape {data.shape}; if the channels come "
            "first, change the colors before to_tensor"
        )
    return data


def _brightness(values: Values, factor: float) -> Values:
    return values * factor


def _add_components(values: Values, alpha: Values) -> Values:
    if values.shape[2] == 1:
        return values
    shift = (np.array(EIGENVECTORS) * np.asarray(alpha)) @ np.array(EIGENVALUES)
    return values + get_array_module(values).asarray(shift.astype(values.dtype))


def __dir__() -> list[str]:
    return __all__
