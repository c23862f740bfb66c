"""Planning of ImageRecordIter's images: resize, affine maps, padding, crop, flip and colors, for a
whole batch at once.

MXNet resizes the image, turns it, pads it, and then cuts the crop out of it; here all that is one
window of the source, or one affine map. Sizes are computed as in MXNet, so that the result shows
what MXNet arrives at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
from gpuio.sampling import philox

# The largest length in pixels that an argument may ask for: MXNet's int. The largest aspect ratio
# of a crop.
LARGEST_LENGTH, LARGEST_RATIO = 2**31 - 1, 1e6

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
    """

    def __init__(
        self,
        options: CropOptions,
        seed: int,
        label_width: int,
        faces: bool = False,
        jitter: JitterOptions = NO_JITTER,
    ) -> None:
        self._options = options
        self._seed = seed
        self._label_width = label_width
        self._identity_only = faces and label_width == 1
        self._jitter = jitter
        self.borders = options.bordered
        if options.affine.turns:
            self.affine = AffineFill(options.fill, options.method == NEAREST)

    def plan(self, samples: Samples) -> PlannedBatch:
        """Plan a batch."""
        labels, errors = self._labels(samples.labels)
        draws = self._seed, samples.epoch, samples.record
        plan, crop, largest = plan_crops(self._options, samples.sizes, *draws)
        for row in np.flatnonzero(largest.prod(1) > samples.max_pixels).tolist():
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
        return PlannedBatch(plan_colors(self._jitter, plan, *draws), labels, errors)

    def _labels(
        self, labels: Sequence[Label | None]
    ) -> tuple[list[Label | None], dict[int, Error]]:
        """The labels of a batch, and errors by row."""
        if self._label_width == 1 and set(map(type, labels)) <= {float, type(None)}:
            return list(labels), {}
        return convert_labels(labels, self._check_width)

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
    scaled = sizes
    if options.resize is not None:
        scaled = np.stack(shorter_side(sizes[:, 0], sizes[:, 1], options.resize), axis=1)
    canvas, from_canvas = scaled, None
    if options.affine.active:
        from_canvas, canvas = plan_affine(options.affine, scaled, seed, epoch, record)
    padded = canvas + 2 * options.pad
    x, y, w, h, full = _crop(options, padded, seed, epoch, record)
    # From the enlarged image, in whose pixels the crop is measured, to the canvas.
    to_padded = padded / full
    crop = np.concatenate(
        [np.stack([x, y], axis=1) * to_padded - options.pad, np.stack([w, h], axis=1) * to_padded],
        axis=1,
    )
    cut = (w != options.width) | (h != options.height)
    method = _method(options, sizes, (scaled, canvas), (w, h), cut, seed, epoch, record)
    flip = np.full(len(sizes), options.mirror)
    if options.rand_mirror:
        flip |= philox.uniform(seed, epoch, record, philox.MIRROR, 1)[:, 0] < 0.5
    size = options.width, options.height
    bounds = np.concatenate([np.zeros_like(sizes), sizes], axis=1)
    shown = np.concatenate([np.zeros_like(canvas), canvas], axis=1)
    affine = None
    if from_canvas is None:
        window = crop * np.tile(sizes / scaled, 2)
    else:
        to_source = scale_result(from_canvas, sizes / scaled)
        matrix = scale_argument(to_source, crop, size)
        window = window_of(matrix, size)
        if options.affine.turns:
            affine = Affine(matrix, options.fill)
        else:
            shown, bounds = image_on(canvas, to_source, sizes)
    if affine is None:
        bounds = _within(bounds, window, cut)
    plan = Plan(window, bounds, method, flip, affine=affine)
    if options.bordered:
        fill = np.full((len(sizes), len(options.fill)), options.fill, np.uint8)
        plan = replace(plan, borders=(Border(covered_pixels(shown, crop, size), fill),))
    return plan, padded, _largest(scaled, padded, full)


def _largest(*steps: Ints) -> NDArray[np.float64]:
    """For each image its size at the step with the most pixels; these overflow integers."""
    sizes = np.stack(steps).astype(np.float64)
    found: NDArray[np.float64] = sizes[sizes.prod(2).argmax(0), np.arange(sizes.shape[1])]
    return found


def _within(bounds: Ints, window: NDArray[np.float64], cut: NDArray[np.bool_]) -> Ints:
    """The pixels that may be read within bounds: of images that are cut before they are scaled,
    those of the window; pixels outside are not blended in.
    """
    if not cut.any():
        return bounds
    # Rounding errors in `window` must not widen it.
    first = np.floor(window[:, :2] + EPSILON).astype(np.int64)
    ends = np.ceil(window[:, :2] + window[:, 2:] - EPSILON).astype(np.int64)
    first = first.clip(bounds[:, :2], bounds[:, 2:] - 1)
    inside = np.concatenate([first, ends.clip(first + 1, bounds[:, 2:])], axis=1)
    return np.where(cut[:, None], inside, bounds)


def _crop(
    options: CropOptions, sizes: Ints, seed: int, epoch: Ints, record: Ints
) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """The crop x, y, w, h of images, width and height (N, 2), and the size (N, 2) to which they are
    enlarged, in whose pixels it is measured.
    """
    width, height = sizes.T
    if options.crop_size is None:
        full_width, full_height = _enlarged(options, width, height)
        w, h = np.full_like(width, options.width), np.full_like(height, options.height)
    else:
        low, high = options.crop_size
        unit = philox.uniform(seed, epoch, record, philox.CROP_SIZE, 1)[:, 0]
        full_width, full_height = width, height
        w = h = low + _offset(unit, np.full_like(width, high - low))
    most_x, most_y = full_width - w, full_height - h
    if options.rand_crop:
        across, down = philox.uniform(seed, epoch, record, philox.CROP, 2).T
        x, y = _offset(across, most_x), _offset(down, most_y)
    else:
        x, y = most_x // 2, most_y // 2
    if options.resized_crop and (options.area != (1, 1) or options.ratio != (1, 1)):
        found, *cut = _resized_crop(options, width, height, seed, epoch, record)
        x, y, w, h = (np.where(found, a, b) for a, b in zip(cut, (x, y, w, h), strict=True))
        full_width = np.where(found, width, full_width)
        full_height = np.where(found, height, full_height)
    return x, y, w, h, np.stack([full_width, full_height], axis=1)


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
    area = (width.astype(np.float64) * height)[:, None] * philox.between(fraction, options.area)
    ratio = philox.between(aspect, options.ratio)
    long, short = _round(np.sqrt(area * ratio)), _round(np.sqrt(area / ratio))
    w, h = np.where(turn < 0.5, short, long), np.where(turn < 0.5, long, short)
    fits = (w <= width[:, None]) & (h <= height[:, None]) & (w > 0) & (h > 0)
    rows, first = np.arange(len(width)), fits.argmax(axis=1)
    w, h = w[rows, first], h[rows, first]
    x = _offset(across[rows, first], width - w)
    y = _offset(down[rows, first], height - h)
    return fits[rows, first], x, y, w, h


def _round(value: NDArray[np.float64]) -> Ints:
    """Round half away from zero, as C's round; the values are positive."""
    return np.floor(value + 0.5).astype(np.int64)


def _offset(unit: NDArray[np.float64], most: Ints) -> Ints:
    """Uniformly distributed integers from 0 to `most`."""
    return np.floor(unit * (most + 1)).astype(np.int64)


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
    """The interpolation of each sample. `scaled` are the sizes, (N, 2), after resize and on the
    canvas.
    """
    if options.method == ANY:
        words = philox.words(seed, epoch, record, philox.INTERPOLATION, 1)
        return words[:, 0].astype(np.int64) % 5
    # OpenCV's affine maps have no AREA.
    area = LINEAR if options.affine.active and options.resize is None else AREA
    if options.method != AUTOMATIC:
        method = area if options.method == AREA else options.method
        return np.full(len(sizes), method, np.int64)
    # As MXNet decides it for its first resampling: the resize, else the affine map, else the crop.
    resized, canvas = scaled
    if options.resize is not None:
        old, new = sizes, resized
    elif options.affine.active:
        old, new = resized, canvas
    else:
        old = np.where(cut[:, None], np.stack(crop, axis=1), canvas + 2 * options.pad)
        new = np.full_like(old, (options.width, options.height))
    chosen = automatic_method(*old.T, *new.T)
    return np.where(chosen == AREA, area, chosen)
