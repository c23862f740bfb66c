"""Planning of ImageRecordIter's geometry: resize, crop and flip, for a whole batch at once.

MXNet resizes the image and then cuts the crop out of it; here both are one window of the source.
Sizes are computed as in MXNet, so that the window is the one MXNet arrives at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError, RecordError
from gpuio.planning.plan import (
    ANY,
    AUTOMATIC,
    CUBIC,
    LANCZOS,
    LINEAR,
    Ints,
    Plan,
    automatic_method,
    check_method,
    shorter_side,
)
from gpuio.planning.planner import Label, PlannedBatch, Planner, Samples, convert_labels
from gpuio.sampling import philox

# Attempts of the random resized crop before it falls back to the center.
CROP_TRIES = 10


@dataclass(frozen=True)
class CropOptions:
    """The geometry that ImageRecordIter's arguments ask for.

    Attributes
    ----------
    height, width : pixels of the output
    resize : length in pixels to which the shorter side is scaled first; None: not at all
    rand_crop : the crop lies anywhere, not in the center
    resized_crop : crop a random area of a random aspect ratio and scale it to the output
        (Inception's crop)
    area : range of the fraction of the image that a resized crop covers
    ratio : range of a resized crop's width/height (or height/width, with equal probability)
    mirror : flip every sample left to right
    rand_mirror : flip each sample with probability 0.5
    method : MXNet's number of the interpolation: 0 nearest, 1 bilinear, 2 bicubic, 3 area, 4
        Lanczos, 9 bicubic to enlarge, area to shrink, else bilinear, 10 one of 0 to 4 at random
    antialias : when shrinking, average all source pixels of an output pixel (bilinear, bicubic and
        Lanczos)

    Raises
    ------
    ArgumentError : a value is out of range, or two are inconsistent.
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
        check_method(self.method)
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


class CropPlanner(Planner):
    """Plans crops; labels stay as they are.

    Parameters
    ----------
    options : the geometry
    seed : the augmentation's seed
    label_width : numbers in each label; a record with another number is bad
    faces : the records are those of a face dataset: with a label_width of 1, a longer label gives
        its first number, the identity
    """

    def __init__(
        self, options: CropOptions, seed: int, label_width: int, faces: bool = False
    ) -> None:
        self._options = options
        self._seed = seed
        self._label_width = label_width
        self._identity_only = faces and label_width == 1

    def plan(self, samples: Samples) -> PlannedBatch:
        """Plan a batch."""
        labels, errors = convert_labels(samples.labels, self._check_width)
        plan = plan_crops(self._options, samples.sizes, self._seed, samples.epoch, samples.record)
        return PlannedBatch(plan, labels, errors)

    def _check_width(self, label: Label) -> Label:
        width = 1 if isinstance(label, float) else len(label)
        if width != self._label_width:
            if self._identity_only:
                return float(np.ravel(label)[0])
            raise RecordError(
                f"the record's label holds {width} numbers, label_width asks for "
                f"{self._label_width}; pass label_width={width}, or a path_imglist with the labels"
            )
        return label


def plan_crops(options: CropOptions, sizes: Ints, seed: int, epoch: Ints, record: Ints) -> Plan:
    """Plan the geometry of a batch.

    Parameters
    ----------
    sizes : int64 (N, 2), width and height of the upright images in pixels, at least 1
    seed : the augmentation's seed
    epoch, record : int64 (N,): with the seed, they determine all random choices of a sample

    Returns
    -------
    Plan of N samples, on the host
    """
    width, height = sizes.T
    scaled_width, scaled_height = width, height
    if options.resize is not None:
        scaled_width, scaled_height = shorter_side(width, height, options.resize)
    x, y, w, h, full_width, full_height = _crop(
        options, scaled_width, scaled_height, seed, epoch, record
    )
    # From the scaled image back to the source.
    to_x, to_y = width / full_width, height / full_height
    window = np.stack([x * to_x, y * to_y, w * to_x, h * to_y], axis=1)
    cut = (w != options.width) | (h != options.height)
    bounds = np.zeros((len(sizes), 4), np.int64)
    bounds[:, 2:] = sizes
    # A resized crop is cut out before it is scaled: pixels outside are not blended in. (Rounding
    # errors in `window` must not widen it.)
    inside = window + np.array([1, 1, 0, 0]) * 1e-9
    bounds[cut, :2] = np.floor(inside[cut, :2]).astype(np.int64)
    ends = np.ceil(window[:, :2] + window[:, 2:] - 1e-9).astype(np.int64)
    bounds[cut, 2:] = np.minimum(ends, sizes)[cut]
    flip = np.full(len(sizes), options.mirror)
    if options.rand_mirror:
        flip |= philox.uniform(seed, epoch, record, philox.MIRROR, 1)[:, 0] < 0.5
    method = _method(
        options, sizes, (scaled_width, scaled_height), (w, h), cut, seed, epoch, record
    )
    return Plan(window, bounds, method, flip)


def _crop(
    options: CropOptions,
    width: Ints,
    height: Ints,
    seed: int,
    epoch: Ints,
    record: Ints,
) -> tuple[Ints, Ints, Ints, Ints, Ints, Ints]:
    """The crop x, y, w, h, and the size of the image in whose pixels it is measured."""
    full_width, full_height = _enlarged(options, width, height)
    room_x, room_y = full_width - options.width, full_height - options.height
    if options.rand_crop:
        across, down = philox.uniform(seed, epoch, record, philox.CROP, 2).T
        x, y = _offset(across, room_x), _offset(down, room_y)
    else:
        x, y = room_x // 2, room_y // 2
    w, h = np.full_like(x, options.width), np.full_like(y, options.height)
    if options.resized_crop and (options.area != (1, 1) or options.ratio != (1, 1)):
        found, *cut = _resized_crop(options, width, height, seed, epoch, record)
        x, y, w, h = (np.where(found, a, b) for a, b in zip(cut, (x, y, w, h), strict=True))
        full_width = np.where(found, width, full_width)
        full_height = np.where(found, height, full_height)
    return x, y, w, h, full_width, full_height


def _enlarged(options: CropOptions, width: Ints, height: Ints) -> tuple[Ints, Ints]:
    """The sizes after images smaller than the crop have been enlarged to contain it, in MXNet's
    float32.
    """
    factor = np.float32(options.height) / height.astype(np.float32)
    grown = (factor * width.astype(np.float32)).astype(np.int64)
    low = height < options.height
    width = np.where(low, grown, width)
    height = np.where(low, options.height, height)
    factor = np.float32(options.width) / width.astype(np.float32)
    grown = (factor * height.astype(np.float32)).astype(np.int64)
    narrow = width < options.width
    height = np.where(narrow, np.maximum(grown, options.height), height)
    return np.where(narrow, options.width, width), height


def _resized_crop(
    options: CropOptions, width: Ints, height: Ints, seed: int, epoch: Ints, record: Ints
) -> tuple[NDArray[np.bool_], Ints, Ints, Ints, Ints]:
    """Whether one of the attempts fits, and the first that does: x, y, w, h."""
    drawn = philox.uniform(seed, epoch, record, philox.RESIZED_CROP, 5 * CROP_TRIES)
    fraction, aspect, turn, across, down = drawn.reshape(-1, CROP_TRIES, 5).transpose(2, 0, 1)
    area = (width * height)[:, None] * _between(fraction, options.area)
    ratio = _between(aspect, options.ratio)
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


def _round(value: NDArray[np.float64]) -> Ints:
    """Round half away from zero, as C's round; the values are positive."""
    return np.floor(value + 0.5).astype(np.int64)


def _offset(unit: NDArray[np.float64], room: Ints) -> Ints:
    """Uniformly distributed integers from 0 to `room`."""
    return np.floor(unit * (room + 1)).astype(np.int64)


def _method(
    options: CropOptions,
    sizes: Ints,
    scaled: tuple[Ints, Ints],
    crop: tuple[Ints, Ints],
    cut: NDArray[np.bool_],
    seed: int,
    epoch: Ints,
    record: Ints,
) -> Ints:
    if options.method == ANY:
        words = philox.words(seed, epoch, record, philox.INTERPOLATION, 1)
        return words[:, 0].astype(np.int64) % 5
    if options.method != AUTOMATIC:
        return np.full(len(sizes), options.method, np.int64)
    # As MXNet decides it: by the resize if there is one, else by the crop against the output.
    width, height = sizes.T
    if options.resize is not None:
        new_width, new_height = scaled
    else:
        width, height = np.where(cut, crop[0], width), np.where(cut, crop[1], height)
        new_width = np.full_like(width, options.width)
        new_height = np.full_like(height, options.height)
    return automatic_method(width, height, new_width, new_height)
