"""Transforms that change colors.

They take images (height, width, channels) of 1 or 3 channels, and return the same dtype; integers
are clipped and rounded toward 0, as in MXNet. Where MXNet's arithmetic is that of `gpuio.image`'s
augmenters, these are applied.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from gpuio import nd
from gpuio.context import get_array_module, on_device
from gpuio.errors import ArgumentError
from gpuio.gluon.block import Block, HybridBlock
from gpuio.gluon.data.vision.transforms.compose import as_probability
from gpuio.image.arrays import as_image
from gpuio.image.augment_color import (
    BrightnessJitterAug,
    ContrastJitterAug,
    LightingAug,
    SaturationJitterAug,
)
from gpuio.iterators.arguments import as_float
from gpuio.nd import NDArray
from gpuio.planning.colors import EIGENVALUES, EIGENVECTORS
from gpuio.sampling.sample_rng import Rng, current_rng

_BRIGHTNESS, _CONTRAST = BrightnessJitterAug(0), ContrastJitterAug(0)
_SATURATION = SaturationJitterAug(0)


class _Jitter(HybridBlock):
    """Base class: draw a factor, and change an image by it."""

    _name: ClassVar[str]

    def __init__(self, amount: float) -> None:
        super().__init__()
        setattr(self, self._name, _as_amount(self._name, amount))

    def forward(self, x: Any) -> NDArray:
        """Change an image; a new array of the same dtype."""
        amount = getattr(self, self._name)
        factor = current_rng().uniform(max(0.0, 1 - amount), 1 + amount)
        return self.change(_as_colors(x), factor)

    @staticmethod
    def change(image: NDArray, factor: float) -> NDArray:
        """Change an image by a factor; 1 leaves it as it is."""
        raise NotImplementedError


class RandomBrightness(_Jitter):
    """Multiply an image by a factor, uniform from ``max(0, 1 - brightness)`` to
    ``1 + brightness``.

    Parameters
    ----------
    brightness : the range, at least 0
    """

    _name = "brightness"

    def __init__(self, brightness: float) -> None:
        super().__init__(brightness)

    @staticmethod
    def change(image: NDArray, factor: float) -> NDArray:
        """Multiply by the factor."""
        return _as_dtype_of(image, _BRIGHTNESS.apply(image, factor))


class RandomContrast(_Jitter):
    """Multiply the distance from an image's mean luma by a factor, uniform from ``max(0, 1 -
    contrast)`` to ``1 + contrast``.

    Parameters
    ----------
    contrast : the range, at least 0
    """

    _name = "contrast"

    def __init__(self, contrast: float) -> None:
        super().__init__(contrast)

    @staticmethod
    def change(image: NDArray, factor: float) -> NDArray:
        """Multiply the distance by the factor."""
        if image.shape[2] == 1:
            gray = image.astype(np.float32)
            return _as_dtype_of(image, gray * factor + gray.mean() * (1 - factor))
        return _as_dtype_of(image, _CONTRAST.apply(image, factor))


class RandomSaturation(_Jitter):
    """Multiply the distance of each pixel from its luma by a factor, uniform from ``max(0, 1 -
    saturation)`` to ``1 + saturation``.

    MXNet takes 0.114 of blue for the luma, by mistake, which changes the brightness instead.

    Parameters
    ----------
    saturation : the range, at least 0
    """

    _name = "saturation"

    def __init__(self, saturation: float) -> None:
        super().__init__(saturation)

    @staticmethod
    def change(image: NDArray, factor: float) -> NDArray:
        """Multiply the distances by the factor."""
        if image.shape[2] == 1:
            return nd.wrap(image.copy())
        return _as_dtype_of(image, _SATURATION.apply(image, factor))


class RandomHue(_Jitter):
    """Rotate the hue, that of HLS, by full turns: uniform from ``max(0, 1 - hue)`` to ``1 + hue``
    of them.

    Parameters
    ----------
    hue : the range, at least 0
    """

    _name = "hue"

    def __init__(self, hue: float) -> None:
        super().__init__(hue)

    @staticmethod
    def change(image: NDArray, factor: float) -> NDArray:
        """Rotate the hue by `factor` full turns."""
        if image.shape[2] == 1:
            return nd.wrap(image.copy())
        return _as_dtype_of(image, _turn_hue(image, factor))


class RandomColorJitter(HybridBlock):
    """Jitter brightness, contrast, saturation and hue, those above 0, in random order.

    Parameters
    ----------
    brightness, contrast, saturation : ranges, at least 0: factors are uniform from 1 - range to 1 +
        range
    hue : the same, in full turns

    Examples
    --------
    >>> transforms.RandomColorJitter(brightness=0.4, contrast=0.4, saturation=0.4)
    """

    def __init__(
        self,
        brightness: float = 0,
        contrast: float = 0,
        saturation: float = 0,
        hue: float = 0,
    ) -> None:
        super().__init__()
        self.brightness = _as_amount("brightness", brightness)
        self.contrast = _as_amount("contrast", contrast)
        self.saturation = _as_amount("saturation", saturation)
        self.hue = _as_amount("hue", hue)

    def forward(self, x: Any) -> NDArray:
        """Change an image; a new array of the same dtype."""
        rng, image = current_rng(), nd.wrap(_as_colors(x).copy())
        for kind in rng.shuffled([RandomBrightness, RandomContrast, RandomSaturation, RandomHue]):
            amount = getattr(self, kind._name)
            if amount > 0:
                image = kind.change(image, 1 + rng.uniform(-amount, amount))
        return image


class RandomLighting(HybridBlock):
    """Add noise along the principal components of ImageNet's colors (Krizhevsky et al., 2012).

    Parameters
    ----------
    alpha : standard deviation of the three random numbers
    """

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = _as_amount("alpha", alpha)
        self._shift = LightingAug(self.alpha, EIGENVALUES, EIGENVECTORS)

    def forward(self, x: Any) -> NDArray:
        """Change an image; a new array of the same dtype. A gray one stays as it is."""
        image, rng = _as_colors(x), current_rng()
        if image.shape[2] == 1:
            return nd.wrap(image.copy())
        return _as_dtype_of(image, self._shift.apply(image, self._draw(rng, image)))

    def _draw(self, rng: Rng, image: NDArray) -> Any:
        return self._shift.draw(rng, (image.shape[1], image.shape[0]))


class RandomGray(Block):
    """Replace all channels of an image by its luma, with a probability (MXNet 2.0).

    Parameters
    ----------
    p : the probability
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = as_probability("p", p)

    def forward(self, x: Any) -> NDArray:
        """Change an image; a new array, float32."""
        image = nd.wrap(_as_colors(x).astype(np.float32))
        if image.shape[2] == 3 and current_rng().random() < self.p:
            return RandomSaturation.change(image, 0)
        return image


def _as_amount(name: str, value: Any) -> float:
    if as_float(name, value) < 0:
        raise ArgumentError(f"{name} must be at least 0, not {value!r}")
    return float(value)


def _as_colors(x: Any) -> NDArray:
    image = as_image(x)
    if image.shape[2] not in (1, 3):
        raise ArgumentError(
            f"expected an image (height, width, channels) of 1 or 3 channels, not {image.shape}; "
            "use this transform before ToTensor"
        )
    return image


def _as_dtype_of(image: NDArray, changed: NDArray) -> NDArray:
    """The changed image in the dtype of the one before."""
    with on_device(image.context):
        if image.dtype.kind in "ui":
            limits = np.iinfo(image.dtype)
            changed = changed.clip(limits.min, limits.max)
        return nd.wrap(changed.astype(image.dtype, copy=False))


def _turn_hue(image: NDArray, turns: float) -> NDArray:
    """Rotate the hue of HLS (Joblove and Greenberg, Color spaces for computer graphics, 1978)."""
    xp = get_array_module(image)
    with on_device(image.context):
        red, green, blue = planes = xp.ascontiguousarray(image.transpose(2, 0, 1), np.float32)
        high, low = planes.max(0), planes.min(0)
        chroma = high - low
        divisor = xp.where(chroma > 0, chroma, 1)
        hue = xp.where(  # in sixths of a turn
            high == red,
            (green - blue) / divisor,
            xp.where(high == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
        )
        hue += np.float32(turns % 1 * 6)
        hue -= 6 * xp.floor(hue / 6)
        # Each channel is high over a third of the circle, and low opposite of it.
        shares = abs(hue - 3) - 1, 2 - abs(hue - 2), 2 - abs(hue - 4)
        turned = xp.stack([low + chroma * share.clip(0, 1) for share in shares], axis=-1)
        return nd.wrap(turned)
