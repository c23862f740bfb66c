"""Planning of ImageRecordIter's rotation, shear, scale and aspect ratio, for a whole batch at once.

MXNet turns the image on a canvas about the size that it has; corners are cut off, and what the
image does not cover is filled. The image's center (width / 2, height / 2) comes to the canvas's,
both counted from the center of the first pixel, so that a turn by 90 degrees moves it by a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.planning.plan import EPSILON, Ints, check_ratios
from gpuio.sampling import philox

Range = tuple[float, float]
Maps = NDArray[np.float64]  # (N, 2, 3)

# MXNet's default for the largest canvas: there is no limit. None is larger, so that its pixels can
# be counted in int64.
NO_LIMIT = 1e10

# Beyond these, MXNet's float32 matrices cannot be inverted.
LARGEST_SCALE, LARGEST_RATIO, LARGEST_SHEAR = 1e6, 1e3, 1e2
LARGEST_ANGLE = 2**31 - 1


@dataclass(frozen=True)
class AffineOptions:
    """The affine maps that ImageRecordIter's arguments ask for.

    Attributes
    ----------
    max_rotation : each image is rotated by an integer of up to this many degrees, either way
    rotation : degrees counterclockwise by which all images are rotated instead; at most 0: none
    rotations : one of these numbers of degrees, at random, instead of both; empty: none
    max_shear : range of the random shear, in either direction
    scale : range of the random factor of width and height
    ratio : range of the random ratio of the factors of width and height
    canvas : least and largest width and height of the canvas in pixels; within these limits it is
        scaled as the image is

    Raises
    ------
    ArgumentError : a value is out of range.
    """

    max_rotation: int = 0
    rotation: int = -1
    rotations: tuple[int, ...] = ()
    max_shear: float = 0.0
    scale: Range = (1.0, 1.0)
    ratio: Range = (1.0, 1.0)
    canvas: Range = (0.0, NO_LIMIT)

    def __post_init__(self) -> None:
        angles = (self.max_rotation, self.rotation, *self.rotations)
        if max(map(abs, angles)) > LARGEST_ANGLE:
            raise ArgumentError(
                f"max_rotate_angle, rotate and rotate_list must be below 2**31, not {max(angles)}"
            )
        if not 0 <= self.max_shear <= LARGEST_SHEAR:
            raise ArgumentError(
                f"max_shear_ratio must be 0 to {LARGEST_SHEAR:g}, not {self.max_shear}"
            )
        low, high = self.scale
        if not 1 / LARGEST_SCALE <= low <= high <= LARGEST_SCALE:
            raise ArgumentError(
                f"min_random_scale and max_random_scale must be {1 / LARGEST_SCALE:g} to "
                f"{LARGEST_SCALE:g}, and satisfy min <= max, not {low} and {high}"
            )
        check_ratios(self.ratio, LARGEST_RATIO)
        low, high = self.canvas
        if not (low <= high and high >= 1):
            raise ArgumentError(
                "min_img_size and max_img_size must satisfy min <= max, and max must be at least "
                f"1, not {low} and {high}"
            )

    @property
    def turns(self) -> bool:
        """Whether rows and columns of pixels do not remain rows and columns."""
        rotates = self.max_rotation > 0 or self.rotation > 0 or bool(self.rotations)
        return rotates or self.max_shear > 0

    @property
    def active(self) -> bool:
        """Whether images are mapped at all."""
        return (
            self.turns
            or self.scale != (1, 1)
            or self.ratio != (1, 1)
            or self.canvas[0] > 0
            or self.canvas[1] != NO_LIMIT
        )


NO_AFFINE = AffineOptions()


def plan_affine(
    options: AffineOptions, sizes: Ints, seed: int, epoch: Ints, record: Ints
) -> tuple[Maps, Ints]:
    """Draw the affine maps of a batch.

    Parameters
    ----------
    sizes : int64 (N, 2), width and height of the images in pixels
    seed, epoch, record : determine the draws

    Returns
    -------
    float64 (N, 2, 3): pixel (x, y) of the canvas is the image at ``matrix @ (x, y, 1)``, where
    pixel centers have integer coordinates; and int64 (N, 2), the canvases' widths and heights
    """
    turn, shear, scale, ratio = philox.uniform(seed, epoch, record, philox.AFFINE, 4).T
    angle = np.deg2rad(_degrees(options, turn)).astype(np.float32)
    shear = ((2 * shear - 1) * options.max_shear).astype(np.float32)
    scale = philox.between(scale, options.scale).astype(np.float32)
    ratio = philox.between(ratio, options.ratio).astype(np.float32)
    cos, sin = np.cos(angle), np.sin(angle)
    size = sizes.astype(np.float32)
    # Factors of width and height, in MXNet's float32. An image keeps a pixel, as its canvas does.
    wide = 2 * scale / (1 + ratio)
    wide, high = np.maximum(wide, 1 / size[:, 0]), np.maximum(ratio * wide, 1 / size[:, 1])
    forward = np.array(
        [
            [wide * cos - shear * sin * high, wide * sin + shear * cos * high],
            [-sin * high, cos * high],
        ]
    ).transpose(2, 0, 1)
    least, largest = np.minimum(options.canvas, NO_LIMIT)
    canvas = np.clip(scale[:, None] * size, np.float32(least), np.float32(largest))
    shift = (canvas - np.einsum("nij,nj->ni", forward, size)) / 2
    # By its formula, which rounding cannot make singular.
    inverse = np.array(
        [
            [cos / wide, -sin / high - shear * cos / wide],
            [sin / wide, cos / high - shear * sin / wide],
        ],
        np.float64,
    ).transpose(2, 0, 1)
    moved = -np.einsum("nij,nj->ni", inverse, shift.astype(np.float64))
    matrix = np.concatenate([inverse, moved[:, :, None]], axis=2)
    return matrix, np.maximum(canvas.astype(np.int64), 1)


def _degrees(options: AffineOptions, unit: NDArray[np.float64]) -> Ints:
    if options.rotations:
        choices = np.array(options.rotations, np.int64)
        return choices[np.floor(unit * len(choices)).astype(np.int64)]
    if options.rotation > 0:
        return np.full(len(unit), options.rotation, np.int64)
    most = max(options.max_rotation, 0)
    return np.floor(unit * (2 * most + 1)).astype(np.int64) - most


def window_of(matrix: Maps, size: tuple[int, int]) -> NDArray[np.float64]:
    """The windows, float64 (N, 4) as in `Plan`, that are affine maps from an output of this width
    and height, if nothing is rotated.
    """
    step = matrix[:, [0, 1], [0, 1]]
    return np.concatenate([matrix[:, :, 2] - step / 2 + 0.5, step * size], axis=1)


def image_on(canvas: Ints, to_source: NDArray[np.float64], sizes: Ints) -> tuple[Ints, Ints]:
    """The part of each canvas, width and height (N, 2), that its image covers, and the pixels of
    the source, of `sizes`, that are there: int64 (N, 4), x0, y0, x1, y1. Nothing is rotated.
    """
    step, start = to_source[:, [0, 1], [0, 1]], to_source[:, :, 2]
    # The pixels of the canvas whose centers lie inside the image.
    # Clipped before they become integers, which the largest would not fit.
    first = np.ceil((-0.5 - start) / step - EPSILON).clip(0, canvas - 1)
    last = (np.ceil((sizes - 0.5 - start) / step - EPSILON) - 1).clip(first, canvas - 1)
    low = np.floor(start + step * first + EPSILON).clip(0, sizes - 1)
    high = (np.ceil(start + step * last - EPSILON) + 1).clip(low + 1, sizes)
    shown = np.concatenate([first, last + 1], axis=1)
    return shown.astype(np.int64), np.concatenate([low, high], axis=1).astype(np.int64)


def scale_argument(
    matrix: NDArray[np.float64], crop: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.float64]:
    """Affine maps, (N, 2, 3), of pixels of the output instead of those of the canvas, of which it
    shows a crop x, y, w, h.
    """
    step = crop[:, 2:] / size
    start = crop[:, :2] + step / 2 - 0.5
    scaled = matrix * np.append(step, np.ones((len(step), 1)), axis=1)[:, None, :]
    scaled[:, :, 2] += np.einsum("nij,nj->ni", matrix[:, :, :2], start)
    return scaled


def scale_result(matrix: NDArray[np.float64], factor: NDArray[np.float64]) -> NDArray[np.float64]:
    """Affine maps, (N, 2, 3), to pixels of the source, which is by factors, (N, 2), larger."""
    scaled = matrix * factor[:, :, None]
    scaled[:, :, 2] += factor / 2 - 0.5
    return scaled
