"""Tracing: following an image through operations without its pixels.

Any sequence of resizes, crops, flips and borders is one window of the source; changes of color are
one matrix. An `ImageTracer` follows both for one image, and what operations come between them, and
`plan_from_traces` combines the tracers of a batch into a `Plan`: each image is resampled once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpuio.decoding.limits import MAX_PIXELS, over_limit
from gpuio.errors import ArgumentError, DecodeError, Error
from gpuio.planning.colors import LUMA
from gpuio.planning.operations import Operations, mirrored, no_operations
from gpuio.planning.plan import (
    AREA,
    AUTOMATIC,
    CUBIC,
    EPSILON,
    LANCZOS,
    LINEAR,
    NEAREST,
    Border,
    Plan,
    automatic_method,
    covered_pixels,
    shorter_side,
)
from gpuio.planning.planner import Label, PlannedBatch, Samples, listed
from gpuio.sampling.sample_rng import SampleRng, sample_rngs

# Interpolations of OpenCV whose result for a mirror image is not the mirror image of the result;
# of CUBIC and LANCZOS by rounding alone.
ASYMMETRIC = (NEAREST, CUBIC, AREA, LANCZOS)

Rectangle: TypeAlias = tuple[float, float, float, float]


def as_pixels(name: str, value: object) -> int:
    """Check a length in pixels.

    Raises
    ------
    ArgumentError : it is not an integer of at least 1.
    """
    try:
        length = int(value)  # type: ignore[call-overload]  # whatever the caller gave
        valid = length == value and length >= 1
    except (TypeError, ValueError, OverflowError):
        valid = False
    if not valid:
        raise ArgumentError(f"{name} must be an integer of at least 1 pixel, not {value!r}")
    return int(length)


class ImageTracer:
    """Follows one image through a sequence of operations.

    Parameters
    ----------
    width, height : of the source, in pixels
    max_pixels : the most pixels that the image may have at any step

    Attributes
    ----------
    width, height : of the current image, in pixels
    """

    def __init__(self, width: int, height: int, max_pixels: int = MAX_PIXELS) -> None:
        self.width, self.height = width, height
        self._max_pixels = max_pixels
        self._limits = width, height
        # In pixels of the source: what the current image shows, what of it may be blended into its
        # edges (left, top, right, bottom), and what may be read.
        self._window: Rectangle = (0.0, 0.0, float(width), float(height))
        self._shown: Rectangle = self._window
        self._bounds = (0, 0, width, height)
        self._method = LINEAR
        self._resized = self._flipped = self._resample_flipped = False
        self._borders: list[tuple[Rectangle, Sequence[float]]] = []
        self._operations: list[Operations] = []
        self._color: NDArray[np.float64] | None = None

    def resize(self, width: int, height: int, method: int) -> None:
        """Resample the image to `width` x `height` pixels.

        Parameters
        ----------
        method : NEAREST to LANCZOS, or AUTOMATIC

        Raises
        ------
        ArgumentError : a dimension is not an integer of at least 1.
        DecodeError : the image has too many pixels then.
        """
        width, height = as_pixels("w", width), as_pixels("h", height)
        self._check_size(width, height)
        left, top, right, bottom = self._shown
        if method == AUTOMATIC:
            # After a first resampling, what counts is the change from the source.
            old_width: float = right - left if self._resized else self.width
            old_height: float = bottom - top if self._resized else self.height
            method = int(automatic_method(old_width, old_height, width, height))
        if (width, height) == (self.width, self.height):
            return
        # What was cropped off is not blended in.
        x0, x1 = _touched_pixels(left, right, self._limits[0])
        y0, y1 = _touched_pixels(top, bottom, self._limits[1])
        self._bounds = x0, y0, x1, y1
        self._method, self._resized, self._resample_flipped = method, True, self._flipped
        self.width, self.height = width, height

    def resize_shorter(self, size: int, method: int) -> None:
        """Scale the shorter side to `size` pixels and the longer in proportion, rounded down."""
        self.resize(*shorter_side(self.width, self.height, as_pixels("size", size)), method)

    def crop(self, x: int, y: int, width: int, height: int) -> None:
        """Crop a rectangle.

        Raises
        ------
        ArgumentError : it is empty, or not inside the image.
        """
        if not (x >= 0 and y >= 0 and width >= 1 and height >= 1) or (
            x + width > self.width or y + height > self.height
        ):
            raise ArgumentError(
                f"a crop of {width} x {height} pixels at ({x}, {y}) is empty, or not inside an "
                f"image of {self.width} x {self.height}"
            )
        self._move_window(x, y, width, height)
        left, top, w, h = self._window
        x0, y0, x1, y1 = self._shown
        self._shown = max(x0, left), max(y0, top), min(x1, left + w), min(y1, top + h)

    def flip(self) -> None:
        """Flip left to right."""
        self._flipped = not self._flipped

    def pad(self, left: int, top: int, right: int, bottom: int, fill: Sequence[float]) -> None:
        """Add a border of this many pixels on each side.

        Parameters
        ----------
        fill : its color, a pixel value for each channel

        Raises
        ------
        DecodeError : the image has too many pixels then.
        """
        self._check_size(self.width + left + right, self.height + top + bottom)
        x, y, w, h = self._window
        self._borders.append(((x, y, x + w, y + h), fill))
        self._move_window(-left, -top, self.width + left + right, self.height + top + bottom)

    def _check_size(self, width: int, height: int) -> None:
        if problem := over_limit(width, height, self._max_pixels, "the resized or padded image"):
            raise DecodeError(problem)

    def _move_window(self, x: int, y: int, width: int, height: int) -> None:
        """Make a rectangle of the current image, which may reach beyond it, the image."""
        if self._flipped:
            x = self.width - x - width
        left, top, w, h = self._window
        across, down = w / self.width, h / self.height
        self._window = left + x * across, top + y * down, width * across, height * down
        self.width, self.height = width, height

    def operate(self, operations: Operations) -> None:
        """Apply operations, OPERATION (K,), to the image, which is the output."""
        if self._flipped:
            operations = mirrored(operations, self.width)
        self._operations.append(operations)

    def mix_channels(self, matrix: ArrayLike) -> None:
        """Multiply each pixel by a matrix (3, 3)."""
        self._color = np.asarray(matrix, np.float64) @ self._color_matrix()

    def scale(self, factors: ArrayLike) -> None:
        """Multiply the channels by a factor each, or all by one."""
        self._color = self._color_matrix() * np.asarray(factors, np.float64).reshape(-1, 1)

    def shift(self, values: ArrayLike) -> None:
        """Add a pixel value to each channel, or one to all."""
        self._color_matrix()[:, 6] += np.asarray(values, np.float64)

    def contrast(self, factor: float) -> None:
        """Scale the distance of all pixel values from the image's mean luma."""
        matrix = self._color_matrix()
        luma = np.array(LUMA) @ matrix
        matrix *= factor
        matrix[:, 3:6] += (1 - factor) * (luma[:3] + luma[3:6])
        matrix[:, 6] += (1 - factor) * luma[6]

    def saturate(self, factor: float) -> None:
        """Scale the distance of each pixel from its luma."""
        self.mix_channels(np.eye(3) * factor + (1 - factor) * np.array([LUMA] * 3))

    def _color_matrix(self) -> NDArray[np.float64]:
        if self._color is None:
            self._color = np.eye(3, 7)
        return self._color


def _touched_pixels(low: float, high: float, limit: int) -> tuple[int, int]:
    """The pixels, at least one, that an interval of an axis touches."""
    first = min(max(math.floor(low + EPSILON), 0), limit - 1)
    return first, min(max(math.ceil(high - EPSILON), first + 1), limit)


def trace_batch(
    seed: int,
    samples: Samples,
    trace: Callable[[ImageTracer, SampleRng, Label], Label],
    size: tuple[int, int],
) -> PlannedBatch:
    """Plan a batch by tracing its images one by one, each with its own random numbers.

    Parameters
    ----------
    seed : the augmentation's seed
    trace : traces one image and returns its label in the batch; an Error that it raises makes the
        record a bad one
    size : width and height of the output, in pixels
    """
    tracers = [
        ImageTracer(width, height, samples.max_pixels) for width, height in samples.sizes.tolist()
    ]
    traced: list[Label | None] = [None] * len(tracers)
    errors: dict[int, Error] = {}
    rngs = sample_rngs(seed, samples.epoch, samples.record)
    for row, (tracer, rng, label) in enumerate(
        zip(tracers, rngs, listed(samples.labels), strict=True)
    ):
        if label is None:
            continue
        try:
            traced[row] = trace(tracer, rng, label)
        except Error as error:
            errors[row] = error
    return PlannedBatch(plan_from_traces(tracers, *size), traced, errors)


def plan_from_traces(tracers: Sequence[ImageTracer], width: int, height: int) -> Plan:
    """Combine the tracers of a batch into a plan.

    Parameters
    ----------
    width, height : of the output, in pixels; a tracer whose image has another size is resized
    """
    window = np.array([each._window for each in tracers])
    plan = Plan(
        window,
        np.array([each._bounds for each in tracers], np.int64),
        np.array([each._method for each in tracers], np.int64),
        np.array([each._flipped for each in tracers]),
    )
    flipped = np.array([each._resample_flipped for each in tracers])
    flipped &= np.isin(plan.method, ASYMMETRIC)
    if flipped.any():
        plan = replace(plan, resample_flipped=flipped)
    if any(each._operations for each in tracers):
        plan = replace(plan, operations=_operations(tracers))
    if any(each._color is not None for each in tracers):
        identity = np.eye(3, 7)
        color = [identity if each._color is None else each._color for each in tracers]
        plan = replace(plan, color=np.array(color))
    depth = max(len(each._borders) for each in tracers)
    borders = (_border(tracers, number, window, (width, height)) for number in range(depth))
    return replace(plan, borders=tuple(borders))


def _operations(tracers: Sequence[ImageTracer]) -> Operations:
    """The operations of all, OPERATION (N, K); those who have fewer end in some without effect."""
    steps = [sum(map(len, each._operations)) for each in tracers]
    result = no_operations(len(tracers), max(steps))
    for row, each in zip(result, tracers, strict=True):
        if each._operations:
            found = np.concatenate(each._operations)
            row[: len(found)] = found
    return result


def _border(
    tracers: Sequence[ImageTracer],
    number: int,
    window: NDArray[np.float64],
    size: tuple[int, int],
) -> Border:
    """The borders with one number, counted from the image, in output pixels; a tracer without it
    has a border of no width.
    """
    borders = [each._borders[number : number + 1] for each in tracers]
    no_fill = (0,) * next(len(border[0][1]) for border in borders if border)
    inside = np.concatenate([window[:, :2], window[:, :2] + window[:, 2:]], axis=1)
    for row, border in enumerate(borders):
        if border:
            inside[row] = border[0][0]
    fill = np.rint([border[0][1] if border else no_fill for border in borders])
    return Border(covered_pixels(inside, window, size), fill.clip(0, 255).astype(np.uint8))
