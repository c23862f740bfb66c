"""Resizing, cropping and borders, on the device of the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from gpuio import nd
from gpuio.context import get_array_module, on_device
from gpuio.decoding.limits import check_pixels
from gpuio.errors import ArgumentError
from gpuio.image.arrays import as_image, as_range, write
from gpuio.image.resample import resize
from gpuio.iterators.arguments import as_float, as_int
from gpuio.nd import NDArray
from gpuio.nd.placement import plain
from gpuio.nd.types import Values
from gpuio.planning.augmenters import Size
from gpuio.planning.crop_geometry import CROP_TRIES
from gpuio.planning.plan import (
    AUTOMATIC,
    CUBIC,
    METHODS,
    automatic_method,
    draw_method,
    shorter_side,
)
from gpuio.planning.tracer import as_pixels
from gpuio.sampling.sample_rng import Rng, current_rng

Rectangle: TypeAlias = tuple[int, int, int, int]  # x0, y0, width, height

# What OpenCV resizes.
DTYPES = [np.dtype(name) for name in ("uint8", "uint16", "int16", "float32", "float64")]

# Borders by OpenCV's number, with NumPy's names; MXNet's documentation numbers them otherwise.
BORDERS = {0: "constant", 1: "edge", 2: "symmetric", 3: "wrap", 4: "reflect"}


def imresize(
    src: Values, w: int, h: int, interp: int = 1, *, out: NDArray | None = None
) -> NDArray:
    """Resize an image to `w` x `h` pixels.

    Parameters
    ----------
    src : (height, width, channels), of uint8, uint16, int16, float32 or float64
    w, h : in pixels, at least 1
    interp : 0 nearest, 1 bilinear, 2 bicubic, 3 area, 4 Lanczos over 8 x 8 pixels, as in OpenCV;
        9: bicubic if both dimensions grow, area if both shrink, else bilinear; 10: one of 0 to 4 at
        random
    out : an array of this shape, dtype and device to write to

    Returns
    -------
    (h, w, channels) of the same dtype, on the same device; `out` if given

    Raises
    ------
    ArgumentError : src is not an image, or of another dtype, a dimension is not an integer of at
        least 1, the result has too many pixels, there is no such interpolation, or out has another
        shape, dtype or device.
    """
    image = as_image(src)
    if image.dtype not in DTYPES:
        names = ", ".join(each.name for each in DTYPES)
        raise ArgumentError(f"imresize takes images of {names}, not {image.dtype}")
    width, height = as_pixels("w", w), as_pixels("h", h)
    sizes = (*image.shape[:2], height, width)
    made = nd.wrap(resize(image, width, height, get_interp_method(interp, sizes)))
    return made if out is None else write(out, made)


def get_interp_method(interp: int, sizes: Sequence[int] = ()) -> int:
    """The interpolation, 0 to 4, that a number means.

    Parameters
    ----------
    interp : as in `imresize`
    sizes : old height, old width, new height, new width; empty: AUTOMATIC is bicubic

    Raises
    ------
    ValueError : there is no such interpolation.
    """
    if interp not in METHODS:
        raise ArgumentError(
            f"Unknown interp method {interp}: 0 nearest, 1 bilinear, 2 bicubic, 3 area, 4 Lanczos, "
            "9 by the size, 10 random"
        )
    if interp == AUTOMATIC:
        return int(automatic_method(*sizes)) if sizes else CUBIC
    return draw_method(current_rng(), interp)


def scale_down(src_size: Size, size: Size) -> tuple[int, int]:
    """A size of the same aspect ratio that fits into an image: `size` itself if it does.

    Parameters
    ----------
    src_size, size : (width, height)

    Returns
    -------
    (width, height), rounded down

    Raises
    ------
    ArgumentError : size does not have this form.

    Examples
    --------
    >>> scale_down((640, 480), (720, 120))
    (640, 106)
    """
    width: float
    height: float
    width, height = check_size(size)
    source_width, source_height = src_size
    if source_height < height:
        width, height = width * source_height / height, source_height
    if source_width < width:
        width, height = source_width, height * source_width / width
    return int(width), int(height)


def check_size(size: Size) -> tuple[int, int]:
    """Check and return width and height.

    Raises
    ------
    ArgumentError : it does not have two finite numbers.
    """
    try:
        width, height = size
        valid = math.isfinite(width) and math.isfinite(height)
    except (TypeError, ValueError, OverflowError):
        valid = False
    if not valid:
        raise ArgumentError(f"a size is (width, height) in pixels, not {size!r}")
    return width, height


def resize_short(src: Values, size: int, interp: int = 2) -> NDArray:
    """Scale the shorter side of an image to `size` pixels, the longer in proportion, rounded down.

    Raises
    ------
    ArgumentError : as in `imresize`.
    """
    image = as_image(src)
    height, width = image.shape[:2]
    return imresize(image, *shorter_side(width, height, as_pixels("size", size)), interp)


def fixed_crop(
    src: Values, x0: int, y0: int, w: int, h: int, size: Size | None = None, interp: int = 2
) -> NDArray:
    """Crop a rectangle, and resize it to a size.

    Parameters
    ----------
    src : (height, width, channels)
    x0, y0, w, h : the rectangle in pixels; what is beyond the right and lower edge is left out
    size : (width, height) of the output; None: as cropped
    interp : as in `imresize`

    Returns
    -------
    A view of src if nothing was resized

    Raises
    ------
    ArgumentError : the rectangle is empty, or does not begin inside the image; or size does
        not have two numbers.
    """
    image = as_image(src)
    height, width = image.shape[:2]
    if not (0 <= x0 < width and 0 <= y0 < height and w >= 1 and h >= 1):
        raise ArgumentError(
            f"a crop of {w} x {h} pixels at ({x0}, {y0}) is empty, or does not begin inside an "
            f"image of {width} x {height}"
        )
    crop = image[y0 : y0 + h, x0 : x0 + w]
    if size is not None and (w, h) != check_size(size):
        return imresize(crop, size[0], size[1], interp)
    return nd.wrap(crop)


def random_crop(src: Values, size: Size, interp: int = 2) -> tuple[NDArray, Rectangle]:
    """Crop a rectangle at a uniformly distributed position.

    Parameters
    ----------
    src : (height, width, channels)
    size : (width, height) of the output; a rectangle too large for the image is made smaller in
        proportion (`scale_down`) and then enlarged
    interp : as in `imresize`

    Returns
    -------
    The crop, and its rectangle: (x0, y0, width, height)
    """
    image = as_image(src)
    rectangle = random_place(current_rng(), image.shape[1::-1], size)
    return fixed_crop(image, *rectangle, size, interp), rectangle


def random_place(rng: Rng, source: Size, size: Size) -> Rectangle:
    """The rectangle that `random_crop` crops, for the size of an image."""
    width, height = source
    new_width, new_height = scale_down(source, size)
    x0 = rng.randint(0, width - new_width)
    y0 = rng.randint(0, height - new_height)
    return x0, y0, new_width, new_height


def center_crop(src: Values, size: Size, interp: int = 2) -> tuple[NDArray, Rectangle]:
    """Crop a rectangle at the center; otherwise as `random_crop`."""
    image = as_image(src)
    rectangle = centered(image.shape[1::-1], size)
    return fixed_crop(image, *rectangle, size, interp), rectangle


def centered(source: Size, size: Size) -> Rectangle:
    """The rectangle that `center_crop` crops, for the size of an image."""
    width, height = source
    new_width, new_height = scale_down(source, size)
    return (width - new_width) // 2, (height - new_height) // 2, new_width, new_height


def random_size_crop(
    src: Values,
    size: Size,
    area: float | Sequence[float],
    ratio: Sequence[float],
    interp: int = 2,
    **kwargs: Any,
) -> tuple[NDArray, Rectangle]:
    """Crop a random area of a random aspect ratio, and scale it to the output.

    The area and the logarithm of the aspect ratio are uniformly distributed (Szegedy et al., Going
    deeper with convolutions, 2015). What does not fit is drawn again, up to ten times; then the
    center is cropped.

    Parameters
    ----------
    src : (height, width, channels)
    size : (width, height) of the output
    area : least and most of the image's area, as fractions; or the least alone, with 1 as the most
    ratio : least and most of width / height
    interp : as in `imresize`

    Returns
    -------
    The crop, and its rectangle: (x0, y0, width, height)

    Raises
    ------
    ArgumentError : the ranges are not 0 < least <= most.
    """
    if "min_area" in kwargs:  # MXNet's old name
        area = kwargs.pop("min_area")
    if kwargs:
        raise TypeError(f"random_size_crop has no argument {next(iter(kwargs))!r}")
    image = as_image(src)
    rectangle = random_area(current_rng(), image.shape[1::-1], size, area, ratio)
    return fixed_crop(image, *rectangle, size, interp), rectangle


def random_area(
    rng: Rng, source: Size, size: Size, area: float | Sequence[float], ratio: Sequence[float]
) -> Rectangle:
    """The rectangle that `random_size_crop` crops, for the size of an image."""
    width, height = source
    least, most = as_range("area", (area, 1.0) if isinstance(area, (int, float)) else area)
    narrow, wide = as_range("ratio", ratio)
    for _ in range(CROP_TRIES):
        target = rng.uniform(least, most) * height * width
        aspect = math.exp(rng.uniform(math.log(narrow), math.log(wide)))
        new_width = round(math.sqrt(target * aspect))
        new_height = round(math.sqrt(target / aspect))
        if 1 <= new_width <= width and 1 <= new_height <= height:
            x0 = rng.randint(0, width - new_width)
            y0 = rng.randint(0, height - new_height)
            return x0, y0, new_width, new_height
    return centered(source, size)


def copyMakeBorder(  # noqa: N802  # MXNet's name
    src: Values,
    top: int,
    bot: int,
    left: int,
    right: int,
    type: int = 0,
    value: float = 0,
    values: Sequence[float] = (),
    *,
    out: NDArray | None = None,
) -> NDArray:
    """Add a border to an image.

    Parameters
    ----------
    src : (height, width, channels)
    top, bot, left, right : pixels on each side
    type : 0: one color; 1: the edge pixels repeated (aaa|abc); 2: reflected, with the edge
        (cba|abc); 3: from the other side (abc|abc); 4: reflected, without the edge (cb|abc). These
        are OpenCV's numbers, as MXNet behaves; its documentation has others
    value : the border's pixel value for type 0
    values : the same for each channel; missing channels get 0
    out : an array of the result's shape, dtype and device to write to, which is returned

    Raises
    ------
    ArgumentError : src is not an image, a margin is no integer of at least 0, the result has too
        many pixels, there is no such type, the color is not finite, or out has another shape, dtype
        or device.
    """
    image = as_image(src)
    top, bot = as_int("top", top, 0), as_int("bot", bot, 0)
    left, right = as_int("left", left, 0), as_int("right", right, 0)
    check_pixels(image.shape[1] + left + right, image.shape[0] + top + bot)
    if type not in BORDERS:
        raise ArgumentError(f"type must be 0 to {max(BORDERS)}, not {type!r}")
    with on_device(image.context):
        made = nd.wrap(_bordered(plain(image), top, bot, left, right, type, value, values))
    return made if out is None else write(out, made)


def _bordered(
    image: Values,
    top: int,
    bot: int,
    left: int,
    right: int,
    type: int,
    value: float,
    values: Sequence[float],
) -> Values:
    xp = get_array_module(image)
    if type:
        return xp.pad(image, ((top, bot), (left, right), (0, 0)), mode=BORDERS[type])
    height, width, channels = image.shape
    if values:
        numbers = [as_float("values", each) for each in values]
        color = np.array([*numbers, *[0.0] * channels][:channels])
    else:
        color = np.full(channels, as_float("value", value))
    if image.dtype.kind in "ui":
        limits = np.iinfo(image.dtype)
        color = np.rint(color).clip(limits.min, limits.max)
    padded = xp.empty((height + top + bot, width + left + right, channels), image.dtype)
    padded[...] = xp.asarray(color.astype(image.dtype))
    padded[top : top + height, left : left + width] = image
    return padded
