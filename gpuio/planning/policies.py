"""Policies: which operations each sample goes through, drawn for a whole batch at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.planning import operations as ops
from gpuio.planning.operations import Operations
from gpuio.planning.plan import LINEAR, NEAREST, Ints
from gpuio.sampling import philox

Units = NDArray[np.float64]

# Attempts of random erasing before an image is left as it is.
ERASE_TRIES = 10

# The largest factor of brightness, contrast and saturation; the largest hue, in turns; the largest
# ratio of an erased rectangle's height and width.
MOST_FACTOR, MOST_HUE, MOST_RATIO = 1e6, 0.5, 1e6


@dataclass(frozen=True)
class Policy(ABC):
    """Draws operations.

    Attributes
    ----------
    units : random numbers that a sample takes
    """

    @property
    @abstractmethod
    def units(self) -> int:
        """How many random numbers `draw` takes for each sample."""

    @abstractmethod
    def draw(self, units: Units, size: tuple[int, int], channels: int) -> Operations:
        """Draw the operations of a batch.

        Parameters
        ----------
        units : float64 (N, `units`), in [0, 1)
        size : width and height of the output in pixels
        channels : of the output

        Returns
        -------
        OPERATION (N, K), in the order in which they are applied; K is the same for all batches
        """

    @abstractmethod
    def check_channels(self, channels: int) -> None:
        """Raise ArgumentError if it does not go with images of so many channels."""


def plan_operations(
    policies: Sequence[Policy],
    size: tuple[int, int],
    channels: int,
    seed: int,
    epoch: Ints,
    record: Ints,
) -> Operations | None:
    """Draw the operations of several policies, one after another.

    Parameters
    ----------
    size : width and height of the output in pixels
    channels : of the output
    seed, epoch, record : determine the draws; epoch and record are int64 (N,)

    Returns
    -------
    OPERATION (N, K); None if there are no policies
    """
    if not policies:
        return None
    count = sum(each.units for each in policies)
    units = philox.uniform(seed, epoch, record, philox.OPERATIONS, count)
    drawn, first = [], 0
    for each in policies:
        drawn.append(each.draw(units[:, first : first + each.units], size, channels))
        first += each.units
    return np.concatenate(drawn, axis=1)


class Magnitudes(NamedTuple):
    """The ranges of a policy's magnitudes: linear in the number of the magnitude, from 0.

    Attributes
    ----------
    shear : the largest shear
    translate : the largest shift: of the width and height, or in pixels
    relative : whether it is of the width and height
    rotate : the largest angle in degrees
    blend : the largest change of a factor from 1
    bits : how many bits are cleared at most
    """

    shear: float
    translate: float
    relative: bool
    rotate: float
    blend: float
    bits: int


# The operations of RandAugment and TrivialAugment, in torchvision's order.
NAMES = (
    "Identity",
    "ShearX",
    "ShearY",
    "TranslateX",
    "TranslateY",
    "Rotate",
    "Brightness",
    "Color",
    "Contrast",
    "Sharpness",
    "Posterize",
    "Solarize",
    "AutoContrast",
    "Equalize",
)
(_, SHEAR_X, SHEAR_Y, TRANSLATE_X, TRANSLATE_Y, ROTATE, BRIGHTNESS, _, _, SHARPNESS) = range(10)
POSTERIZE, SOLARIZE = 10, 11
CODES = np.array(
    [
        ops.IDENTITY,
        *[ops.WARP_NEAREST] * 5,
        ops.BRIGHTNESS,
        ops.SATURATION,
        ops.CONTRAST,
        ops.SHARPNESS,
        ops.POSTERIZE,
        ops.SOLARIZE,
        ops.AUTOCONTRAST,
        ops.EQUALIZE,
    ],
    np.int32,
)

# As torchvision has them, which follow the papers.
RANDAUGMENT = Magnitudes(0.3, 150 / 331, True, 30.0, 0.9, 4)
TRIVIAL_WIDE = Magnitudes(0.99, 32.0, False, 135.0, 0.99, 6)


def named_operations(
    name: Ints,
    magnitude: Ints,
    negative: NDArray[np.bool_],
    bins: int,
    magnitudes: Magnitudes,
    size: tuple[int, int],
    interpolation: int,
    fill: tuple[int, ...],
) -> Operations:
    """The operations with names and magnitudes.

    Parameters
    ----------
    name : int64 (…,), numbers in `NAMES`
    magnitude : int64 (…,), 0 to bins - 1
    negative : bool (…,): the other way, if the operation has two directions
    bins : number of magnitudes, at least 2
    size : width and height of the output in pixels
    interpolation : NEAREST or LINEAR
    fill : pixel values of what is outside, one for each channel

    Returns
    -------
    OPERATION (…,)
    """
    result = ops.no_operations(*name.shape)
    result["code"] = CODES[name]
    result["fill"][..., : len(fill)] = fill
    if len(fill) == 1:
        result["code"][np.isin(result["code"], ops.OF_COLORS)] = ops.IDENTITY
    if interpolation != NEAREST:
        result["code"][result["code"] == ops.WARP_NEAREST] = ops.WARP_BILINEAR
    sign = np.where(negative, -1.0, 1.0)

    def amount(largest: float) -> NDArray[np.float64]:
        return linear(0, largest, magnitude, bins)

    def put(number: int, values: NDArray[np.float64]) -> None:
        chosen = name == number
        result["values"][chosen] = values[chosen]

    values = result["values"]
    put(SHEAR_X, ops.shear_x_values(sign * amount(magnitudes.shear)))
    put(SHEAR_Y, ops.shear_y_values(sign * amount(magnitudes.shear)))
    across, down = size if magnitudes.relative else (1, 1)
    still = np.zeros(name.shape)
    move = sign * np.trunc(amount(magnitudes.translate * across))
    put(TRANSLATE_X, ops.translate_values(move, still))
    move = sign * np.trunc(amount(magnitudes.translate * down))
    put(TRANSLATE_Y, ops.translate_values(still, move))
    put(ROTATE, ops.rotate_values(sign * amount(magnitudes.rotate), size))
    blended = (name >= BRIGHTNESS) & (name <= SHARPNESS)
    values[blended] = ops.blend_values(1 + sign * amount(magnitudes.blend))[blended]
    cleared = 8 - np.rint(8 - magnitude / ((bins - 1) / magnitudes.bits)).astype(np.int64)
    put(POSTERIZE, _first(256 - (1 << cleared)))
    put(SOLARIZE, _first(255 * linear(1, 0, magnitude, bins)))
    return result


def linear(first: float, last: float, number: Ints, count: int) -> NDArray[np.float64]:
    """Some of the float32 numbers of ``torch.linspace(first, last, count)``: float64 (…,).

    That some of them are a little more or less than the fraction decides how many pixels an image
    is moved by, and how products with pixel values are rounded.
    """
    end = np.float32(last)
    step = np.float64((end - np.float32(first)) / np.float32(count - 1))
    ahead, behind = first + step * number, end - step * (count - 1 - number)
    return np.where(number < count // 2, ahead, behind).astype(np.float32).astype(np.float64)


def _first(numbers: NDArray[np.generic]) -> NDArray[np.float64]:
    """The `values` of operations with one number: float64 (…, 6)."""
    values = np.zeros((*numbers.shape, 6))
    values[..., 0] = numbers
    return values


def _pick(unit: Units, count: int) -> Ints:
    """Integers from 0 to count - 1 from numbers in [0, 1)."""
    return (unit * count).astype(np.int64)


def _check_gray_or_color(name: str, channels: int) -> None:
    if channels not in (1, 3):
        raise ArgumentError(f"{name} needs 1 or 3 channels, not {channels}")


def check_fill(name: str, fill: tuple[int, ...], channels: int) -> None:
    """Raise ArgumentError unless there is one pixel value, or one for each channel."""
    if len(fill) not in (1, channels):
        raise ArgumentError(
            f"{name} must be a number, or one for each of {channels} channels, not {fill}"
        )


def _broadcast(fill: tuple[int, ...], channels: int) -> tuple[int, ...]:
    return fill * channels if len(fill) == 1 else fill


@dataclass(frozen=True)
class RandAugmentPolicy(Policy):
    """RandAugment (Cubuk et al., RandAugment: Practical automated data augmentation with a reduced
    search space, 2019): some operations, all of one magnitude.

    Attributes
    ----------
    num_ops : operations for each sample
    magnitude : their magnitude, 0 to num_magnitude_bins - 1
    num_magnitude_bins : number of magnitudes
    interpolation : NEAREST or LINEAR
    fill : pixel values outside of moved images, one, or one for each channel
    """

    num_ops: int = 2
    magnitude: int = 9
    num_magnitude_bins: int = 31
    interpolation: int = NEAREST
    fill: tuple[int, ...] = (0,)

    @property
    def units(self) -> int:
        """Two for each operation: which one, and its direction."""
        return 2 * self.num_ops

    def draw(self, units: Units, size: tuple[int, int], channels: int) -> Operations:
        """Draw the operations of a batch."""
        name, sign = units[:, : self.num_ops], units[:, self.num_ops :]
        return named_operations(
            _pick(name, len(NAMES)),
            np.full(name.shape, self.magnitude, np.int64),
            sign < 0.5,
            self.num_magnitude_bins,
            RANDAUGMENT,
            size,
            self.interpolation,
            _broadcast(self.fill, channels),
        )

    def check_channels(self, channels: int) -> None:
        """Raise ArgumentError if it does not go with images of so many channels."""
        _check_gray_or_color("RandAugment", channels)
        check_fill("RandAugment's fill", self.fill, channels)


@dataclass(frozen=True)
class TrivialAugmentPolicy(Policy):
    """TrivialAugment Wide (Müller and Hutter, TrivialAugment: Tuning-free yet state-of-the-art data
    augmentation, 2021): one operation of any magnitude.

    Attributes
    ----------
    num_magnitude_bins : number of magnitudes
    interpolation : NEAREST or LINEAR
    fill : pixel values outside of moved images, one, or one for each channel
    """

    num_magnitude_bins: int = 31
    interpolation: int = NEAREST
    fill: tuple[int, ...] = (0,)

    @property
    def units(self) -> int:
        """Three: the operation, its magnitude, its direction."""
        return 3

    def draw(self, units: Units, size: tuple[int, int], channels: int) -> Operations:
        """Draw the operations of a batch."""
        name, magnitude, sign = units[:, 0:1], units[:, 1:2], units[:, 2:3]
        return named_operations(
            _pick(name, len(NAMES)),
            _pick(magnitude, self.num_magnitude_bins),
            sign < 0.5,
            self.num_magnitude_bins,
            TRIVIAL_WIDE,
            size,
            self.interpolation,
            _broadcast(self.fill, channels),
        )

    def check_channels(self, channels: int) -> None:
        """Raise ArgumentError if it does not go with images of so many channels."""
        _check_gray_or_color("TrivialAugmentWide", channels)
        check_fill("TrivialAugmentWide's fill", self.fill, channels)


@dataclass(frozen=True)
class ColorJitterPolicy(Policy):
    """Brightness, contrast, saturation and hue in random order, as torchvision's ColorJitter.

    Attributes
    ----------
    brightness, contrast, saturation : range of the factor; None: no change
    hue : range of what is added to the hue, in turns; None: no change
    """

    brightness: tuple[float, float] | None = None
    contrast: tuple[float, float] | None = None
    saturation: tuple[float, float] | None = None
    hue: tuple[float, float] | None = None

    @property
    def units(self) -> int:
        """Four for the order, and four for the changes."""
        return 8

    def draw(self, units: Units, size: tuple[int, int], channels: int) -> Operations:
        """Draw the operations of a batch."""
        result = ops.no_operations(len(units), 4)
        changes = (
            (ops.BRIGHTNESS, self.brightness),
            (ops.CONTRAST, self.contrast),
            (ops.SATURATION, self.saturation),
            (ops.HUE, self.hue),
        )
        for column, (code, bounds) in enumerate(changes):
            if bounds is None or (code in ops.OF_COLORS and channels != 3):
                continue
            drawn = philox.between(units[:, 4 + column], bounds)
            result["code"][:, column] = code
            result["values"][:, column] = (
                _first(drawn) if code == ops.HUE else ops.blend_values(drawn)
            )
        order = units[:, :4].argsort(axis=1, kind="stable")
        return np.take_along_axis(result, order, axis=1)

    def check_channels(self, channels: int) -> None:
        """Raise ArgumentError if it does not go with images of so many channels."""
        _check_gray_or_color("ColorJitter", channels)


@dataclass(frozen=True)
class RandomErasingPolicy(Policy):
    """Random erasing (Zhong et al., Random erasing data augmentation, 2017): a rectangle of one
    color, as torchvision draws it.

    Attributes
    ----------
    p : probability that an image gets one
    scale : range of the rectangle's area, as a fraction of the image's
    ratio : range of its height divided by its width
    value : its pixel values, one, or one for each channel
    """

    p: float = 0.5
    scale: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)
    value: tuple[int, ...] = (0,)

    @property
    def units(self) -> int:
        """Whether there is one, and four for each attempt."""
        return 1 + 4 * ERASE_TRIES

    def draw(self, units: Units, size: tuple[int, int], channels: int) -> Operations:
        """Draw the operations of a batch."""
        width, height = size
        area, ratio, top, left = units[:, 1:].reshape(len(units), 4, ERASE_TRIES).swapaxes(0, 1)
        area = philox.between(area, self.scale) * (width * height)
        low, high = np.log(self.ratio)
        ratio = np.exp(philox.between(ratio, (float(low), float(high))))
        h = np.rint(np.sqrt(area * ratio))
        w = np.rint(np.sqrt(area / ratio))
        fits = (h < height) & (w < width)
        y = np.floor(top * (height - h + 1))
        x = np.floor(left * (width - w + 1))
        first = fits.argmax(axis=1)[:, None]
        boxes = np.stack([x, y, x + w, y + h], axis=-1)
        box = np.take_along_axis(boxes, first[..., None], axis=1)[:, 0]
        result = ops.no_operations(len(units), 1)
        erased = (units[:, 0] < self.p) & fits.any(axis=1)
        result["code"][erased, 0] = ops.ERASE
        result["values"][erased, 0, :4] = box[erased]
        result["fill"][erased, 0, :channels] = _broadcast(self.value, channels)
        return result

    def check_channels(self, channels: int) -> None:
        """Raise ArgumentError if it does not go with images of so many channels."""
        check_fill("RandomErasing's value", self.value, channels)


# The interpolations of policies, by torchvision's names.
INTERPOLATIONS = {"nearest": NEAREST, "bilinear": LINEAR}
