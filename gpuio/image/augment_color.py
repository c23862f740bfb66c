"""MXNet's augmenters that change colors.

Their results are floating-point, not rounded, and may lie outside 0 to 255; images of integers
become float32 first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from gpuio import nd
from gpuio.context import get_array_module, on_device
from gpuio.errors import ArgumentError
from gpuio.image.arrays import as_image, as_ndarray, by_channel, host
from gpuio.image.augmenter import Augmenter, RandomOrderAug
from gpuio.image.color import adjust_contrast, adjust_saturation, color_normalize
from gpuio.nd import NDArray
from gpuio.nd.placement import plain
from gpuio.nd.types import Values
from gpuio.planning.augmenters import COLOR, Params, Size
from gpuio.planning.colors import hue_rotation
from gpuio.planning.tracer import ImageTracer
from gpuio.sampling.sample_rng import Rng

# Weights of red, green and blue in RandomGrayAug's gray.
GRAY = (0.21, 0.72, 0.07)


class BrightnessJitterAug(Augmenter):
    """Multiply pixel values by ``1 + U(-brightness, brightness)``.

    Parameters
    ----------
    brightness : the range
    """

    stage = COLOR

    def __init__(self, brightness: float) -> None:
        super().__init__(brightness=brightness)
        self.brightness = brightness

    def draw(self, rng: Rng, size: Size) -> Params:
        """Draw the factor."""
        return 1.0 + rng.uniform(-self.brightness, self.brightness)

    def apply(self, src: NDArray, params: Params) -> NDArray:
        """Scale the pixel values of an image."""
        scaled: NDArray = _floating(src) * params
        return scaled

    def trace(self, tracer: ImageTracer, params: Params) -> None:
        """Scale the pixel values of an `ImageTracer`."""
        tracer.scale(params)


class ContrastJitterAug(Augmenter):
    """Scale the distance of pixel values from their mean luma by ``1 + U(-contrast, contrast)``.

    Parameters
    ----------
    contrast : the range
    """

    stage = COLOR

    def __init__(self, contrast: float) -> None:
        super().__init__(contrast=contrast)
        self.contrast = contrast

    def draw(self, rng: Rng, size: Size) -> Params:
        """Draw the factor."""
        return 1.0 + rng.uniform(-self.contrast, self.contrast)

    def apply(self, src: NDArray, params: Params) -> NDArray:
        """Change the contrast of an image."""
        return _adjusted(src, adjust_contrast, params)

    def trace(self, tracer: ImageTracer, params: Params) -> None:
        """Change the contrast of an `ImageTracer`."""
        tracer.contrast(params)


class SaturationJitterAug(Augmenter):
    """Scale the distance of each pixel from its luma by ``1 + U(-saturation, saturation)``.

    Parameters
    ----------
    saturation : the range
    """

    stage = COLOR

    def __init__(self, saturation: float) -> None:
        super().__init__(saturation=saturation)
        self.saturation = saturation

    def draw(self, rng: Rng, size: Size) -> Params:
        """Draw the factor."""
        return 1.0 + rng.uniform(-self.saturation, self.saturation)

    def apply(self, src: NDArray, params: Params) -> NDArray:
        """Change the saturation of an image."""
        return _adjusted(src, adjust_saturation, params)

    def trace(self, tracer: ImageTracer, params: Params) -> None:
        """Change the saturation of an `ImageTracer`."""
        tracer.saturate(params)


class HueJitterAug(Augmenter):
    """Rotate the chroma, I and Q of YIQ, by ``U(-hue, hue)`` half turns.

    Parameters
    ----------
    hue : the range
    """

    stage = COLOR

    def __init__(self, hue: float) -> None:
        super().__init__(hue=hue)
        self.hue = hue

    def draw(self, rng: Rng, size: Size) -> Params:
        """Draw the angle; as a matrix for RGB."""
        return hue_rotation(rng.uniform(-self.hue, self.hue))

    def apply(self, src: NDArray, params: Params) -> NDArray:
        """Change the hue of an image."""
        return _adjusted(src, _mixed, params)

    def trace(self, tracer: ImageTracer, params: Params) -> None:
        """Change the hue of an `ImageTracer`."""
        tracer.mix_channels(params)


class ColorJitterAug(RandomOrderAug):
    """Jitter brightness, contrast and saturation, those above 0, in random order.

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
    """Add noise along the principal components of the colors (Krizhevsky et al., 2012).

    Parameters
    ----------
    alphastd : standard deviation of the three random numbers; outside of iterators they come from
        NumPy's global generator
    eigval : (3,), eigenvalues of the components
    eigvec : (3, 3), their vectors, in columns; rows are red, green and blue
    """

    stage = COLOR

    def __init__(self, alphastd: float, eigval: ArrayLike, eigvec: ArrayLike) -> None:
        super().__init__(alphastd=alphastd, eigval=eigval, eigvec=eigvec)
        self.alphastd = alphastd
        self.eigval, self.eigvec = (np.asarray(host(each), float) for each in (eigval, eigvec))

    def draw(self, rng: Rng, size: Size) -> Params:
        """Draw what is added to each channel."""
        return (self.eigvec * rng.normal(self.alphastd, 3)) @ self.eigval

    def apply(self, src: NDArray, params: Params) -> NDArray:
        """Shift the channels of an image."""
        image = _floating(src)
        return by_channel(get_array_module(image).add, image, params)

    def trace(self, tracer: ImageTracer, params: Params) -> None:
        """Shift the channels of an `ImageTracer`."""
        tracer.shift(params)


class ColorNormalizeAug(Augmenter):
    """Subtract the mean and divide by the standard deviation.

    Parameters
    ----------
    mean, std : a number for each channel, or one for all; None: omit that step
    """

    stage = COLOR

    def __init__(self, mean: ArrayLike | None, std: ArrayLike | None) -> None:
        super().__init__(mean=mean, std=std)
        self.mean, self.std = (
            each if each is None else np.asarray(host(each), np.float32) for each in (mean, std)
        )

    def unplannable_reason(self) -> str | None:
        """Why the augmenter cannot be part of a plan, as a clause; None: it can.

        Raises
        ------
        ArgumentError : mean or std has not 1 or 3 numbers.
        """
        if (reason := super().unplannable_reason()) is not None:
            return reason
        for numbers in (self.mean, self.std):
            if numbers is not None and numbers.size not in (1, 3):
                raise ArgumentError(f"mean and std have 1 or 3 numbers for RGB, not {numbers.size}")
        if self.std is not None and not self.std.all():
            return "ColorNormalizeAug divides by 0"
        return None

    def normalization(self) -> tuple[list[float], list[float]] | None:
        """Mean and std for each of 3 channels; None: a subclass does something else."""
        if type(self).trace is not ColorNormalizeAug.trace:
            return None
        return _for_channels(self.mean, 0.0), _for_channels(self.std, 1.0)

    def apply(self, src: NDArray, params: Params) -> NDArray:
        """Normalize an image; a new array."""
        image, std = _floating(src), self.std
        if self.mean is None:
            return color_normalize(image.copy(), None, std)
        centered = by_channel(get_array_module(image).subtract, image, self.mean)
        return color_normalize(centered, None, std)

    def trace(self, tracer: ImageTracer, params: Params) -> None:
        """Normalize an `ImageTracer`."""
        if self.mean is not None:
            tracer.shift(-self.mean)
        if self.std is not None:
            tracer.scale(1 / self.std)


class RandomGrayAug(Augmenter):
    """Convert an image to gray, 0.21 R + 0.72 G + 0.07 B in all channels, with a probability.

    Parameters
    ----------
    p : the probability
    """

    stage = COLOR

    def __init__(self, p: float) -> None:
        super().__init__(p=p)
        self.p = p

    def draw(self, rng: Rng, size: Size) -> Params:
        """Draw whether to convert."""
        return rng.random() < self.p

    def apply(self, src: NDArray, params: Params) -> NDArray:
        """The image, or a gray one."""
        return _adjusted(src, _mixed, np.array([GRAY, GRAY, GRAY])) if params else src

    def trace(self, tracer: ImageTracer, params: Params) -> None:
        """Convert an `ImageTracer`."""
        if params:
            tracer.mix_channels([GRAY, GRAY, GRAY])


class CastAug(Augmenter):
    """Convert to a dtype.

    Parameters
    ----------
    typ : the dtype
    """

    stage = COLOR

    def __init__(self, typ: DTypeLike = "float32") -> None:
        super().__init__(type=np.dtype(typ).name)
        self.typ = typ

    def unplannable_reason(self) -> str | None:
        """Why the augmenter cannot be part of a plan, as a clause; None: it can."""
        if np.dtype(self.typ) not in (np.float32, np.float64):
            return f"CastAug to {np.dtype(self.typ)} rounds"
        return super().unplannable_reason()

    def apply(self, src: NDArray, params: Params) -> NDArray:
        """Convert an image."""
        return as_ndarray(src).astype(self.typ)

    def trace(self, tracer: ImageTracer, params: Params) -> None:
        """Do nothing: the result of a plan is float32."""


def _for_channels(numbers: Any, default: float) -> list[float]:
    values = [default] if numbers is None else numbers.reshape(-1)
    return [float(value) for value in np.broadcast_to(values, 3)]


def _floating(src: Values) -> NDArray:
    """An image of a floating-point type."""
    image = as_image(src)
    return image if image.dtype.kind == "f" else image.astype(np.float32)


def _adjusted(src: Values, function: Callable[[Values, Any], Values], params: Params) -> NDArray:
    """An image changed by a function of a plain floating-point array, on its own device."""
    image = _floating(src)
    with on_device(image.context):
        return nd.wrap(function(plain(image), params))


def _mixed(image: Values, matrix: Any) -> Values:
    """Each pixel of an image multiplied by a matrix (3, 3)."""
    xp = get_array_module(image)
    return xp.matmul(image, xp.asarray(matrix.T.astype(image.dtype)))
