"""What augmenters make of a picture, worked out step by step without its pixels.

Resizes, crops, flips and canvases, one after another, come to one window of the source; changes of
colour come to one matrix. An `ImageTracer` follows both for one picture, and `plan_of` puts the
traces of a batch into a `Plan`, which either executor runs: each picture is resampled once,
whatever the number of its augmenters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError, Error
from gpuio.planning.plan import (
    ANY,
    AREA,
    AUTOMATIC,
    CUBIC,
    LANCZOS,
    LINEAR,
    NEAREST,
    Canvas,
    Plan,
    by_size,
    shorter_side,
)
from gpuio.sampling import sample_rng as draws

if TYPE_CHECKING:
    from gpuio.loading.batch import Draft

# Shares of red, green and blue in the luma of ITU-R BT.601.
LUMA = (0.299, 0.587, 0.114)

# Rounding must not widen a rectangle of whole pixels.
HAIR = 1e-9

# Interpolations of OpenCV's whose result for a mirror image is not the mirror image of the result;
# of CUBIC and LANCZOS by rounding alone.
UNEVEN = (NEAREST, CUBIC, AREA, LANCZOS)

Rectangle = tuple[float, float, float, float]


def interpolation(method: int, old: Sequence[float], new: Sequence[float]) -> int:
    """What AUTOMATIC and ANY stand for; any other method is itself.

    Parameters
    ----------
    old, new : the sizes before and after, both as (width, height) or both as (height, width)
    """
    if method == ANY:
        return draws.randint(NEAREST, LANCZOS)
    if method != AUTOMATIC:
        return method
    return int(by_size(*old, *new))


def whole_side(name: str, value: Any) -> int:
    """A length in pixels.

    Raises
    ------
    ArgumentError : it is no whole number of at least 1.
    """
    try:
        whole = int(value)
        fits = whole == value and whole >= 1
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits:
        raise ArgumentError(f"{name} must be a whole number of pixels, at least 1, not {value!r}")
    return whole


class ImageTracer:
    """One picture on its way through augmenters.

    Parameters
    ----------
    width, height : of the source, in pixels

    Attributes
    ----------
    width, height : of the picture so far, in pixels
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._limits = width, height
        # In pixels of the source: what the picture so far shows, what of it may be mixed into its
        # edges (left, top, right, bottom), and what may be read.
        self._window: Rectangle = (0.0, 0.0, float(width), float(height))
        self._shown: Rectangle = self._window
        self._bounds = (0, 0, width, height)
        self._method = LINEAR
        self._resized = self._flipped = self._turned = False
        self._borders: list[tuple[Rectangle, Sequence[float]]] = []
        self._colour: NDArray[np.float64] | None = None

    def resize(self, width: int, height: int, method: int) -> None:
        """Resample the picture to `width` x `height` pixels, with any of METHODS.

        Raises
        ------
        ArgumentError : a side is no whole number of at least 1.
        """
        width, height = whole_side("w", width), whole_side("h", height)
        left, top, right, bottom = self._shown
        # Behind a first resampling, what counts is the change from the source.
        old = (right - left, bottom - top) if self._resized else (self.width, self.height)
        method = interpolation(method, old, (width, height))
        if (width, height) == (self.width, self.height):
            return
        # What was cut off is not mixed in.
        x0, x1 = _pixels(left, right, self._limits[0])
        y0, y1 = _pixels(top, bottom, self._limits[1])
        self._bounds = x0, y0, x1, y1
        self._method, self._resized, self._turned = method, True, self._flipped
        self.width, self.height = width, height

    def shorter_side(self, size: int, method: int) -> None:
        """Scale the shorter side to `size` pixels, the longer in proportion, rounded down."""
        self.resize(*shorter_side(self.width, self.height, whole_side("size", size)), method)

    def crop(self, x: int, y: int, width: int, height: int) -> None:
        """Cut a rectangle out.

        Raises
        ------
        ArgumentError : it does not lie inside of the picture, or is empty.
        """
        if not (x >= 0 and y >= 0 and width >= 1 and height >= 1) or (
            x + width > self.width or y + height > self.height
        ):
            raise ArgumentError(
                f"a crop of {width} x {height} pixels at ({x}, {y}) does not lie inside of a "
                f"picture of {self.width} x {self.height}, or is empty"
            )
        self._look_at(x, y, width, height)
        left, top, w, h = self._window
        l, t, r, b = self._shown  # noqa: E741
        self._shown = max(l, left), max(t, top), min(r, left + w), min(b, top + h)

    def flip(self) -> None:
        """Flip left to right."""
        self._flipped = not self._flipped

    def pad(self, left: int, top: int, right: int, bottom: int, fill: Sequence[float]) -> None:
        """Put a border of one colour, (red, green, blue), around the picture; its sides in
        pixels.
        """
        x, y, w, h = self._window
        self._borders.append(((x, y, x + w, y + h), fill))
        self._look_at(-left, -top, self.width + left + right, self.height + top + bottom)

    def _look_at(self, x: int, y: int, width: int, height: int) -> None:
        """Make a rectangle of the picture so far, which may reach beyond it, the picture."""
        if self._flipped:
            x = self.width - x - width
        left, top, w, h = self._window
        across, down = w / self.width, h / self.height
        self._window = left + x * across, top + y * down, width * across, height * down
        self.width, self.height = width, height

    def mix(self, matrix: Any) -> None:
        """Make new channels of the old: row i of the matrix, (3, 3), says what the i-th is made
        of.
        """
        self._colour = np.asarray(matrix, np.float64) @ self._mixture()

    def scale(self, factors: Any) -> None:
        """Multiply the channels, each by its own factor or all by one."""
        self._colour = self._mixture() * np.reshape(np.asarray(factors, np.float64), (-1, 1))

    def shift(self, levels: Any) -> None:
        """Add to the channels, to each its own levels or to all one."""
        self._mixture()[:, 6] += np.asarray(levels, np.float64)

    def contrast(self, factor: float) -> None:
        """Move all levels away from the picture's mean luma, by a factor."""
        mixture = self._mixture()
        luma = np.array(LUMA) @ mixture
        mixture *= factor
        mixture[:, 3:6] += (1 - factor) * (luma[:3] + luma[3:6])
        mixture[:, 6] += (1 - factor) * luma[6]

    def saturate(self, factor: float) -> None:
        """Move each pixel away from its luma, by a factor."""
        self.mix(np.eye(3) * factor + (1 - factor) * np.array([LUMA] * 3))

    def _mixture(self) -> NDArray[np.float64]:
        if self._colour is None:
            self._colour = np.eye(3, 7)
        return self._colour


def _pixels(low: float, high: float, limit: int) -> tuple[int, int]:
    """The pixels, at least one, that a stretch of an axis touches."""
    first = min(max(math.floor(low + HAIR), 0), limit - 1)
    return first, min(max(math.ceil(high - HAIR), first + 1), limit)


def trace_batch(
    draft: Draft, seed: int, make: Callable[[ImageTracer, int], Any]
) -> list[ImageTracer]:
    """Sketch a batch's pictures, each with draws of its own.

    Parameters
    ----------
    draft : its labels and errors are brought up to date
    seed : of which, with a sample's epoch and number, its draws are made
    make : works on the sketch of a row, and gives the row's label; an Error that it raises says
        that the record cannot be used. Not called for bad records

    Returns
    -------
    a sketch for each row; those of bad records mean nothing
    """
    sketches = [ImageTracer(*size) for size in draft.sizes.tolist()]
    for row, picture in enumerate(sketches):
        if row in draft.errors:
            continue
        try:
            with draws.seeded(seed, int(draft.epoch[row]), int(draft.record[row])):
                draft.labels[row] = make(picture, row)
        except Error as error:
            draft.labels[row], draft.errors[row] = None, error
    return sketches


def plan_of(sketches: Sequence[ImageTracer], width: int, height: int) -> Plan:
    """The plan of a batch of finished pictures, all of one size.

    Parameters
    ----------
    width, height : in pixels; a sketch of another size counts as one of this size
    """
    window = np.array([each._window for each in sketches])
    plan = Plan(
        window,
        np.array([each._bounds for each in sketches], np.int64),
        np.array([each._method for each in sketches], np.int64),
        np.array([each._flipped for each in sketches]),
    )
    turned = np.array([each._turned for each in sketches]) & np.isin(plan.method, UNEVEN)
    if turned.any():
        plan = replace(plan, turned=turned)
    if any(each._colour is not None for each in sketches):
        plain = np.eye(3, 7)
        colour = [plain if each._colour is None else each._colour for each in sketches]
        plan = replace(plan, colour=np.array(colour))
    depth = max(len(each._borders) for each in sketches)
    canvases = (_canvas(sketches, number, window, (width, height)) for number in range(depth))
    return replace(plan, canvases=tuple(canvases))


def _canvas(
    sketches: Sequence[ImageTracer],
    number: int,
    window: NDArray[np.float64],
    size: tuple[int, int],
) -> Canvas:
    """What one of the borders, counted from the picture, comes to in the output; a sketch without
    it has a border of no width.
    """
    some = [each._borders[number : number + 1] for each in sketches]
    none = (0,) * next(len(border[0][1]) for border in some if border)
    inside = np.concatenate([window[:, :2], window[:, :2] + window[:, 2:]], axis=1)
    for row, border in enumerate(some):
        if border:
            inside[row] = border[0][0]
    # The output pixels whose centres lie inside.
    corner, scale = np.tile(window[:, :2], 2), np.tile(np.array(size) / window[:, 2:], 2)
    edges = np.ceil((inside - corner) * scale - 0.5 - HAIR).clip(0, np.tile(size, 2))
    fill = np.rint([border[0][1] if border else none for border in some])
    return Canvas(edges.astype(np.int64), fill.clip(0, 255).astype(np.uint8))
