"""Planning of ImageRecordIter's images: resize, affine maps, padding, crop, flip and colors, for a
whole batch at once.

MXNet resizes the image, turns it, pads it, and then cuts the crop out of it; here all that is one
window of the source, or one affine map. Sizes are computed as in MXNet, so that the result shows
what MXNet arrives at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gpuio.decoding.limits import over_limit
from gpuio.errors import ArgumentError, DecodeError, Error, RecordError
from gpuio.planning.affine import (
    NO_AFFINE,
    AffineOptions,
    image_on,
    plan_affine,
    scale_argument,
    scale_result,
    window_of,
)
from gpuio.planning.jitter import NO_JITTER, JitterOptions, plan_colors
from gpuio.planning.plan import (
    ANY,
    AREA,
    AUTOMATIC,
    CUBIC,
    EPSILON,
    LANCZOS,
    LINEAR,
    NEAREST,
    Affine,
    Border,
    Ints,
    Plan,
    automatic_method,
    check_method,
    check_ratios,
    covered_pixels,
    shorter_side,
)
from gpuio.planning.planner import (
    AffineFill,
    Label,
    PlannedBatch,
    Planner,
    Samples,
    convert_labels,
)
from gpuio.planning.policies import Policy, plan_operations
from gpuio.sampling import philox

# The largest length in pixels that an argument may ask for: MXNet's int. The largest aspect ratio
# of a crop.
LARGEST_LENGTH, LARGEST_RATIO = 2**31 - 1, 1e6

Scalar = TypeVar("Scalar", bound=np.generic)

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
    affine : rotation, shear, scale and aspect ratio, after `resize`
    pad : border in pixels on each side of the image, after that
    fill : pixel values around the image, one for each channel
    crop_size : range of the side of a square that is cropped and scaled to the output; None: the
        crop has the output's size
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
    affine: AffineOptions = NO_AFFINE
    pad: int = 0
    fill: tuple[int, ...] = (0, 0, 0)
    crop_size: tuple[int, int] | None = None
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
        self._check_lengths()
        check_method(self.method)
        if self.antialias and self.method not in (LINEAR, CUBIC, LANCZOS):
            raise ArgumentError(
                "antialias=True goes with inter_method 1 (bilinear), 2 (bicubic) or 4 (Lanczos), "
                f"not {self.method}"
            )
        if self.antialias and self.affine.turns:
            raise ArgumentError("antialias=True does not go with rotation and shear")
        if self.resized_crop:
            for name, given in (
                ("rand_crop", self.rand_crop),
                ("max_crop_size", self.crop_size is not None),
                ("max_random_scale and min_random_scale", self.affine.scale != (1, 1)),
            ):
                if given:
                    raise ArgumentError(
                        f"random_resized_crop and {name} exclude each other; choose one"
                    )
        if self.crop_size is not None and not 1 <= self.crop_size[0] <= self.crop_size[1]:
            raise ArgumentError(
                "min_crop_size and max_crop_size must be given together, and satisfy 1 <= min <= "
                f"max, not {self.crop_size[0]} and {self.crop_size[1]}"
            )
        low, high = self.area
        if not 0 < low <= high <= 1:
            raise ArgumentError(
                "min_random_area and max_random_area must satisfy 0 < min <= max <= 1, "
                f"not {low} and {high}"
            )
        check_ratios(self.ratio, LARGEST_RATIO)

    @property
    def bordered(self) -> bool:
        """Whether images may fill only a part of the output, and the rest is painted."""
        return self.pad > 0 or (self.affine.active and not self.affine.turns)

    def _check_lengths(self) -> None:
        for name, length in (
            ("resize", self.resize or 0),
            ("pad", self.pad),
            ("max_crop_size", max(self.crop_size or (0,))),
        ):
            if length > LARGEST_LENGTH:
                raise ArgumentError(f"{name} must be below 2**31 pixels, not {length}")


class CropPlanner(Planner):
    """Plans ImageRecordIter's images; labels stay as they are.

    Parameters
    ----------
    options : the geometry
    seed : the augmentation's seed
    label_width : numbers in each label; a record with another number is bad
    faces : the records are those of a face dataset: with a label_width of 1, a longer label gives
        its first number, the identity
    jitter : the changes of color
    policies : draw the operations, in their order, of outputs with so many `channels`
    classes : a record whose label is no integer from 0 to before this is bad; None: none is
    """

    def __init__(
        self,
        options: CropOptions,
        seed: int,
        label_width: int,
        faces: bool = False,
        jitter: JitterOptions = NO_JITTER,
        policies: Sequence[Policy] = (),
        channels: int = 3,
        classes: int | None = None,
    ) -> None:
        self._options = options
        self._seed = seed
        self._label_width = label_width
        self._identity_only = faces and label_width == 1
        self._jitter = jitter
        self._policies, self._channels = policies, channels
        self._classes = classes
        self.borders = options.bordered
        if options.affine.turns:
            self.affine = AffineFill(options.fill, options.method == NEAREST)

    def plan(self, samples: Samples) -> PlannedBatch:
        """Plan a batch."""
        labels, errors = self._labels(samples.labels)
        draws = self._seed, samples.epoch, samples.record
        plan, crop, largest = plan_crops(self._options, samples.sizes, *draws)
        for row in np.flatnonzero(largest[:, 0] * largest[:, 1] > samples.max_pixels).tolist():
            labels[row] = None
            width, height = largest[row].tolist()
            errors[row] = DecodeError(
                over_limit(width, height, samples.max_pixels, "the resized or padded image")
            )
        if self._options.crop_size is not None:
            least = self._options.crop_size[1]
            for row in np.flatnonzero((crop < least).any(1)).tolist():
                width, height = crop[row].tolist()
                labels[row] = None
                errors.setdefault(
                    row,
                    RecordError(
                        f"the image, {width} x {height} pixels where it is cropped, is smaller "
                        f"than max_crop_size, {least}"
                    ),
                )
        size = self._options.width, self._options.height
        operations = plan_operations(self._policies, size, self._channels, *draws)
        plan = replace(plan_colors(self._jitter, plan, *draws), operations=operations)
        return PlannedBatch(plan, labels, errors)

    def _labels(
        self, labels: Sequence[Label | None]
    ) -> tuple[list[Label | None], dict[int, Error]]:
        """The labels of a batch, and errors by row."""
        plain = self._label_width == 1 and self._classes is None
        if plain and set(map(type, labels)) <= {float, type(None)}:
            return list(labels), {}
        return convert_labels(labels, self._check_label)

    def _check_label(self, label: Label) -> Label:
        label = self._check_width(label)
        number = float(np.ravel(label)[0])
        if self._classes is not None and not (number.is_integer() and 0 <= number < self._classes):
            raise RecordError(
                f"the record's label is {number:g}; with num_classes={self._classes} labels are "
                f"integers from 0 to {self._classes - 1}"
            )
        return label

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


def plan_crops(
    options: CropOptions, sizes: Ints, seed: int, epoch: Ints, record: Ints
) -> tuple[Plan, Ints, NDArray[np.float64]]:
    """Plan the geometry of a batch.

    Parameters
    ----------
    sizes : int64 (N, 2), width and height of the upright images in pixels, at least 1
    seed : the augmentation's seed
    epoch, record : int64 (N,): with the seed, they determine all random choices of a sample

    Returns
    -------
    Plan of N samples, on the host; int64 (N, 2), width and height of what is cropped, the resized
    and padded image, in pixels; and float64 (N, 2), of the image when it is largest
    """
    # In here the axis comes first, (2, N), or (4, N) for rectangles: NumPy is several times faster
    # on long rows.
    size = np.ascontiguousarray(sizes.T)
    scaled = size
    if options.resize is not None:
        scaled = np.stack(shorter_side(size[0], size[1], options.resize))
    canvas, from_canvas = scaled, None
    if options.affine.active:
        from_canvas, canvases = plan_affine(options.affine, _rows(scaled), seed, epoch, record)
        canvas = canvases.T
    padded = canvas + 2 * options.pad
    corner, extent, full = _crop(options, padded, seed, epoch, record)
    # From the enlarged image, in whose pixels the crop is measured, to the canvas.
    to_padded = padded / full
    crop = np.concatenate([corner * to_padded - options.pad, extent * to_padded])
    output = options.width, options.height
    cut = (extent != np.array(output)[:, None]).any(0)
    method = _method(options, (size, scaled, canvas), extent, cut, seed, epoch, record)
    flip = np.full(len(sizes), options.mirror)
    if options.rand_mirror:
        flip |= philox.uniform(seed, epoch, record, philox.MIRROR, 1)[:, 0] < 0.5
    window, bounds = crop, np.concatenate([np.zeros_like(size), size])
    shown = bounds if canvas is size else np.concatenate([np.zeros_like(canvas), canvas])
    affine = None
    if from_canvas is not None:
        to_source = scale_result(from_canvas, _rows(size / scaled))
        matrix = scale_argument(to_source, _rows(crop), output)
        window = window_of(matrix, output).T
        if options.affine.turns:
            affine = Affine(matrix, options.fill)
        else:
            shown, bounds = (each.T for each in image_on(_rows(canvas), to_source, sizes))
    elif scaled is not size:
        window = (crop.reshape(2, 2, -1) * (size / scaled)).reshape(crop.shape)
    if affine is None:
        bounds = _within(bounds, window, cut)
    borders: tuple[Border, ...] = ()
    if options.bordered:
        fill = np.full((len(sizes), len(options.fill)), options.fill, np.uint8)
        borders = (Border(covered_pixels(shown.T, crop.T, output), fill),)
    plan = Plan(_rows(window), _rows(bounds), method, flip, affine=affine, borders=borders)
    # Padding and enlarging make no image smaller.
    largest = np.where(_pixels(full) > _pixels(scaled), full, scaled)
    return plan, padded.T, largest.T.astype(np.float64)


def _rows(columns: NDArray[Scalar]) -> NDArray[Scalar]:
    """An array (N, k) from (k, N)."""
    return np.ascontiguousarray(columns.T)


def _pixels(sizes: Ints) -> NDArray[np.float64]:
    """The pixels, float64 (N,), of images of some sizes, (2, N); integers might overflow."""
    pixels: NDArray[np.float64] = sizes[0].astype(np.float64) * sizes[1]
    return pixels


def _within(bounds: Ints, window: NDArray[np.float64], cut: NDArray[np.bool_]) -> Ints:
    """The pixels that may be read within bounds, (4, N): of images that are cut before they are
    scaled, those of the window; pixels outside are not blended in.
    """
    if not cut.any():
        return bounds
    # Rounding errors in `window` must not widen it.
    first = np.floor(window[:2] + EPSILON).astype(np.int64)
    ends = np.ceil(window[:2] + window[2:] - EPSILON).astype(np.int64)
    first = first.clip(bounds[:2], bounds[2:] - 1)
    return np.where(cut, np.concatenate([first, ends.clip(first + 1, bounds[2:])]), bounds)


def _crop(
    options: CropOptions, sizes: Ints, seed: int, epoch: Ints, record: Ints
) -> tuple[Ints, Ints, Ints]:
    """The crop of images of some sizes: corner, width and height; and the size to which they are
    enlarged, in whose pixels it is measured. All are (2, N).
    """
    if options.crop_size is None:
        full = _enlarged(options, sizes)
        extent = np.empty_like(sizes)
        extent[0], extent[1] = options.width, options.height
    else:
        low, high = options.crop_size
        unit = philox.uniform(seed, epoch, record, philox.CROP_SIZE, 1)[:, 0]
        full = sizes
        extent = np.stack([low + _offset(unit, high - low)] * 2)
    most = full - extent
    if options.rand_crop:
        corner = _offset(philox.uniform(seed, epoch, record, philox.CROP, 2).T, most)
    else:
        corner = most // 2
    if options.resized_crop and (options.area != (1, 1) or options.ratio != (1, 1)):
        found, *cut = _resized_crop(options, sizes, seed, epoch, record)
        corner, extent, full = (
            np.where(found, a, b)
            for a, b in zip((*cut, sizes), (corner, extent, full), strict=True)
        )
    return corner, extent, full


def _enlarged(options: CropOptions, sizes: Ints) -> Ints:
    """The sizes, (2, N), after images smaller than the crop have been enlarged to contain it, in
    MXNet's float32.
    """
    width, height = sizes
    low = height < options.height
    if not (low | (width < options.width)).any():
        return sizes
    factor = np.float32(options.height) / height.astype(np.float32)
    grown = (factor * width.astype(np.float32)).astype(np.int64)
    width = np.where(low, grown, width)
    height = np.where(low, options.height, height)
    factor = np.float32(options.width) / width.astype(np.float32)
    grown = (factor * height.astype(np.float32)).astype(np.int64)
    narrow = width < options.width
    height = np.where(narrow, np.maximum(grown, options.height), height)
    return np.stack([np.where(narrow, options.width, width), height])


def _resized_crop(
    options: CropOptions, sizes: Ints, seed: int, epoch: Ints, record: Ints
) -> tuple[NDArray[np.bool_], Ints, Ints]:
    """Whether one of the attempts fits, bool (N,), and the first that does: its corner, and its
    width and height, (2, N).
    """
    drawn = philox.uniform(seed, epoch, record, philox.RESIZED_CROP, 5 * CROP_TRIES)
    fraction, aspect, turn, *place = drawn.reshape(-1, CROP_TRIES, 5).transpose(2, 0, 1)
    area = _pixels(sizes)[:, None] * philox.between(fraction, options.area)
    ratio = philox.between(aspect, options.ratio)
    long, short = _round(np.sqrt(area * ratio)), _round(np.sqrt(area / ratio))
    upright = turn < 0.5
    extents = np.stack([np.where(upright, short, long), np.where(upright, long, short)])
    fits: NDArray[np.bool_] = np.all((extents > 0) & (extents <= sizes[:, :, None]), axis=0)
    rows, first = np.arange(len(fits)), fits.argmax(1)
    extent = extents[:, rows, first]
    corner = _offset(np.stack([each[rows, first] for each in place]), sizes - extent)
    return fits[rows, first], corner, extent


def _round(value: NDArray[np.float64]) -> Ints:
    """Round half away from zero, as C's round; the values are positive."""
    return np.floor(value + 0.5).astype(np.int64)


def _offset(unit: NDArray[np.float64], most: Ints | int) -> Ints:
    """Uniformly distributed integers from 0 to `most`."""
    return np.floor(unit * (most + 1)).astype(np.int64)


def _method(
    options: CropOptions,
    steps: tuple[Ints, Ints, Ints],
    extent: Ints,
    cut: NDArray[np.bool_],
    seed: int,
    epoch: Ints,
    record: Ints,
) -> Ints:
    """The interpolation of each sample.

    Parameters
    ----------
    steps : sizes, (2, N), of the images, after resize, and on the canvas
    extent : width and height of the crops, (2, N)
    cut : whether they have other sizes than the output
    """
    if options.method == ANY:
        words = philox.words(seed, epoch, record, philox.INTERPOLATION, 1)
        return words[:, 0].astype(np.int64) % 5
    # OpenCV's affine maps have no AREA.
    area = LINEAR if options.affine.active and options.resize is None else AREA
    if options.method != AUTOMATIC:
        method = area if options.method == AREA else options.method
        return np.full(len(cut), method, np.int64)
    # As MXNet decides it for its first resampling: the resize, else the affine map, else the crop.
    size, resized, canvas = steps
    if options.resize is not None:
        old, new = size, resized
    elif options.affine.active:
        old, new = resized, canvas
    else:
        old = np.where(cut, extent, canvas + 2 * options.pad)
        new = np.array([[options.width], [options.height]])
    chosen = automatic_method(old[0], old[1], new[0], new[1])
    return np.where(chosen == AREA, area, chosen)
