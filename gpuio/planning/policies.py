"""Policies: which operations each sample goes through, drawn for a whole batch at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.planning import operations as ops
from gpuio.planning.augmentation_spaces import (
    NAMES,
    RANDAUGMENT,
    TRIVIAL_WIDE,
    named_operations,
)
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
    moves_pixels : whether objects may be elsewhere afterwards
    """

    moves_pixels: ClassVar[bool] = False

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

    moves_pixels: ClassVar[bool] = True

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

    moves_pixels: ClassVar[bool] = True

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
                ops.number_values(drawn) if code == ops.HUE else ops.blend_values(drawn)
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
