"""CreateAugmenter: the usual augmenters, from a few arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpuio.errors import ArgumentError
from gpuio.image.arrays import host
from gpuio.image.augment_color import (
    CastAug,
    ColorJitterAug,
    ColorNormalizeAug,
    HueJitterAug,
    LightingAug,
    RandomGrayAug,
)
from gpuio.image.augment_geometry import (
    CenterCropAug,
    HorizontalFlipAug,
    RandomCropAug,
    RandomSizedCropAug,
    ResizeAug,
)
from gpuio.image.augmenter import Augmenter
from gpuio.iterators.arguments import as_float, as_image_shape
from gpuio.planning.colors import EIGENVALUES, EIGENVECTORS

# Of ImageNet's images, as pixel values of 0 to 255: what ``mean=True`` and ``std=True`` mean.
IMAGENET_MEAN, IMAGENET_STD = (123.68, 116.28, 103.53), (58.395, 57.12, 57.375)

# Least fraction of the area, and range of the aspect ratio, of CreateAugmenter's rand_resize.
CROP_AREA, CROP_RATIO = 0.08, (3.0 / 4.0, 4.0 / 3.0)

# What mean and std may be: True means ImageNet's; None and False, that step is omitted.
ChannelNumbers: TypeAlias = ArrayLike | bool | None


class AugmenterOptions(TypedDict, total=False):
    """The arguments of `CreateAugmenter`, but for data_shape."""

    resize: int
    rand_crop: bool
    rand_resize: bool
    rand_mirror: bool
    mean: ChannelNumbers
    std: ChannelNumbers
    brightness: float
    contrast: float
    saturation: float
    hue: float
    pca_noise: float
    rand_gray: float
    inter_method: int


def CreateAugmenter(  # noqa: N802  # MXNet's name
    data_shape: Sequence[int],
    resize: int = 0,
    rand_crop: bool = False,
    rand_resize: bool = False,
    rand_mirror: bool = False,
    mean: ChannelNumbers = None,
    std: ChannelNumbers = None,
    brightness: float = 0,
    contrast: float = 0,
    saturation: float = 0,
    hue: float = 0,
    pca_noise: float = 0,
    rand_gray: float = 0,
    inter_method: int = 2,
) -> list[Augmenter]:
    """Create the usual augmenters, in the order in which they are applied.

    Parameters
    ----------
    data_shape : (channels, height, width) of the output
    resize : scale the shorter side to this many pixels first; 0: keep the size
    rand_crop : crop anywhere, not at the center
    rand_resize : crop a random 8 to 100 % of the area, of an aspect ratio of 3/4 to 4/3; requires
        rand_crop
    rand_mirror : flip each image left to right with probability 0.5
    mean, std : for each channel; True: those of ImageNet; None: none
    brightness, contrast, saturation, hue : ranges of the jitters
    pca_noise : standard deviation of `LightingAug`
    rand_gray : probability of `RandomGrayAug`
    inter_method : as in `imresize`; bicubic by default, unlike ImageRecordIter

    Raises
    ------
    ArgumentError : data_shape is not three integers of at least 1, rand_resize without rand_crop,
        or mean or std has not 1 or 3 numbers.

    Examples
    --------
    >>> for augmenter in CreateAugmenter((3, 224, 224), resize=256, mean=True, std=True):
    ...     print(augmenter.dumps())
    ["resizeaug", {"size": 256, "interp": 2}]
    ["centercropaug", {"size": [224, 224], "interp": 2}]
    ["castaug", {"type": "float32"}]
    ["colornormalizeaug", {"mean": [123.68, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}]
    """
    _, height, width = as_image_shape(data_shape)
    size = (width, height)
    auglist: list[Augmenter] = []
    if resize > 0:
        auglist.append(ResizeAug(resize, inter_method))
    if rand_resize:
        if not rand_crop:
            raise ArgumentError("rand_resize crops at random; it requires rand_crop=True")
        auglist.append(RandomSizedCropAug(size, CROP_AREA, CROP_RATIO, inter_method))
    elif rand_crop:
        auglist.append(RandomCropAug(size, inter_method))
    else:
        auglist.append(CenterCropAug(size, inter_method))
    if rand_mirror:
        auglist.append(HorizontalFlipAug(0.5))
    auglist += [CastAug(), *color_augmenters(brightness, contrast, saturation, hue, pca_noise)]
    if rand_gray > 0:
        auglist.append(RandomGrayAug(rand_gray))
    auglist += normalizers(mean, std)
    return auglist


def color_augmenters(
    brightness: float, contrast: float, saturation: float, hue: float, pca_noise: float
) -> list[Augmenter]:
    """Create the color jitters whose range is not 0.

    Raises
    ------
    ArgumentError : one is not a finite number.
    """
    given = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue,
             "pca_noise": pca_noise}  # fmt: skip
    for name, value in given.items():
        as_float(name, value)
    augmenters: list[Augmenter] = []
    if brightness or contrast or saturation:
        augmenters.append(ColorJitterAug(brightness, contrast, saturation))
    if hue:
        augmenters.append(HueJitterAug(hue))
    if pca_noise > 0:
        augmenters.append(LightingAug(pca_noise, np.array(EIGENVALUES), np.array(EIGENVECTORS)))
    return augmenters


def normalizers(mean: ChannelNumbers, std: ChannelNumbers) -> list[Augmenter]:
    """Create the augmenter that normalizes, if mean or std is given."""
    means, stds = channel_numbers("mean", mean), channel_numbers("std", std)
    return [] if means is None and stds is None else [ColorNormalizeAug(means, stds)]


def channel_numbers(name: str, values: ChannelNumbers) -> NDArray[np.float64] | None:
    """Parse ``mean=`` or ``std=``: float64 (1,) or (3,), or None.

    Raises
    ------
    ArgumentError : it has not 1 or 3 numbers.
    """
    if values is True:
        return np.array(IMAGENET_MEAN if name == "mean" else IMAGENET_STD)
    if values is None or values is False:
        return None
    try:
        numbers = np.asarray(host(values), np.float64)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.shape not in ((1,), (3,)):
        raise ArgumentError(f"{name} must be True, or have 1 or 3 numbers, not {values!r}")
    return numbers
