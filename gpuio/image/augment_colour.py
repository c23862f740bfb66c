"""MXNet's augmenters that change colours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from gpuio import nd
from gpuio.context import get_array_module
from gpuio.image.arrays import beside, by_channel, host, picture_of
from gpuio.image.augmenter import COLOUR, Augmenter, RandomOrderAug
from gpuio.image.colour import color_normalize
from gpuio.nd import NDArray
from gpuio.planning.tracer import LUMA
from gpuio.sampling import sample_rng as draws

if TYPE_CHECKING:
    from gpuio.planning.tracer import ImageTracer

# Share of red, green and blue in RandomGrayAug's gray.
GRAY = (0.21, 0.72, 0.07)

# RGB to YIQ and back, rounded as MXNet has them.
TO_YIQ = np.array([(0.299, 0.587, 0.114), (0.596, -0.274, -0.321), (0.211, -0.523, 0.311)])
FROM_YIQ = np.array([(1.0, 0.956, 0.621), (1.0, -0.272, -0.647), (1.0, -1.107, 1.705)])


class BrightnessJitterAug(Augmenter):
    """Multiply the levels by ``1 + U(-brightness, brightness)``.

    Results of this and the other jitters are of a floating type, not rounded, and may lie beyond 0
    to 255; a picture of whole numbers becomes float32 first.

    Parameters
    ----------
    brightness : the range
    """

    stage = COLOUR

    def __init__(self, brightness: float) -> None:
        super().__init__(brightness=brightness)
        self.brightness = brightness

    def __call__(self, src: NDArray) -> NDArray:
        """The picture, brighter or darker."""
        return nd.wrap(_floating(src) * _factor(self.brightness))

    def sketch(self, picture: ImageTracer) -> None:
        """The same to a sketch."""
        picture.scale(_factor(self.brightness))


class ContrastJitterAug(Augmenter):
    """Move the levels away from their mean luma, or towards it, by the factor
    ``1 + U(-contrast, contrast)``.

    Parameters
    ----------
    contrast : the range
    """

    stage = COLOUR

    def __init__(self, contrast: float) -> None:
        super().__init__(contrast=contrast)
        self.contrast = contrast

    def __call__(self, src: NDArray) -> NDArray:
        """The picture with more contrast or less."""
        picture = _floating(src)
        factor = _factor(self.contrast)
        middle = _luma(picture).mean()
        return nd.wrap(picture * factor + middle * (1 - factor))

    def sketch(self, picture: ImageTracer) -> None:
        """The same to a sketch."""
        picture.contrast(_factor(self.contrast))


class SaturationJitterAug(Augmenter):
    """Move the levels away from the pixel's luma, or towards it, by the factor
    ``1 + U(-saturation, saturation)``.

    Parameters
    ----------
    saturation : the range
    """

    stage = COLOUR

    def __init__(self, saturation: float) -> None:
        super().__init__(saturation=saturation)
        self.saturation = saturation

    def __call__(self, src: NDArray) -> NDArray:
        """The picture with stronger colours or weaker."""
        picture = _floating(src)
        factor = _factor(self.saturation)
        return nd.wrap(picture * factor + _luma(picture) * (1 - factor))

    def sketch(self, picture: ImageTracer) -> None:
        """The same to a sketch."""
        picture.saturate(_factor(self.saturation))


class HueJitterAug(Augmenter):
    """Turn the chroma, I and Q of YIQ, by an angle of ``U(-hue, hue)`` half turns.

    Parameters
    ----------
    hue : the range
    """

    stage = COLOUR

    def __init__(self, hue: float) -> None:
        super().__init__(hue=hue)
        self.hue = hue

    def __call__(self, src: NDArray) -> NDArray:
        """The picture in other colours."""
        return _mixed(_floating(src), self._matrix())

    def sketch(self, picture: ImageTracer) -> None:
        """The same to a sketch."""
        picture.mix(self._matrix())

    def _matrix(self) -> Any:
        angle = draws.uniform(-self.hue, self.hue) * math.pi
        cos, sin = math.cos(angle), math.sin(angle)
        turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
        return FROM_YIQ @ turn @ TO_YIQ


class ColorJitterAug(RandomOrderAug):
    """Brightness, contrast and saturation, those that are above 0, in a random order.

    Parameters
    ----------
    brightness, contrast, saturation : the ranges
    """

    def __init__(self, brightness: float, contrast: float, saturation: float) -> None:
        ts: list[Augmenter] = []
        if brightness > 0:
            ts.append(BrightnessJitterAug(brightness))
        if contrast > 0:
            ts.append(ContrastJitterAug(contrast))
        if saturation > 0:
            ts.append(SaturationJitterAug(saturation))
        super().__init__(ts)


class LightingAug(Augmenter):
    """Add noise along the principal components of the colours (Krizhevsky et al., 2012).

    Parameters
    ----------
    alphastd : standard deviation of the three draws, from NumPy's global generator
    eigval : (3,), the components' eigenvalues
    eigvec : (3, 3), their vectors, in columns; rows are red, green and blue
    """

    stage = COLOUR

    def __init__(self, alphastd: float, eigval: Any, eigvec: Any) -> None:
        super().__init__(alphastd=alphastd, eigval=eigval, eigvec=eigvec)
        self.alphastd = alphastd
        self.eigval, self.eigvec = (np.asarray(host(each), float) for each in (eigval, eigvec))

    def __call__(self, src: NDArray) -> NDArray:
        """The picture in another light."""
        picture = _floating(src)
        return nd.wrap(by_channel(get_array_module(picture).add, picture, self._levels()))

    def sketch(self, picture: ImageTracer) -> None:
        """The same to a sketch."""
        picture.shift(self._levels())

    def _levels(self) -> Any:
        return (self.eigvec * draws.normal(self.alphastd, 3)) @ self.eigval


class ColorNormalizeAug(Augmenter):
    """Subtract the mean and divide by the deviation.

    Parameters
    ----------
    mean, std : a number for each channel; None: leave that step out
    """

    stage = COLOUR

    def __init__(self, mean: Any, std: Any) -> None:
        super().__init__(mean=mean, std=std)
        self.mean, self.std = (
            each if each is None else np.asarray(host(each), np.float32) for each in (mean, std)
        )

    def __call__(self, src: NDArray) -> NDArray:
        """The picture normalised; a new array."""
        picture, std = _floating(src), self.std
        if self.mean is None:
            return color_normalize(nd.wrap(picture.copy()), None, std)
        made = by_channel(get_array_module(picture).subtract, picture, self.mean)
        return color_normalize(nd.wrap(made), None, std)

    def sketch(self, picture: ImageTracer) -> None:
        """The same to a sketch."""
        if self.mean is not None:
            picture.shift(-self.mean)
        if self.std is not None:
            picture.scale(1 / self.std)


class RandomGrayAug(Augmenter):
    """Make a picture gray, with some probability: 0.21 R + 0.72 G + 0.07 B in all channels.

    Parameters
    ----------
    p : the probability
    """

    stage = COLOUR

    def __init__(self, p: float) -> None:
        super().__init__(p=p)
        self.p = p

    def __call__(self, src: NDArray) -> NDArray:
        """The picture, or a gray one."""
        if not draws.below(self.p):
            return src
        return _mixed(_floating(src), np.array([GRAY, GRAY, GRAY]))

    def sketch(self, picture: ImageTracer) -> None:
        """The same to a sketch."""
        if draws.below(self.p):
            picture.mix([GRAY, GRAY, GRAY])


class CastAug(Augmenter):
    """Convert to a dtype.

    Parameters
    ----------
    typ : the dtype
    """

    stage = COLOUR

    def __init__(self, typ: DTypeLike = "float32") -> None:
        super().__init__(type=np.dtype(typ).name)
        self.typ = typ

    def __call__(self, src: NDArray) -> NDArray:
        """The picture in that dtype."""
        return nd.wrap(src.astype(self.typ))

    def sketch(self, picture: ImageTracer) -> None:
        """Nothing: what the plan gives is float32."""


def _factor(jitter: float) -> float:
    return 1.0 + draws.uniform(-jitter, jitter)


def _floating(src: Any) -> Any:
    """A picture of a floating type."""
    picture = picture_of(src)
    return picture if picture.dtype.kind == "f" else picture.astype(np.float32)


def _luma(picture: Any) -> Any:
    """(height, width, 1)."""
    return get_array_module(picture).matmul(picture, beside(picture, LUMA))[:, :, None]


def _mixed(picture: Any, matrix: Any) -> NDArray:
    """The channels mixed: row i of the matrix says what output channel i is made of."""
    xp = get_array_module(picture)
    return nd.wrap(xp.matmul(picture, xp.asarray(matrix.T.astype(picture.dtype))))
