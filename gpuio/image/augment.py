"""MXNet's augmenters: callables that take a picture and give one."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from gpuio import nd
from gpuio.errors import ArgumentError
from gpuio.image import draws
from gpuio.image.arrays import beside, by_channel, host, library, picture_of
from gpuio.image.colour import color_normalize
from gpuio.image.geometry import (
    Size,
    center_crop,
    imresize,
    random_crop,
    random_size_crop,
    resize_short,
)
from gpuio.nd import NDArray

# Of ImageNet's pictures, in levels of 0 to 255: what ``mean=True`` and ``std=True`` stand for.
IMAGENET_MEAN, IMAGENET_STD = (123.68, 116.28, 103.53), (58.395, 57.12, 57.375)

# Eigenvalues and eigenvectors of the covariance of ImageNet's RGB (Krizhevsky et al., ImageNet
# classification with deep convolutional neural networks, 2012, section 4.1), as MXNet has them.
EIGENVALUES = (55.46, 4.794, 1.148)
EIGENVECTORS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)

# Shares of red, green and blue in the luma of ITU-R BT.601, and in RandomGrayAug's gray.
LUMA, GRAY = (0.299, 0.587, 0.114), (0.21, 0.72, 0.07)

# RGB to YIQ and back, rounded as MXNet has them.
TO_YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.321), (0.211, -0.523, 0.311))
FROM_YIQ = ((1.0, 0.956, 0.621), (1.0, -0.272, -0.647), (1.0, -1.107, 1.705))

# The share of the area, and the aspect, that CreateAugmenter's rand_resize cuts out.
CROP_AREA, CROP_RATIO = 0.08, (3.0 / 4.0, 4.0 / 3.0)


class Augmenter:
    """Base of the augmenters: `__call__` takes a picture and gives one.

    Subclass it for one of your own, and mix it with the others. Named arguments given to
    ``super().__init__`` are what `dumps` writes down.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._kwargs = {name: plain(value) for name, value in kwargs.items()}

    def dumps(self) -> str:
        """The augmenter as JSON: its class's name in lower case, and its arguments."""
        return json.dumps([type(self).__name__.lower(), self._kwargs])

    def __call__(self, src: NDArray) -> NDArray:
        """The picture that becomes of `src`, (height, width, channels).

        Raises
        ------
        NotImplementedError : in this base.
        """
        raise NotImplementedError(f"{type(self).__name__} has no __call__")


class SequentialAug(Augmenter):
    """Several augmenters, one after another.

    Parameters
    ----------
    ts : the augmenters
    """

    def __init__(self, ts: Sequence[Augmenter]) -> None:
        super().__init__()
        self.ts = list(ts)

    def dumps(self) -> list[Any]:  # type: ignore[override]  # as in MXNet
        """The class's name and what each augmenter gives."""
        return [type(self).__name__.lower(), [each.dumps() for each in self.ts]]

    def __call__(self, src: NDArray) -> NDArray:
        """Apply all, in their order."""
        for each in self.ts:
            src = each(src)
        return src


class RandomOrderAug(SequentialAug):
    """Several augmenters, in an order drawn anew for each picture.

    Parameters
    ----------
    ts : the augmenters
    """

    def __call__(self, src: NDArray) -> NDArray:
        """Apply all, in a random order."""
        for each in draws.shuffled(self.ts):
            src = each(src)
        return src


class ResizeAug(Augmenter):
    """Scale the shorter side to `size` pixels, as `resize_short` does.

    Parameters
    ----------
    size : in pixels
    interp : as `imresize` has it
    """

    def __init__(self, size: int, interp: int = 2) -> None:
        super().__init__(size=size, interp=interp)
        self.size, self.interp = size, interp

    def __call__(self, src: NDArray) -> NDArray:
        """The picture scaled."""
        return resize_short(src, self.size, self.interp)


class ForceResizeAug(Augmenter):
    """Resize to exactly `size`, whatever the aspect.

    Parameters
    ----------
    size : (width, height)
    interp : as `imresize` has it
    """

    def __init__(self, size: Size, interp: int = 2) -> None:
        super().__init__(size=size, interp=interp)
        self.size, self.interp = size, interp

    def __call__(self, src: NDArray) -> NDArray:
        """The picture resized."""
        return imresize(src, self.size[0], self.size[1], self.interp)


class RandomCropAug(Augmenter):
    """Cut a rectangle out anywhere, as `random_crop` does.

    Parameters
    ----------
    size : (width, height)
    interp : as `imresize` has it
    """

    def __init__(self, size: Size, interp: int = 2) -> None:
        super().__init__(size=size, interp=interp)
        self.size, self.interp = size, interp

    def __call__(self, src: NDArray) -> NDArray:
        """The crop."""
        return random_crop(src, self.size, self.interp)[0]


class CenterCropAug(Augmenter):
    """Cut a rectangle out of the centre, as `center_crop` does.

    Parameters
    ----------
    size : (width, height)
    interp : as `imresize` has it
    """

    def __init__(self, size: Size, interp: int = 2) -> None:
        super().__init__(size=size, interp=interp)
        self.size, self.interp = size, interp

    def __call__(self, src: NDArray) -> NDArray:
        """The crop."""
        return center_crop(src, self.size, self.interp)[0]


class RandomSizedCropAug(Augmenter):
    """Cut out a random share in a random shape, as `random_size_crop` does.

    Parameters
    ----------
    size : (width, height)
    area : least share of the picture's area, or (least, most)
    ratio : least and most of width / height
    interp : as `imresize` has it
    """

    def __init__(
        self,
        size: Size,
        area: float | Sequence[float],
        ratio: Sequence[float],
        interp: int = 2,
        **kwargs: Any,
    ) -> None:
        if "min_area" in kwargs:  # MXNet's old name
            area = kwargs.pop("min_area")
        if kwargs:
            raise TypeError(f"RandomSizedCropAug has no argument {next(iter(kwargs))!r}")
        super().__init__(size=size, area=area, ratio=ratio, interp=interp)
        self.size, self.area, self.ratio, self.interp = size, area, ratio, interp

    def __call__(self, src: NDArray) -> NDArray:
        """The crop."""
        return random_size_crop(src, self.size, self.area, self.ratio, self.interp)[0]


class BrightnessJitterAug(Augmenter):
    """Multiply the levels by ``1 + U(-brightness, brightness)``.

    Results of this and the other jitters are of a floating type, not rounded, and may lie beyond 0
    to 255; a picture of whole numbers becomes float32 first.

    Parameters
    ----------
    brightness : the range
    """

    def __init__(self, brightness: float) -> None:
        super().__init__(brightness=brightness)
        self.brightness = brightness

    def __call__(self, src: NDArray) -> NDArray:
        """The picture, brighter or darker."""
        return nd.wrap(_floating(src) * _factor(self.brightness))


class ContrastJitterAug(Augmenter):
    """Move the levels away from their mean luma, or towards it, by the factor
    ``1 + U(-contrast, contrast)``.

    Parameters
    ----------
    contrast : the range
    """

    def __init__(self, contrast: float) -> None:
        super().__init__(contrast=contrast)
        self.contrast = contrast

    def __call__(self, src: NDArray) -> NDArray:
        """The picture with more contrast or less."""
        picture = _floating(src)
        factor = _factor(self.contrast)
        middle = _luma(picture).mean()
        return nd.wrap(picture * factor + middle * (1 - factor))


class SaturationJitterAug(Augmenter):
    """Move the levels away from the pixel's luma, or towards it, by the factor
    ``1 + U(-saturation, saturation)``.

    Parameters
    ----------
    saturation : the range
    """

    def __init__(self, saturation: float) -> None:
        super().__init__(saturation=saturation)
        self.saturation = saturation

    def __call__(self, src: NDArray) -> NDArray:
        """The picture with stronger colours or weaker."""
        picture = _floating(src)
        factor = _factor(self.saturation)
        return nd.wrap(picture * factor + _luma(picture) * (1 - factor))


class HueJitterAug(Augmenter):
    """Turn the chroma, I and Q of YIQ, by an angle of ``U(-hue, hue)`` half turns.

    Parameters
    ----------
    hue : the range
    """

    def __init__(self, hue: float) -> None:
        super().__init__(hue=hue)
        self.hue = hue

    def __call__(self, src: NDArray) -> NDArray:
        """The picture in other colours."""
        picture = _floating(src)
        angle = draws.uniform(-self.hue, self.hue) * math.pi
        cos, sin = math.cos(angle), math.sin(angle)
        turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
        return _mixed(picture, np.array(FROM_YIQ) @ turn @ np.array(TO_YIQ))


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

    def __init__(self, alphastd: float, eigval: Any, eigvec: Any) -> None:
        super().__init__(alphastd=alphastd, eigval=eigval, eigvec=eigvec)
        self.alphastd = alphastd
        self.eigval, self.eigvec = (np.asarray(host(each), float) for each in (eigval, eigvec))

    def __call__(self, src: NDArray) -> NDArray:
        """The picture in another light."""
        picture = _floating(src)
        alpha = draws.normal(self.alphastd, 3)
        noise = (self.eigvec * alpha) @ self.eigval
        return nd.wrap(by_channel(library(picture).add, picture, noise))


class ColorNormalizeAug(Augmenter):
    """Subtract the mean and divide by the deviation.

    Parameters
    ----------
    mean, std : a number for each channel; None: leave that step out
    """

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
        made = by_channel(library(picture).subtract, picture, self.mean)
        return color_normalize(nd.wrap(made), None, std)


class RandomGrayAug(Augmenter):
    """Make a picture gray, with some probability: 0.21 R + 0.72 G + 0.07 B in all channels.

    Parameters
    ----------
    p : the probability
    """

    def __init__(self, p: float) -> None:
        super().__init__(p=p)
        self.p = p

    def __call__(self, src: NDArray) -> NDArray:
        """The picture, or a gray one."""
        if not draws.below(self.p):
            return src
        return _mixed(_floating(src), np.array([GRAY, GRAY, GRAY]))


class HorizontalFlipAug(Augmenter):
    """Flip a picture left to right, with some probability.

    Parameters
    ----------
    p : the probability
    """

    def __init__(self, p: float) -> None:
        super().__init__(p=p)
        self.p = p

    def __call__(self, src: NDArray) -> NDArray:
        """The picture, or its mirror image, a view."""
        return nd.wrap(src[:, ::-1]) if draws.below(self.p) else src


class CastAug(Augmenter):
    """Convert to a dtype.

    Parameters
    ----------
    typ : the dtype
    """

    def __init__(self, typ: DTypeLike = "float32") -> None:
        super().__init__(type=np.dtype(typ).name)
        self.typ = typ

    def __call__(self, src: NDArray) -> NDArray:
        """The picture in that dtype."""
        return nd.wrap(src.astype(self.typ))


def CreateAugmenter(  # noqa: N802  # MXNet's name
    data_shape: Sequence[int],
    resize: int = 0,
    rand_crop: bool = False,
    rand_resize: bool = False,
    rand_mirror: bool = False,
    mean: Any = None,
    std: Any = None,
    brightness: float = 0,
    contrast: float = 0,
    saturation: float = 0,
    hue: float = 0,
    pca_noise: float = 0,
    rand_gray: float = 0,
    inter_method: int = 2,
) -> list[Augmenter]:
    """The usual augmenters, in the order of these arguments' effects.

    Parameters
    ----------
    data_shape : (channels, height, width) of the output
    resize : scale the shorter side to so many pixels first; 0: leave the size
    rand_crop : cut anywhere, not in the centre
    rand_resize : cut a random 8 to 100 % of the area, of an aspect of 3/4 to 4/3; needs rand_crop
    rand_mirror : flip every second picture, at random
    mean, std : for each channel; True: those of ImageNet; None: none
    brightness, contrast, saturation, hue : ranges of the jitters
    pca_noise : standard deviation of `LightingAug`
    rand_gray : probability of `RandomGrayAug`
    inter_method : as `imresize` has it; bicubic by default, other than ImageRecordIter

    Raises
    ------
    ArgumentError : rand_resize without rand_crop, or mean or std has not 1 or 3 numbers.

    Examples
    --------
    >>> for augmenter in CreateAugmenter((3, 224, 224), resize=256, mean=True, std=True):
    ...     print(augmenter.dumps())
    ["resizeaug", {"size": 256, "interp": 2}]
    ["centercropaug", {"size": [224, 224], "interp": 2}]
    ["castaug", {"type": "float32"}]
    ["colornormalizeaug", {"mean": [123.68, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}]
    """
    auglist: list[Augmenter] = []
    if resize > 0:
        auglist.append(ResizeAug(resize, inter_method))
    size = (data_shape[2], data_shape[1])
    if rand_resize:
        if not rand_crop:
            raise ArgumentError("rand_resize cuts at random; it needs rand_crop=True")
        auglist.append(RandomSizedCropAug(size, CROP_AREA, CROP_RATIO, inter_method))
    elif rand_crop:
        auglist.append(RandomCropAug(size, inter_method))
    else:
        auglist.append(CenterCropAug(size, inter_method))
    if rand_mirror:
        auglist.append(HorizontalFlipAug(0.5))
    auglist += [CastAug(), *colour_augmenters(brightness, contrast, saturation, hue, pca_noise)]
    if rand_gray > 0:
        auglist.append(RandomGrayAug(rand_gray))
    mean, std = channel_numbers("mean", mean), channel_numbers("std", std)
    if mean is not None or std is not None:
        auglist.append(ColorNormalizeAug(mean, std))
    return auglist


def colour_augmenters(
    brightness: float, contrast: float, saturation: float, hue: float, pca_noise: float
) -> list[Augmenter]:
    """Those of the colour augmenters that are asked for."""
    made: list[Augmenter] = []
    if brightness or contrast or saturation:
        made.append(ColorJitterAug(brightness, contrast, saturation))
    if hue:
        made.append(HueJitterAug(hue))
    if pca_noise > 0:
        made.append(LightingAug(pca_noise, np.array(EIGENVALUES), np.array(EIGENVECTORS)))
    return made


def channel_numbers(name: str, values: Any) -> Any:
    """What ``mean=`` or ``std=`` stands for: a number for each channel, or None.

    Raises
    ------
    ArgumentError : it has not 1 or 3 numbers.
    """
    if values is True:
        return np.array(IMAGENET_MEAN if name == "mean" else IMAGENET_STD)
    if values is None or values is False:
        return None
    numbers = np.asarray(host(values), float)
    if numbers.shape not in ((1,), (3,)):
        raise ArgumentError(f"{name} must be True, or have 1 or 3 numbers, not {values!r}")
    return numbers


def _factor(jitter: float) -> float:
    return 1.0 + draws.uniform(-jitter, jitter)


def _floating(src: Any) -> Any:
    """A picture of a floating type."""
    picture = picture_of(src)
    return picture if picture.dtype.kind == "f" else picture.astype(np.float32)


def _luma(picture: Any) -> Any:
    """(height, width, 1)."""
    return library(picture).matmul(picture, beside(picture, LUMA))[:, :, None]


def _mixed(picture: Any, matrix: Any) -> NDArray:
    """The channels mixed: row i of the matrix says what output channel i is made of."""
    xp = library(picture)
    return nd.wrap(xp.matmul(picture, xp.asarray(matrix.T.astype(picture.dtype))))


def plain(value: Any) -> Any:
    """An argument as JSON has it."""
    if isinstance(value, (np.ndarray, NDArray)):
        return host(value).tolist()
    return list(value) if isinstance(value, tuple) else value
