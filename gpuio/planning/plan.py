"""The plan of a batch: geometry and colors, determined before any image is decoded.

A plan is data: arrays with a row for each sample, which either executor runs. Resizing and cropping
are one window of the source, or with rotation, shear and the like one affine map; either is
resampled once. Linear changes of color are one matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.planning.operations import Operations
from gpuio.sampling.sample_rng import Rng

# MXNet's numbers of the interpolation methods, which are OpenCV's.
NEAREST, LINEAR, CUBIC, AREA, LANCZOS = range(5)
AUTOMATIC, ANY = 9, 10
METHODS = (NEAREST, LINEAR, CUBIC, AREA, LANCZOS, AUTOMATIC, ANY)

# Rounding errors must not widen a rectangle of whole pixels.
EPSILON = 1e-9

Ints: TypeAlias = NDArray[np.int64]

IntOrInts = TypeVar("IntOrInts", int, Ints)


def check_method(method: int) -> None:
    """Check the number of an interpolation.

    Raises
    ------
    ArgumentError : there is no such interpolation.
    """
    if method not in METHODS:
        raise ArgumentError(
            f"inter_method must be one of {', '.join(map(str, METHODS))}, not {method}"
        )


def check_ratios(ratios: tuple[float, float], largest: float) -> None:
    """Check a range of aspect ratios.

    Parameters
    ----------
    largest : the largest ratio; its inverse is the least

    Raises
    ------
    ArgumentError : it is empty, or not within these limits.
    """
    low, high = ratios
    if not 1 / largest <= low <= high <= largest:
        raise ArgumentError(
            f"the aspect ratios must be {1 / largest:g} to {largest:g}, and satisfy min <= max, "
            f"not {low} and {high}"
        )


def gray_fill(value: int, channels: int) -> tuple[int, ...]:
    """A pixel value of what surrounds images, for each channel; alpha is 0, as of OpenCV's colors
    of three numbers.
    """
    return (value,) * min(channels, 3) + (0,) * (channels == 4)


def draw_method(rng: Rng, method: int) -> int:
    """The interpolation that a number means; a random one for ANY."""
    return rng.randint(NEAREST, LANCZOS) if method == ANY else method


class Border(NamedTuple):
    """A border of one color around each of N samples.

    Attributes
    ----------
    inside : int64 (N, 4), x0, y0, x1, y1: the output pixels, before flipping, that it surrounds
    fill : uint8 (N, channels) or (N, 1), its pixel values
    """

    inside: Ints
    fill: NDArray[np.uint8]


class Affine(NamedTuple):
    """Affine maps of N samples, instead of windows.

    Attributes
    ----------
    matrix : float64 (N, 2, 3): output pixel (i, j), before flipping, is the image at
        ``(x, y) = matrix @ (j, i, 1)``, where pixel centers have integer coordinates
    fill : pixel values outside the image, one for each channel; blended into its edge
    """

    matrix: NDArray[np.float64]
    fill: tuple[int, ...]


class Jitter(NamedTuple):
    """Changes of N images' pixel values, from uint8 to uint8, in this order.

    Attributes
    ----------
    color : float64 (N, 3, 7), see `Plan`; rounded, and clipped to 0 to 255. None: no change
    hls : int64 (N, 3), added to hue (of 180), lightness and saturation (of 255, clipped); None:
        nothing is
    wrap_hue : the hue is added modulo 180, not clipped
    gain : float64 (N,): pixel values are multiplied by this, rounded and clipped to 0 to 255;
        None: by 1
    """

    color: NDArray[np.float64] | None = None
    hls: Ints | None = None
    wrap_hue: bool = True
    gain: NDArray[np.float64] | None = None


# How the result of a plan's color matrix becomes a pixel value: not at all; or rounded to nearest,
# or toward 0, and clipped to 0 to 255.
UNROUNDED, NEAREST_INTEGER, TOWARD_ZERO = range(3)


@dataclass(frozen=True)
class Plan:
    """Geometry and colors of a batch, one row for each of N samples. Coordinates are pixels of the
    source image, upright if its EXIF orientation is applied.

    Output pixel (i, j) is the image at ``x + (j + 1/2) * w / width - 1/2``,
    ``y + (i + 1/2) * h / height - 1/2``, where pixel centers have integer coordinates.

    Attributes
    ----------
    window : float64 (N, 4), x, y, w, h: the rectangle that becomes the output
    bounds : int64 (N, 4), x0, y0, x1, y1: the pixels that may be read; beyond them the edge repeats
    method : int64 (N,), interpolation, NEAREST to LANCZOS
    flip : bool (N,), flip the output left to right
    resample_flipped : bool (N,): the image's mirror image is resampled, and the result flipped
        back, which differs for interpolations that are not symmetric; None: for no sample
    affine : affine maps, which then replace all windows; None: there are none
    image_jitter : of the image, before its borders are painted; None: no change
    borders : around the image within the output, the innermost first
    jitter : of the output, borders included; None: no change
    operations : OPERATION (N, K), see `operations`: what the output, before it is flipped, goes
        through then; None: nothing
    color : float64 (N, 3, 7), or None: no change. Then RGB becomes ``color @ (r, g, b, mean r,
        mean g, mean b, 1)``, with the means of the sample's output pixels
    rounding : what becomes of that: UNROUNDED, NEAREST_INTEGER or TOWARD_ZERO
    light : float64 (N, 2), gain and shift: pixel values less the mean are multiplied by the one,
        and the other is added, before they are divided by std and multiplied by scale; None: 1 and
        0
    """

    window: NDArray[np.float64]
    bounds: Ints
    method: Ints
    flip: NDArray[np.bool_]
    resample_flipped: NDArray[np.bool_] | None = None
    affine: Affine | None = None
    image_jitter: Jitter | None = None
    borders: tuple[Border, ...] = ()
    jitter: Jitter | None = None
    operations: Operations | None = None
    color: NDArray[np.float64] | None = None
    rounding: int = UNROUNDED
    light: NDArray[np.float64] | None = None

    def visible(self, size: tuple[int, int]) -> Ints:
        """The output pixels that show the images.

        Parameters
        ----------
        size : width and height of the output in pixels

        Returns
        -------
        int64 (N, 4), x0, y0, x1, y1, before flipping; x1 <= x0 or y1 <= y0 where an image is
        invisible
        """
        # As columns, which NumPy is faster with.
        shown = np.full((4, len(self.window)), [[0], [0], [size[0]], [size[1]]])
        first, end = shown[:2], shown[2:]
        for border in self.borders:
            np.maximum(first, border.inside[:, :2].T, out=first)
            np.minimum(end, border.inside[:, 2:].T, out=end)
        return np.ascontiguousarray(shown.T)


def covered_pixels(
    rectangle: NDArray[np.float64] | Ints, window: NDArray[np.float64], size: tuple[int, int]
) -> Ints:
    """The output pixels whose centers lie inside rectangles.

    Parameters
    ----------
    rectangle : (N, 4), x0, y0, x1, y1
    window : float64 (N, 4), x, y, w, h in the same coordinates: what becomes the output
    size : width and height of the output in pixels

    Returns
    -------
    int64 (N, 4), x0, y0, x1, y1, within the output
    """
    # By end and axis, (2, 2, N), which NumPy is faster with.
    corner, extent = window.T.reshape(2, 2, -1)
    most = np.array(size, np.float64)[:, None]
    edges = (rectangle.T.reshape(2, 2, -1) - corner) * (most / extent) - 0.5 - EPSILON
    inside = np.minimum(np.maximum(np.ceil(edges), 0), most)
    return inside.reshape(4, -1).T.astype(np.int64)


def shorter_side(width: IntOrInts, height: IntOrInts, size: int) -> tuple[IntOrInts, IntOrInts]:
    """Width and height, numbers or arrays, after scaling the shorter to `size`; the longer is
    rounded down.
    """
    # Python's integers do not overflow.
    short = min(width, height) if isinstance(width, int) else np.minimum(width, height)
    return size * width // short, size * height // short


def automatic_method(
    width: float | Ints, height: float | Ints, new_width: int | Ints, new_height: int | Ints
) -> Ints:
    """The interpolation that AUTOMATIC selects for a resize: CUBIC if both dimensions grow, AREA if
    both shrink, else LINEAR.
    """
    grows = np.greater(new_width, width) & np.greater(new_height, height)
    shrinks = np.less(new_width, width) & np.less(new_height, height)
    return np.where(grows, CUBIC, np.where(shrinks, AREA, LINEAR))
