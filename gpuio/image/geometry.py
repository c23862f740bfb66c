"""Resizing, cropping and borders, on the device of the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from gpuio import nd
from gpuio.context import get_array_module
from gpuio.errors import ArgumentError
from gpuio.image.arrays import picture_of, span
from gpuio.image.resample import resize
from gpuio.nd import NDArray
from gpuio.planning.plan import AUTOMATIC, CROP_TRIES, CUBIC, METHODS, shorter_side
from gpuio.planning.tracer import interpolation, whole_side
from gpuio.sampling import sample_rng as draws

Size: TypeAlias = Sequence[int]  # (width, height) in pixels
Rectangle: TypeAlias = tuple[int, int, int, int]  # x0, y0, width, height

# What OpenCV resizes.
DTYPES = [np.dtype(name) for name in ("uint8", "uint16", "int16", "float32", "float64")]

# Borders by OpenCV's number, and NumPy's name for each; MXNet's own text numbers them otherwise.
BORDERS = {0: "constant", 1: "edge", 2: "symmetric", 3: "wrap", 4: "reflect"}


def imresize(src: Any, w: int, h: int, interp: int = 1) -> NDArray:
    """Resize a picture to `w` x `h` pixels.

    Parameters
    ----------
    src : (height, width, channels), of uint8, uint16, int16, float32 or float64
    w, h : in pixels, at least 1
    interp : 0 nearest, 1 bilinear, 2 bicubic, 3 area, 4 Lanczos over 8 x 8 pixels, as OpenCV has
        them; 9: bicubic where the picture grows along both sides, area where it shrinks along both,
        else bilinear; 10: one of 0 to 4 at random

    Returns
    -------
    (h, w, channels) of the same dtype, on the same device

    Raises
    ------
    ArgumentError : src is no picture, or of another dtype, a side is no whole number of at least 1,
        or there is no such interpolation.
    """
    picture = picture_of(src)
    if picture.dtype not in DTYPES:
        names = ", ".join(each.name for each in DTYPES)
        raise ArgumentError(f"imresize takes pictures of {names}, not {picture.dtype}")
    width, height = whole_side("w", w), whole_side("h", h)
    sizes = (*picture.shape[:2], height, width)
    return nd.wrap(resize(picture, width, height, get_interp_method(interp, sizes)))


def get_interp_method(interp: int, sizes: Sequence[int] = ()) -> int:
    """The interpolation, 0 to 4, that a number means.

    Parameters
    ----------
    interp : as `imresize` has it
    sizes : old height, old width, new height, new width; empty: unknown, and then 9 means 2

    Raises
    ------
    ValueError : there is no such interpolation.
    """
    if interp not in METHODS:
        raise ArgumentError(
            f"Unknown interp method {interp}: 0 nearest, 1 bilinear, 2 bicubic, 3 area, 4 Lanczos, "
            "9 by the size, 10 random"
        )
    if interp == AUTOMATIC and not sizes:
        return CUBIC
    return interpolation(interp, sizes[:2], sizes[2:])


def scale_down(src_size: Size, size: Size) -> tuple[int, int]:
    """A size of the same aspect that fits into a picture: `size` itself if it does.

    Parameters
    ----------
    src_size, size : (width, height)

    Returns
    -------
    (width, height), rounded down

    Raises
    ------
    ArgumentError : size is not of that form.

    Examples
    --------
    >>> scale_down((640, 480), (720, 120))
    (640, 106)
    """
    width: float
    height: float
    width, height = pair(size)
    source_width, source_height = src_size
    if source_height < height:
        width, height = width * source_height / height, source_height
    if source_width < width:
        width, height = source_width, height * source_width / width
    return int(width), int(height)


def pair(size: Size) -> tuple[Any, Any]:
    """Width and height.

    Raises
    ------
    ArgumentError : there are not two numbers.
    """
    try:
        width, height = size
        float(width), float(height)
    except (TypeError, ValueError):
        raise ArgumentError(f"a size is (width, height) in pixels, not {size!r}") from None
    return width, height


def resize_short(src: Any, size: int, interp: int = 2) -> NDArray:
    """Scale the shorter side of a picture to `size` pixels, the longer in proportion, rounded down.

    Raises
    ------
    ArgumentError : as `imresize`.
    """
    picture = picture_of(src)
    height, width = picture.shape[:2]
    return imresize(picture, *shorter_side(width, height, whole_side("size", size)), interp)


def fixed_crop(
    src: Any, x0: int, y0: int, w: int, h: int, size: Size | None = None, interp: int = 2
) -> NDArray:
    """Cut out a rectangle, and resize it if it has not the size asked for.

    Parameters
    ----------
    src : (height, width, channels)
    x0, y0, w, h : the rectangle in pixels; what lies beyond the right and lower edge is left out
    size : (width, height) of the output; None: as cut
    interp : as `imresize` has it

    Returns
    -------
    a view of src where nothing was resized

    Raises
    ------
    ArgumentError : the rectangle does not begin inside of the picture, or is empty.
    """
    picture = picture_of(src)
    height, width = picture.shape[:2]
    if not (0 <= x0 < width and 0 <= y0 < height and w >= 1 and h >= 1):
        raise ArgumentError(
            f"a crop of {w} x {h} pixels at ({x0}, {y0}) does not begin inside of a picture of "
            f"{width} x {height}, or is empty"
        )
    cut = picture[y0 : y0 + h, x0 : x0 + w]
    if size is not None and (w, h) != tuple(size):
        return imresize(cut, size[0], size[1], interp)
    return nd.wrap(cut)


def random_crop(src: Any, size: Size, interp: int = 2) -> tuple[NDArray, Rectangle]:
    """Cut a rectangle out anywhere, with even chances of Python's generator `random`.

    Parameters
    ----------
    src : (height, width, channels)
    size : (width, height) of the output; a rectangle too large for the picture is made smaller in
        proportion (`scale_down`) and then enlarged
    interp : as `imresize` has it

    Returns
    -------
    crop, and where it was: (x0, y0, width, height)
    """
    picture = picture_of(src)
    at = anywhere(picture.shape[1::-1], size)
    return fixed_crop(picture, *at, size, interp), at


def anywhere(source: Size, size: Size) -> Rectangle:
    """Where in a picture `random_crop` cuts."""
    width, height = source
    new_width, new_height = scale_down(source, size)
    x0 = draws.randint(0, width - new_width)
    y0 = draws.randint(0, height - new_height)
    return x0, y0, new_width, new_height


def center_crop(src: Any, size: Size, interp: int = 2) -> tuple[NDArray, Rectangle]:
    """Cut a rectangle out of the centre, as `random_crop` does anywhere."""
    picture = picture_of(src)
    at = centred(picture.shape[1::-1], size)
    return fixed_crop(picture, *at, size, interp), at


def centred(source: Size, size: Size) -> Rectangle:
    """Where in a picture `center_crop` cuts."""
    width, height = source
    new_width, new_height = scale_down(source, size)
    return (width - new_width) // 2, (height - new_height) // 2, new_width, new_height


def random_size_crop(
    src: Any,
    size: Size,
    area: float | Sequence[float],
    ratio: Sequence[float],
    interp: int = 2,
    **kwargs: Any,
) -> tuple[NDArray, Rectangle]:
    """Cut out a random share of the picture in a random shape, and scale it to the output.

    The share is drawn evenly, the logarithm of the aspect evenly (Szegedy et al., Going deeper with
    convolutions, 2015). What does not fit is drawn again, up to ten times; then the centre is
    taken.

    Parameters
    ----------
    src : (height, width, channels)
    size : (width, height) of the output
    area : least and most of the picture's area, as shares; or the least alone, with 1 as the most
    ratio : least and most of width / height
    interp : as `imresize` has it

    Returns
    -------
    crop, and where it was: (x0, y0, width, height)

    Raises
    ------
    ArgumentError : the ranges are not 0 < least <= most.
    """
    if "min_area" in kwargs:  # MXNet's old name
        area = kwargs.pop("min_area")
    if kwargs:
        raise TypeError(f"random_size_crop has no argument {next(iter(kwargs))!r}")
    picture = picture_of(src)
    at = random_share(picture.shape[1::-1], size, area, ratio)
    return fixed_crop(picture, *at, size, interp), at


def random_share(
    source: Size, size: Size, area: float | Sequence[float], ratio: Sequence[float]
) -> Rectangle:
    """Where in a picture `random_size_crop` cuts."""
    width, height = source
    least, most = span("area", (area, 1.0) if isinstance(area, (int, float)) else area)
    narrow, wide = span("ratio", ratio)
    for _ in range(CROP_TRIES):
        target = draws.uniform(least, most) * height * width
        aspect = math.exp(draws.uniform(math.log(narrow), math.log(wide)))
        new_width = round(math.sqrt(target * aspect))
        new_height = round(math.sqrt(target / aspect))
        if 1 <= new_width <= width and 1 <= new_height <= height:
            x0 = draws.randint(0, width - new_width)
            y0 = draws.randint(0, height - new_height)
            return x0, y0, new_width, new_height
    return centred(source, size)


def copyMakeBorder(  # noqa: N802  # MXNet's name
    src: Any,
    top: int,
    bot: int,
    left: int,
    right: int,
    type: int = 0,
    value: float = 0,
    values: Sequence[float] = (),
) -> NDArray:
    """Put a border around a picture.

    Parameters
    ----------
    src : (height, width, channels)
    top, bot, left, right : pixels on each side
    type : 0: of one colour; 1: the edge's pixels again (aaa|abc); 2: reflected, the edge twice
        (cba|abc); 3: from the other side (abc|abc); 4: reflected, the edge once (cb|abc). These are
        OpenCV's numbers, as MXNet behaves; its documentation has others
    value : the border's level for type 0
    values : the same for each channel; channels that are missing get 0

    Raises
    ------
    ArgumentError : src is no picture, a side is negative, or there is no such type.
    """
    picture = picture_of(src)
    sides = {"top": top, "bot": bot, "left": left, "right": right}
    for name, pixels in sides.items():
        if pixels < 0:
            raise ArgumentError(f"{name} must be at least 0 pixels, not {pixels!r}")
    if type not in BORDERS:
        raise ArgumentError(f"type must be 0 to {max(BORDERS)}, not {type!r}")
    xp = get_array_module(picture)
    around = ((top, bot), (left, right), (0, 0))
    if type:
        return nd.wrap(xp.pad(picture, around, mode=BORDERS[type]))
    height, width, channels = picture.shape
    colour = np.full(channels, value, float)
    if values:
        colour = np.array([*values, *[0.0] * channels][:channels], float)
    if picture.dtype.kind in "ui":
        limits = np.iinfo(picture.dtype)
        colour = np.rint(colour).clip(limits.min, limits.max)
    made = xp.empty((height + top + bot, width + left + right, channels), picture.dtype)
    made[...] = xp.asarray(colour.astype(picture.dtype))
    made[top : top + height, left : left + width] = picture
    return nd.wrap(made)
