"""What becomes of each picture of a batch, decided before any of them is decoded.

An `Augment` says what the user asked for; `plan` turns it, the pictures' sizes and the seed into a
`Plan`: arrays that name, for each sample, the window of its picture that becomes the output. MXNet
resizes the picture and then cuts the crop out of it; both together are one window, resampled once.
The arithmetic of sizes is MXNet's, so that the window is the one MXNet would have arrived at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.sampling import philox as random

# MXNet's numbers for interpolation methods, which are OpenCV's.
NEAREST, LINEAR, CUBIC, AREA, LANCZOS = range(5)
AUTOMATIC, ANY = 9, 10
METHODS = (NEAREST, LINEAR, CUBIC, AREA, LANCZOS, AUTOMATIC, ANY)

# Tries of the random resized crop before it falls back to the centre.
CROP_TRIES = 10


@dataclass(frozen=True)
class Augment:
    """The geometry that ImageRecordIter's arguments ask for.

    Attributes
    ----------
    height, width : pixels of the output
    resize : the shorter side's length to which the picture is scaled first, in pixels; None: not at
        all
    rand_crop : the crop lies anywhere, not in the centre
    resized_crop : cut a random area of a random shape and scale it to the output (Inception's crop)
    area : range of the share of the picture that a resized crop covers
    ratio : range of a resized crop's width/height (or height/width, with even chances)
    mirror : every sample is mirrored left to right
    rand_mirror : every second sample is, at random
    method : MXNet's number of the interpolation: 0 nearest, 1 bilinear, 2 bicubic, 3 area, 4
        Lanczos, 9 bicubic where a picture grows, area where it shrinks, else bilinear, 10 one of 0
        to 4 at random
    antialias : when shrinking, average all pixels that fall into one (bilinear, bicubic and
        Lanczos)

    Raises
    ------
    ArgumentError : a value is out of range, or two contradict each other.
    """

    height: int
    width: int
    resize: int | None = None
    rand_crop: bool = False
    resized_crop: bool = False
    area: tuple[float, float] = (1.0, 1.0)
    ratio: tuple[float, float] = (1.0, 1.0)
    mirror: bool = False
    rand_mirror: bool = False
    method: int = LINEAR
    antialias: bool = False

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ArgumentError(
                f"the output must have at least one pixel, not {self.width} x {self.height}"
            )
        if self.resize is not None and self.resize < 1:
            raise ArgumentError(f"resize must be at least 1 pixel, not {self.resize}")
        if self.method not in METHODS:
            raise ArgumentError(
                f"inter_method must be one of {', '.join(map(str, METHODS))}, not {self.method}"
            )
        if self.antialias and self.method not in (LINEAR, CUBIC, LANCZOS):
            raise ArgumentError(
                "antialias=True goes with inter_method 1 (bilinear), 2 (bicubic) or 4 (Lanczos), "
                f"not {self.method}"
            )
        if self.resized_crop and self.rand_crop:
            raise ArgumentError("random_resized_crop and rand_crop exclude each other; choose one")
        low, high = self.area
        if not 0 < low <= high <= 1:
            raise ArgumentError(
                "min_random_area and max_random_area must satisfy 0 < min <= max <= 1, "
                f"not {low} and {high}"
            )
        low, high = self.ratio
        if not 0 < low <= high:
            raise ArgumentError(
                f"the aspect ratios must satisfy 0 < min <= max, not {low} and {high}"
            )


class Canvas(NamedTuple):
    """A border around each of N samples.

    Attributes
    ----------
    inside : int64 (N, 4), x0, y0, x1, y1: the output pixels, before mirroring, that it surrounds
    fill : uint8 (N, channels) or (N, 1), its levels
    """

    inside: NDArray[np.int64]
    fill: NDArray[np.uint8]


@dataclass(frozen=True)
class Plan:
    """A batch's geometry and colours, one row for each of N samples. Pixels are counted in the
    source picture, upright where its orientation is followed.

    Output pixel (i, j) is the picture at ``x + (j + 1/2) * w / width - 1/2``,
    ``y + (i + 1/2) * h / height - 1/2``, where the pixel centres are whole numbers.

    Attributes
    ----------
    window : float64 (N, 4), x, y, w, h: the rectangle that becomes the output
    bounds : int64 (N, 4), x0, y0, x1, y1: the pixels that may be read; outside, the edge is
        repeated
    method : int64 (N,), interpolation, NEAREST to LANCZOS
    mirror : bool (N,), flip the output left to right
    turned : bool (N,): it is the picture's mirror image that is resampled, and the result is
        mirrored back, which makes a difference where an interpolation is not symmetric; None: of
        none
    hls : int64 (N, 3), added to hue (of 180, around the circle), lightness and saturation (of 255,
        where they are kept) of the picture's pixels; None: nothing is
    gain : float64 (N,): then they are multiplied by this, rounded and kept in 0 to 255; None: by 1
    canvases : what lies around the picture in the output, the innermost first
    colour : float64 (N, 3, 7), or None: leave the colours. In the end RGB becomes ``colour @ (r, g,
        b, mean r, mean g, mean b, 1)``, with the means of the sample's output pixels
    """

    window: NDArray[np.float64]
    bounds: NDArray[np.int64]
    method: NDArray[np.int64]
    mirror: NDArray[np.bool_]
    turned: NDArray[np.bool_] | None = None
    hls: NDArray[np.int64] | None = None
    gain: NDArray[np.float64] | None = None
    canvases: tuple[Canvas, ...] = ()

    def visible(self, size: tuple[int, int]) -> NDArray[np.int64]:
        """The output pixels that show the pictures.

        Parameters
        ----------
        size : width and height of the output in pixels

        Returns
        -------
        int64 (N, 4), x0, y0, x1, y1, before mirroring; with x1 <= x0 or y1 <= y0 where there are
        none
        """
        shown = np.tile(np.array([0, 0, *size]), (len(self.window), 1))
        for canvas in self.canvases:
            shown[:, :2] = np.maximum(shown[:, :2], canvas.inside[:, :2])
            shown[:, 2:] = np.minimum(shown[:, 2:], canvas.inside[:, 2:])
        return shown

    colour: NDArray[np.float64] | None = None


def plan(
    augment: Augment,
    sizes: NDArray[np.int64],
    seed: int,
    epoch: NDArray[np.int64],
    record: NDArray[np.int64],
) -> Plan:
    """Decide the geometry of a batch.

    Parameters
    ----------
    sizes : int64 (N, 2), width and height of the upright pictures in pixels, at least 1
    seed : the augmentation's seed
    epoch, record : int64 (N,): all randomness of a sample follows from the seed and these two

    Returns
    -------
    Plan of N samples, on the host
    """
    width, height = sizes.T
    scaled_width, scaled_height = width, height
    if augment.resize is not None:
        scaled_width, scaled_height = shorter_side(width, height, augment.resize)
    x, y, w, h, full_width, full_height = _crop(
        augment, scaled_width, scaled_height, seed, epoch, record
    )
    # From the scaled picture back to the source.
    to_x, to_y = width / full_width, height / full_height
    window = np.stack([x * to_x, y * to_y, w * to_x, h * to_y], axis=1)
    cut = (w != augment.width) | (h != augment.height)
    bounds = np.zeros((len(sizes), 4), np.int64)
    bounds[:, 2:] = sizes
    # A resized crop is cut out before it is scaled: what lies outside is not mixed in. (A hair's
    # breadth of rounding in `window` must not widen it.)
    inside = window + np.array([1, 1, 0, 0]) * 1e-9
    bounds[cut, :2] = np.floor(inside[cut, :2]).astype(np.int64)
    ends = np.ceil(window[:, :2] + window[:, 2:] - 1e-9).astype(np.int64)
    bounds[cut, 2:] = np.minimum(ends, sizes)[cut]
    mirror = np.full(len(sizes), augment.mirror)
    if augment.rand_mirror:
        mirror |= random.uniform(seed, epoch, record, random.MIRROR, 1)[:, 0] < 0.5
    method = _method(
        augment, sizes, (scaled_width, scaled_height), (w, h), cut, seed, epoch, record
    )
    return Plan(window, bounds, method, mirror)


_Ints = NDArray[np.int64]


def shorter_side(width: Any, height: Any, size: int) -> tuple[Any, Any]:
    """Width and height, numbers or arrays, once the shorter of them has become `size`; the longer
    is rounded down.
    """
    short = np.minimum(width, height)
    return size * width // short, size * height // short


def by_size(width: Any, height: Any, new_width: Any, new_height: Any) -> _Ints:
    """What AUTOMATIC stands for where pictures are resized, of numbers or arrays: CUBIC where both
    sides grow, AREA where both shrink, else LINEAR.
    """
    grows = (new_width > width) & (new_height > height)
    shrinks = (new_width < width) & (new_height < height)
    return np.where(grows, CUBIC, np.where(shrinks, AREA, LINEAR))


def _crop(
    augment: Augment,
    width: _Ints,
    height: _Ints,
    seed: int,
    epoch: _Ints,
    record: _Ints,
) -> tuple[_Ints, _Ints, _Ints, _Ints, _Ints, _Ints]:
    """The crop x, y, w, h, and the size of the picture in whose pixels it is counted."""
    full_width, full_height = _enlarged(augment, width, height)
    room_x, room_y = full_width - augment.width, full_height - augment.height
    if augment.rand_crop:
        across, down = random.uniform(seed, epoch, record, random.CROP, 2).T
        x, y = _offset(across, room_x), _offset(down, room_y)
    else:
        x, y = room_x // 2, room_y // 2
    w, h = np.full_like(x, augment.width), np.full_like(y, augment.height)
    if augment.resized_crop and (augment.area != (1, 1) or augment.ratio != (1, 1)):
        found, *cut = _resized_crop(augment, width, height, seed, epoch, record)
        x, y, w, h = (np.where(found, a, b) for a, b in zip(cut, (x, y, w, h), strict=True))
        full_width = np.where(found, width, full_width)
        full_height = np.where(found, height, full_height)
    return x, y, w, h, full_width, full_height


def _enlarged(augment: Augment, width: _Ints, height: _Ints) -> tuple[_Ints, _Ints]:
    """The sizes once pictures smaller than the crop have been enlarged to hold it, in MXNet's
    float32.
    """
    factor = np.float32(augment.height) / height.astype(np.float32)
    grown = (factor * width.astype(np.float32)).astype(np.int64)
    low = height < augment.height
    width = np.where(low, grown, width)
    height = np.where(low, augment.height, height)
    factor = np.float32(augment.width) / width.astype(np.float32)
    grown = (factor * height.astype(np.float32)).astype(np.int64)
    narrow = width < augment.width
    height = np.where(narrow, np.maximum(grown, augment.height), height)
    return np.where(narrow, augment.width, width), height


def _resized_crop(
    augment: Augment, width: _Ints, height: _Ints, seed: int, epoch: _Ints, record: _Ints
) -> tuple[NDArray[np.bool_], _Ints, _Ints, _Ints, _Ints]:
    """Whether one of the tries fits, and the first that does: x, y, w, h."""
    drawn = random.uniform(seed, epoch, record, random.RESIZED_CROP, 5 * CROP_TRIES)
    share, shape, turn, across, down = drawn.reshape(-1, CROP_TRIES, 5).transpose(2, 0, 1)
    area = (width * height)[:, None] * _between(share, augment.area)
    ratio = _between(shape, augment.ratio)
    long, short = _round(np.sqrt(area * ratio)), _round(np.sqrt(area / ratio))
    w, h = np.where(turn < 0.5, short, long), np.where(turn < 0.5, long, short)
    fits = (w <= width[:, None]) & (h <= height[:, None]) & (w > 0) & (h > 0)
    rows, first = np.arange(len(width)), fits.argmax(axis=1)
    w, h = w[rows, first], h[rows, first]
    x = _offset(across[rows, first], width - w)
    y = _offset(down[rows, first], height - h)
    return fits[rows, first], x, y, w, h


def _between(unit: NDArray[np.float64], bounds: tuple[float, float]) -> NDArray[np.float64]:
    return bounds[0] + unit * (bounds[1] - bounds[0])


def _round(value: NDArray[np.float64]) -> _Ints:
    """Half away from zero, as C's round; the values are positive."""
    return np.floor(value + 0.5).astype(np.int64)


def _offset(unit: NDArray[np.float64], room: _Ints) -> _Ints:
    """A whole number from 0 to `room`, each with the same chance."""
    return np.floor(unit * (room + 1)).astype(np.int64)


def _method(
    augment: Augment,
    sizes: _Ints,
    scaled: tuple[_Ints, _Ints],
    crop: tuple[_Ints, _Ints],
    cut: NDArray[np.bool_],
    seed: int,
    epoch: _Ints,
    record: _Ints,
) -> _Ints:
    if augment.method == ANY:
        return random.words(seed, epoch, record, random.INTERPOLATION, 1)[:, 0].astype(np.int64) % 5
    if augment.method != AUTOMATIC:
        return np.full(len(sizes), augment.method, np.int64)
    # As MXNet decides it: on the resize where there is one, else on the crop against the output.
    width, height = sizes.T
    if augment.resize is not None:
        wide, high = scaled
    else:
        width, height = np.where(cut, crop[0], width), np.where(cut, crop[1], height)
        wide, high = np.full_like(width, augment.width), np.full_like(height, augment.height)
    return by_size(width, height, wide, high)
