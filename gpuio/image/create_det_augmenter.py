"""CreateDetAugmenter: the usual detection augmenters, from a few arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from gpuio.errors import ArgumentError
from gpuio.image.augment_color import CastAug, RandomGrayAug
from gpuio.image.augment_geometry import ForceResizeAug, ResizeAug
from gpuio.image.create_augmenter import ChannelNumbers, color_augmenters, normalizers
from gpuio.image.det_augmenter import (
    DetAugmenter,
    DetBorrowAug,
    DetHorizontalFlipAug,
    DetRandomCropAug,
    DetRandomPadAug,
    DetRandomSelectAug,
)
from gpuio.iterators.arguments import as_image_shape


class DetAugmenterOptions(TypedDict, total=False):
    """The arguments of `CreateDetAugmenter`, but for data_shape."""

    resize: int
    rand_crop: float
    rand_pad: float
    rand_gray: float
    rand_mirror: bool
    mean: ChannelNumbers
    std: ChannelNumbers
    brightness: float
    contrast: float
    saturation: float
    pca_noise: float
    hue: float
    inter_method: int
    min_object_covered: float
    aspect_ratio_range: Sequence[float]
    area_range: Sequence[float]
    min_eject_coverage: float
    max_attempts: int
    pad_val: Sequence[float]


def CreateMultiRandCropAugmenter(  # noqa: N802  # MXNet's name
    min_object_covered: float | list[float] = 0.1,
    aspect_ratio_range: Sequence[float] | list[Sequence[float]] = (0.75, 1.33),
    area_range: Sequence[float] | list[Sequence[float]] = (0.05, 1.0),
    min_eject_coverage: float | list[float] = 0.3,
    max_attempts: int | list[int] = 50,
    skip_prob: float = 0,
) -> DetRandomSelectAug:
    """Create several random crops, of which one or none is applied.

    Parameters
    ----------
    min_object_covered, aspect_ratio_range, area_range, min_eject_coverage, max_attempts : as in
        `DetRandomCropAug`; or a list, with a value for each of the crops. A single value counts for
        all
    skip_prob : the probability that nothing is done

    Raises
    ------
    ArgumentError : the lists have different lengths, or a value is out of range.
    """
    given: dict[str, Any] = {
        "min_object_covered": min_object_covered,
        "aspect_ratio_range": aspect_ratio_range,
        "area_range": area_range,
        "min_eject_coverage": min_eject_coverage,
        "max_attempts": max_attempts,
    }
    columns = {name: value if isinstance(value, list) else [value] for name, value in given.items()}
    counts = {len(column) for column in columns.values() if len(column) > 1}
    if len(counts) > 1 or not all(columns.values()):
        lengths = ", ".join(
            f"{len(value)} of {name}" for name, value in given.items() if isinstance(value, list)
        )
        raise ArgumentError(f"the lists must have the same length, at least 1, not {lengths}")
    count = max(counts, default=1)
    crops = []
    for number in range(count):
        options = {name: column[number % len(column)] for name, column in columns.items()}
        crops.append(DetRandomCropAug(**options))
    return DetRandomSelectAug(crops, skip_prob)


def CreateDetAugmenter(  # noqa: N802  # MXNet's name
    data_shape: Sequence[int],
    resize: int = 0,
    rand_crop: float = 0,
    rand_pad: float = 0,
    rand_gray: float = 0,
    rand_mirror: bool = False,
    mean: ChannelNumbers = None,
    std: ChannelNumbers = None,
    brightness: float = 0,
    contrast: float = 0,
    saturation: float = 0,
    pca_noise: float = 0,
    hue: float = 0,
    inter_method: int = 2,
    min_object_covered: float = 0.1,
    aspect_ratio_range: Sequence[float] = (0.75, 1.33),
    area_range: Sequence[float] = (0.05, 3.0),
    min_eject_coverage: float = 0.3,
    max_attempts: int = 50,
    pad_val: Sequence[float] = (127, 127, 127),
) -> list[DetAugmenter]:
    """Create the usual detection augmenters, in the order in which they are applied.

    Parameters
    ----------
    data_shape : (channels, height, width) of the output, to which the image is resized whatever its
        aspect ratio
    resize : scale the shorter side to this many pixels first; 0: keep the size
    rand_crop, rand_pad, rand_gray : probabilities of a random crop, of padding, of a gray image
    rand_mirror : flip each image left to right with probability 0.5
    mean, std : for each channel; True: those of ImageNet; None: none
    brightness, contrast, saturation, pca_noise, hue : as in `CreateAugmenter`
    inter_method : as in `imresize`
    min_object_covered, min_eject_coverage, max_attempts : as in `DetRandomCropAug`
    aspect_ratio_range : of crops and padded images
    area_range : its least is for crops, its most for padded images
    pad_val : pixel value of the padding, for each channel

    Raises
    ------
    ArgumentError : a value is out of range.
    """
    _, height, width = as_image_shape(data_shape)
    auglist: list[DetAugmenter] = []
    if resize > 0:
        auglist.append(DetBorrowAug(ResizeAug(resize, inter_method)))
    if rand_crop > 0:
        crop = CreateMultiRandCropAugmenter(
            min_object_covered, tuple(aspect_ratio_range), tuple(area_range), min_eject_coverage,
            max_attempts, skip_prob=1 - rand_crop,
        )  # fmt: skip
        auglist.append(crop)
    if rand_mirror:
        auglist.append(DetHorizontalFlipAug(0.5))
    if rand_pad > 0:
        pad = DetRandomPadAug(aspect_ratio_range, (1.0, area_range[1]), max_attempts, pad_val)
        auglist.append(DetRandomSelectAug([pad], 1 - rand_pad))
    auglist += [
        DetBorrowAug(ForceResizeAug((width, height), inter_method)),
        DetBorrowAug(CastAug()),
    ]
    auglist += map(DetBorrowAug, color_augmenters(brightness, contrast, saturation, hue, pca_noise))
    if rand_gray > 0:
        auglist.append(DetBorrowAug(RandomGrayAug(rand_gray)))
    auglist += map(DetBorrowAug, normalizers(mean, std))
    return auglist
