"""Transforms that change colors, those of `gpuio.image.operators`.

They take images (height, width, channels) of 1 or 3 channels, and return the same dtype; integers
are clipped and rounded toward 0, as in MXNet. Gray images have neither saturation nor hue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from gpuio.gluon.block import Block, HybridBlock
from gpuio.gluon.data.vision.transforms.compose import as_probability
from gpuio.image import operators
from gpuio.image.arrays import as_image
from gpuio.iterators.arguments import as_amount
from gpuio.nd import NDArray
from gpuio.sampling.sample_rng import current_rng


class _Jitter(HybridBlock):
    """Base class: change an image by a random factor.

    Attributes
    ----------
    _name : the argument's name
    _operator : draws the factor between two numbers, and changes an image by it
    """

    _name: ClassVar[str]
    _operator: ClassVar[Callable[..., Any]]

    def __init__(self, amount: float) -> None:
        super().__init__()
        setattr(self, self._name, as_amount(self._name, amount))

    def forward(self, x: Any) -> NDArray:
        """Change an image; a new array of the same dtype."""
        amount = getattr(self, self._name)
        changed: NDArray = type(self)._operator(as_image(x), max(0.0, 1 - amount), 1 + amount)
        return changed


class RandomBrightness(_Jitter):
    """Multiply an image by a factor, uniform from ``max(0, 1 - brightness)`` to
    ``1 + brightness``.

    Parameters
    ----------
    brightness : the range, at least 0
    """

    _name = "brightness"
    _operator = staticmethod(operators.random_brightness)

    def __init__(self, brightness: float) -> None:
        super().__init__(brightness)


class RandomContrast(_Jitter):
    """Multiply the distance from an image's mean luma by a factor, uniform from ``max(0, 1 -
    contrast)`` to ``1 + contrast``.

    Parameters
    ----------
    contrast : the range, at least 0
    """

    _name = "contrast"
    _operator = staticmethod(operators.random_contrast)

    def __init__(self, contrast: float) -> None:
        super().__init__(contrast)


class RandomSaturation(_Jitter):
    """Multiply the distance of each pixel from its luma by a factor, uniform from ``max(0, 1 -
    saturation)`` to ``1 + saturation``.

    Parameters
    ----------
    saturation : the range, at least 0
    """

    _name = "saturation"
    _operator = staticmethod(operators.random_saturation)

    def __init__(self, saturation: float) -> None:
        super().__init__(saturation)


class RandomHue(_Jitter):
    """Rotate the hue, that of HLS, by full turns: uniform from ``max(0, 1 - hue)`` to ``1 + hue``
    of them.

    Parameters
    ----------
    hue : the range, at least 0
    """

    _name = "hue"
    _operator = staticmethod(operators.random_hue)

    def __init__(self, hue: float) -> None:
        super().__init__(hue)


class RandomColorJitter(HybridBlock):
    """Jitter brightness, contrast, saturation and hue, those above 0, in random order.

    Parameters
    ----------
    brightness, contrast, saturation : ranges, at least 0: factors are uniform from 1 - range to 1 +
        range
    hue : the same, in full turns

    Examples
    --------
    >>> jitter = transforms.RandomColorJitter(brightness=0.4, contrast=0.4, saturation=0.4)
    """

    def __init__(
        self,
        brightness: float = 0,
        contrast: float = 0,
        saturation: float = 0,
        hue: float = 0,
    ) -> None:
        super().__init__()
        self.brightness = as_amount("brightness", brightness)
        self.contrast = as_amount("contrast", contrast)
        self.saturation = as_amount("saturation", saturation)
        self.hue = as_amount("hue", hue)

    def forward(self, x: Any) -> NDArray:
        """Change an image; a new array of the same dtype."""
        changed: NDArray = operators.random_color_jitter(
            as_image(x), self.brightness, self.contrast, self.saturation, self.hue
        )
        return changed


class RandomLighting(HybridBlock):
    """Add noise along the principal components of ImageNet's colors (Krizhevsky et al., 2012).

    Parameters
    ----------
    alpha : standard deviation of the three random numbers
    """

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = as_amount("alpha", alpha)

    def forward(self, x: Any) -> NDArray:
        """Change an image; a new array of the same dtype. A gray one stays as it is."""
        changed: NDArray = operators.random_lighting(as_image(x), self.alpha)
        return changed


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
        image = as_image(x).astype(np.float32)
        factor = 0.0 if current_rng().random() < self.p else 1.0
        changed: NDArray = operators.random_saturation(image, factor, factor)
        return changed
