"""Augmenters that people train with: RandAugment, TrivialAugment, color jitter and random erasing.

Names, arguments, operations and magnitudes are those of torchvision's transforms v2. They work on
uint8, as torchvision's do: images of other dtypes are rounded, and clipped to 0 to 255, first; NaN
becomes 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias, TypeGuard

import numpy as np

from gpuio import nd
from gpuio.errors import ArgumentError
from gpuio.execution.operations import operate
from gpuio.image.arrays import as_image, host
from gpuio.image.augmenter import Augmenter
from gpuio.iterators.arguments import as_choice, as_float, as_int
from gpuio.nd import NDArray
from gpuio.planning.augmenters import OPERATIONS, Params, Size
from gpuio.planning.policies import (
    INTERPOLATIONS,
    MOST_FACTOR,
    MOST_HUE,
    MOST_RATIO,
    ColorJitterPolicy,
    Policy,
    RandAugmentPolicy,
    RandomErasingPolicy,
    TrivialAugmentPolicy,
)
from gpuio.planning.tracer import ImageTracer
from gpuio.sampling.sample_rng import Rng

# A pixel value, or one for each channel.
Fill: TypeAlias = float | Sequence[float] | None

# A range, or the largest distance from what changes nothing.
Amount: TypeAlias = float | Sequence[float] | None

# Red, green and blue.
COLOR_CHANNELS = 3

# More operations or magnitudes help nobody.
MOST_OPS, MOST_BINS = 64, 10_000


class PolicyAug(Augmenter):
    """Holds the policy that draws an augmenter's operations.

    Parameters
    ----------
    policy : what it draws
    kwargs : the arguments that `dumps` writes down

    Attributes
    ----------
    policy : what iterators draw whole batches with
    """

    stage = OPERATIONS

    def __init__(self, policy: Policy, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.policy = policy

    def draw(self, rng: Rng, size: Size) -> Params:
        """Draw the random numbers of an image: float64 (1, units)."""
        return rng.uniforms(0.0, 1.0, self.policy.units)[None]

    def apply(self, src: NDArray, params: Params) -> NDArray:
        """Apply the operations to an image; gives uint8, on the image's device."""
        image = as_image(src)
        pixels = host(image)
        if pixels.dtype != np.uint8:
            pixels = np.nan_to_num(np.rint(pixels).clip(0, 255)).astype(np.uint8)
        height, width, channels = pixels.shape
        self.policy.check_channels(channels)
        (operations,) = self.policy.draw(params, (width, height), channels)
        return nd.array(operate(pixels, operations), ctx=image.context, dtype=np.uint8)

    def unplannable_reason(self) -> str | None:
        """Why the augmenter cannot be part of a plan, as a clause; None: it can.

        Raises
        ------
        ArgumentError : it does not go with color images, which are all that lists of augmenters are
            planned for.
        """
        self.policy.check_channels(COLOR_CHANNELS)
        return super().unplannable_reason()

    def trace(self, tracer: ImageTracer, params: Params) -> None:
        """Add the operations to an `ImageTracer`."""
        size = tracer.width, tracer.height
        (operations,) = self.policy.draw(params, size, COLOR_CHANNELS)
        tracer.operate(operations)


class RandAugment(PolicyAug):
    """RandAugment (Cubuk et al., 2019): a few of 14 operations, drawn with replacement, all of one
    magnitude: identity, shear and translation along x and y, rotation, brightness, color, contrast,
    sharpness, posterize, solarize, autocontrast, equalize.

    Parameters
    ----------
    num_ops : operations for each image
    magnitude : of all operations, 0 to num_magnitude_bins - 1; 9 of 31 shears by 0.09, moves by
        14 % of the width or height, turns by 9 degrees, changes factors by 0.27
    num_magnitude_bins : number of magnitudes
    interpolation : of shear, translation and rotation: "nearest" or "bilinear"
    fill : pixel values of what is outside of the image then, a number, or one for each channel;
        None: 0

    Raises
    ------
    ArgumentError : a value is out of range.

    Examples
    --------
    >>> import gpuio as mx
    >>> image = mx.nd.zeros((32, 32, 3), dtype="uint8")
    >>> mx.image.RandAugment()(image).shape
    (32, 32, 3)
    """

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: str = "nearest",
        fill: Fill = None,
    ) -> None:
        bins = as_int("num_magnitude_bins", num_magnitude_bins, 2, MOST_BINS)
        policy = RandAugmentPolicy(
            as_int("num_ops", num_ops, 0, MOST_OPS),
            as_int("magnitude", magnitude, 0, bins - 1),
            bins,
            _interpolation(interpolation),
            _pixel_values("fill", fill),
        )
        super().__init__(
            policy,
            num_ops=num_ops,
            magnitude=magnitude,
            num_magnitude_bins=num_magnitude_bins,
            interpolation=interpolation,
            fill=fill,
        )


class TrivialAugmentWide(PolicyAug):
    """TrivialAugment (Müller and Hutter, 2021), in its wide space: one operation, of those of
    `RandAugment`, and of a random magnitude from a wider range.

    Parameters
    ----------
    num_magnitude_bins : number of magnitudes
    interpolation, fill : as in `RandAugment`

    Raises
    ------
    ArgumentError : a value is out of range.
    """

    def __init__(
        self, num_magnitude_bins: int = 31, interpolation: str = "nearest", fill: Fill = None
    ) -> None:
        policy = TrivialAugmentPolicy(
            as_int("num_magnitude_bins", num_magnitude_bins, 2, MOST_BINS),
            _interpolation(interpolation),
            _pixel_values("fill", fill),
        )
        super().__init__(
            policy, num_magnitude_bins=num_magnitude_bins, interpolation=interpolation, fill=fill
        )


class ColorJitter(PolicyAug):
    """Change brightness, contrast, saturation and hue, in random order, as torchvision does: each
    step is rounded and clipped to 0 to 255. (MXNet's `ColorJitterAug` neither rounds nor clips.)

    Parameters
    ----------
    brightness, contrast, saturation : range of the factor, (least, most); a number ``a`` means
        ``(max(0, 1 - a), 1 + a)``; None: no change
    hue : range of what is added to the hue, (least, most), within -0.5 to 0.5 turns; a number ``a``
        means ``(-a, a)``; None: no change

    Raises
    ------
    ArgumentError : a range is empty or out of range.
    """

    def __init__(
        self,
        brightness: Amount = None,
        contrast: Amount = None,
        saturation: Amount = None,
        hue: Amount = None,
    ) -> None:
        policy = ColorJitterPolicy(
            _range("brightness", brightness, 1.0, 0.0, MOST_FACTOR),
            _range("contrast", contrast, 1.0, 0.0, MOST_FACTOR),
            _range("saturation", saturation, 1.0, 0.0, MOST_FACTOR),
            _range("hue", hue, 0.0, -MOST_HUE, MOST_HUE),
        )
        super().__init__(
            policy, brightness=brightness, contrast=contrast, saturation=saturation, hue=hue
        )


class RandomErasing(PolicyAug):
    """Random erasing (Zhong et al., 2017): a random rectangle gets one color.

    Parameters
    ----------
    p : probability that an image gets one
    scale : range of the rectangle's area, as a fraction of the image's
    ratio : range of its height divided by its width
    value : its pixel values, 0 to 255, a number, or one for each channel. torchvision's usually
        comes after the normalization; its 0 there is the mean here, as ``value=(124, 116, 104)``

    Raises
    ------
    ArgumentError : a value is out of range.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: Fill = 0,
    ) -> None:
        if not 0 <= as_float("p", p) <= 1:
            raise ArgumentError(f"p is a probability, 0 to 1, not {p}")
        if isinstance(value, str):
            raise ArgumentError(
                f"value must be a pixel value, or one for each channel, not {value!r}; there is no "
                "noise"
            )
        policy = RandomErasingPolicy(
            float(p),
            _bounds("scale", scale, 0.0, 1.0),
            _bounds("ratio", ratio, 1 / MOST_RATIO, MOST_RATIO),
            _pixel_values("value", value),
        )
        super().__init__(policy, p=p, scale=scale, ratio=ratio, value=value)


def _interpolation(name: str) -> int:
    return INTERPOLATIONS[as_choice("interpolation", name, tuple(INTERPOLATIONS))]


def _is_several(value: object) -> TypeGuard[Sequence[float]]:
    """Whether an argument has several numbers, in a sequence or an array."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _pixel_values(name: str, fill: Fill) -> tuple[int, ...]:
    """Pixel values, one or one for each of up to 4 channels; None: 0."""
    if fill is None:
        return (0,)
    values = [as_float(name, each) for each in (fill if _is_several(fill) else [fill])]
    if not 1 <= len(values) <= 4 or not all(0 <= each <= 255 for each in values):
        raise ArgumentError(
            f"{name} must be a pixel value from 0 to 255, or one for each channel, not {fill!r}"
        )
    return tuple(math.floor(each + 0.5) for each in values)


def _range(
    name: str, amount: Amount, center: float, least: float, most: float
) -> tuple[float, float] | None:
    """The range that an argument of `ColorJitter` means; None: no change."""
    if amount is None:
        return None
    if not _is_several(amount):
        distance = as_float(name, amount)
        if distance < 0:
            raise ArgumentError(f"{name} must be at least 0, or a range, not {amount}")
        low = center - distance
        bounds = (max(low, least) if center else low), center + distance
        amount = bounds
    checked = _bounds(name, amount, least, most)
    return None if checked == (center, center) else checked


def _bounds(name: str, pair: Sequence[float], least: float, most: float) -> tuple[float, float]:
    """A range within limits."""
    try:
        low, high = pair
    except (TypeError, ValueError):
        low = high = math.nan
    else:
        low, high = as_float(name, low), as_float(name, high)
    if not least <= low <= high <= most:
        raise ArgumentError(
            f"{name} must be a range (least, most) within {least:g} to {most:g}, not {pair!r}"
        )
    return low, high
