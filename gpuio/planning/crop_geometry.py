"""The geometry of ImageRecordIter's images: resize, affine maps, padding, crop and flip, for a
whole batch at once.

MXNet resizes the image, turns it, pads it, and then cuts the crop out of it; here all that is one
window of the source, or one affine map. Sizes are computed as in MXNet, so that the result shows
what MXNet arrives at. Without affine maps the native module does the same by one call.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gpuio.planning.affine import image_on, plan_affine, scale_argument, scale_result, window_of
from gpuio.planning.crop_options import CropOptions
from gpuio.planning.native_crops import Crops, native_crops
from gpuio.planning.plan import (
    ANY,
    AREA,
    AUTOMATIC,
    EPSILON,
    LINEAR,
    Affine,
    Border,
    Ints,
    Plan,
    automatic_method,
    covered_pixels,
    shorter_side,
)
from gpuio.sampling import philox

Scalar = TypeVar("Scalar", bound=np.generic)

# Attempts of the random resized crop before it falls back to the center.
CROP_TRIES = 10


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
    if (module := native_crops()) is not None:
        crops = module.plan(options, sizes, seed, epoch, record)
        if crops is not None:
            return _plan_of(options, crops), crops.padded, crops.largest
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
        borders = (_border(options, covered_pixels(shown.T, crop.T, output)),)
    plan = Plan(_rows(window), _rows(bounds), method, flip, affine=affine, borders=borders)
    # Padding and enlarging make no image smaller.
    largest = np.where(_pixels(full) > _pixels(scaled), full, scaled)
    return plan, padded.T, largest.T.astype(np.float64)


def _plan_of(options: CropOptions, crops: Crops) -> Plan:
    borders = () if crops.inside is None else (_border(options, crops.inside),)
    return Plan(crops.window, crops.bounds, crops.method, crops.flip, borders=borders)


def _border(options: CropOptions, inside: Ints) -> Border:
    """The border around images that cover a part of the output."""
    fill = np.empty((len(inside), len(options.fill)), np.uint8)
    fill[:] = options.fill
    return Border(inside, fill)


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
