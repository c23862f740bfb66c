"""Transforms that move pixels: `gpuio.image`'s functions as objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpuio import nd
from gpuio.context import on_device
from gpuio.errors import ArgumentError
from gpuio.gluon.block import Block, HybridBlock
from gpuio.gluon.data.vision.transforms.compose import as_probability
from gpuio.image import operators
from gpuio.image.arrays import as_image, as_ndarray, as_size
from gpuio.image.geometry import (
    center_crop,
    copyMakeBorder,
    fixed_crop,
    imresize,
    random_crop,
    random_size_crop,
)
from gpuio.image.rotate import imrotate, random_rotate
from gpuio.iterators.arguments import as_int
from gpuio.nd import NDArray
from gpuio.sampling.sample_rng import current_rng

SizeOption = int | Sequence[int]  # one side, or (width, height)


class Resize(HybridBlock):
    """Resize an image (height, width, channels), or several (N, height, width, channels).

    Parameters
    ----------
    size : (width, height), or one number for both, in pixels
    keep_ratio : with one number: it is the shorter side, and the longer is in proportion
    interpolation : as in `gpuio.image.imresize`

    Raises
    ------
    ArgumentError : the size is not one or two integers of at least 1. For an image: as in
        `imresize`.

    Examples
    --------
    >>> transforms.Resize(256, keep_ratio=True)
    Resize(size=256, keep_ratio=True, interpolation=1)
    """

    def __init__(self, size: SizeOption, keep_ratio: bool = False, interpolation: int = 1) -> None:
        super().__init__()
        self.size, self.keep_ratio, self.interpolation = size, keep_ratio, interpolation

    def forward(self, x: Any) -> NDArray:
        """Resize an image."""
        images = as_ndarray(x)
        resized: NDArray = operators.resize(images, self.size, self.keep_ratio, self.interpolation)
        return resized


class CenterCrop(Block):
    """Crop an image (height, width, channels) at the center, as `gpuio.image.center_crop` does: one
    that is too small is enlarged.

    Parameters
    ----------
    size : (width, height), or one number for both, in pixels
    interpolation : as in `gpuio.image.imresize`
    """

    def __init__(self, size: SizeOption, interpolation: int = 1) -> None:
        super().__init__()
        self.size, self.interpolation = as_size(size), interpolation

    def forward(self, x: Any) -> NDArray:
        """Crop an image."""
        return center_crop(x, self.size, self.interpolation)[0]


class CropResize(HybridBlock):
    """Crop a rectangle of an image (height, width, channels), or of several (N, height, width,
    channels), and resize it.

    Parameters
    ----------
    x, y, width, height : the rectangle, in pixels; it must lie inside the image
    size : of the output: (width, height), or one number for both; None: as cropped
    interpolation : as in `gpuio.image.imresize`; None: bilinear

    Raises
    ------
    ArgumentError : for an image: the rectangle is empty or not inside it.
    """

    def __init__(
        self,
        x: int,
        y: int,
        width: int,
        height: int,
        size: SizeOption | None = None,
        interpolation: int | None = None,
    ) -> None:
        super().__init__()
        self.x, self.y, self.width, self.height = x, y, width, height
        self.size = size
        self.interpolation = 1 if interpolation is None else interpolation

    def forward(self, x: Any) -> NDArray:
        """Crop an image; a new array."""
        return _each(self._crop, x)

    def _crop(self, image: NDArray) -> NDArray:
        rectangle = self.x, self.y, self.width, self.height
        if self.x + self.width > image.shape[1] or self.y + self.height > image.shape[0]:
            raise ArgumentError(
                f"a crop of {self.width} x {self.height} pixels at ({self.x}, {self.y}) is not "
                f"inside an image of {image.shape[1]} x {image.shape[0]}"
            )
        if self.size is None:
            return nd.wrap(fixed_crop(image, *rectangle).copy())
        return imresize(fixed_crop(image, *rectangle), *as_size(self.size), self.interpolation)


class RandomCrop(HybridBlock):
    """Crop an image (height, width, channels) at a random place, after padding it (MXNet 2.0).

    Parameters
    ----------
    size : (width, height), or one number for both, in pixels; an image that is too small is
        enlarged
    pad : pixels to add on all sides; or (top, bottom, left, right); None: none
    pad_value : their value
    interpolation : as in `gpuio.image.imresize`

    Examples
    --------
    >>> crop = transforms.RandomCrop(32, pad=4)  # the usual augmentation of CIFAR
    """

    def __init__(
        self,
        size: SizeOption,
        pad: int | Sequence[int] | None = None,
        pad_value: float = 0,
        interpolation: int = 1,
    ) -> None:
        super().__init__()
        self.size, self.interpolation = as_size(size), interpolation
        sides = [pad or 0] * 4 if pad is None or np.ndim(pad) == 0 else list(pad)  # type: ignore[arg-type]
        if len(sides) != 4:
            raise ArgumentError(f"pad must be pixels, or (top, bottom, left, right), not {pad!r}")
        self.pad = tuple(as_int("pad", side, 0) for side in sides)
        self.pad_value = pad_value

    def forward(self, x: Any) -> NDArray:
        """Crop an image."""
        image = as_image(x)
        top, bottom, left, right = self.pad
        if any(self.pad):
            image = copyMakeBorder(image, top, bottom, left, right, 0, self.pad_value)
        return random_crop(image, self.size, self.interpolation)[0]


class RandomResizedCrop(Block):
    """Crop a random area of a random aspect ratio of an image (height, width, channels), and scale
    it to the output, as `gpuio.image.random_size_crop` does.

    Parameters
    ----------
    size : (width, height), or one number for both, in pixels
    scale : least and most of the image's area, as fractions; or the least alone, with 1 as the most
    ratio : least and most of width / height
    interpolation : as in `gpuio.image.imresize`
    """

    def __init__(
        self,
        size: SizeOption,
        scale: float | Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: int = 1,
    ) -> None:
        super().__init__()
        self.size, self.scale, self.ratio = as_size(size), scale, ratio
        self.interpolation = interpolation

    def forward(self, x: Any) -> NDArray:
        """Crop an image."""
        return random_size_crop(x, self.size, self.scale, self.ratio, self.interpolation)[0]


class RandomFlipLeftRight(HybridBlock):
    """Flip an image (height, width, channels) left to right with probability 0.5."""

    def forward(self, x: Any) -> NDArray:
        """A new array, flipped or not."""
        flipped: NDArray = operators.random_flip_left_right(as_image(x))
        return flipped


class RandomFlipTopBottom(HybridBlock):
    """Flip an image (height, width, channels) upside down with probability 0.5."""

    def forward(self, x: Any) -> NDArray:
        """A new array, flipped or not."""
        flipped: NDArray = operators.random_flip_top_bottom(as_image(x))
        return flipped


class Rotate(Block):
    """Rotate an image about its center, as `gpuio.image.imrotate` does.

    It takes float32 (channels, height, width), or (N, channels, height, width): use it after
    ToTensor.

    Parameters
    ----------
    rotation_degrees : the angle; positive ones rotate counter-clockwise
    zoom_in : enlarge the image so that no corner is empty
    zoom_out : shrink it so that nothing is cropped

    Raises
    ------
    TypeError : the image is not float32.
    """

    def __init__(
        self, rotation_degrees: float, zoom_in: bool = False, zoom_out: bool = False
    ) -> None:
        super().__init__()
        self.rotation_degrees, self.zoom_in, self.zoom_out = rotation_degrees, zoom_in, zoom_out

    def forward(self, x: Any) -> NDArray:
        """Rotate an image."""
        return imrotate(x, self.rotation_degrees, self.zoom_in, self.zoom_out)


class RandomRotation(Block):
    """Rotate an image by a uniformly distributed angle; otherwise as `Rotate`.

    Parameters
    ----------
    angle_limits : least and most, in degrees
    zoom_in, zoom_out : see `Rotate`
    rotate_with_proba : the probability of rotating at all

    Raises
    ------
    ArgumentError : the limits are not two ascending numbers, or the probability is not from 0 to 1.
    TypeError : the image is not float32.
    """

    def __init__(
        self,
        angle_limits: Sequence[float],
        zoom_in: bool = False,
        zoom_out: bool = False,
        rotate_with_proba: float = 1.0,
    ) -> None:
        super().__init__()
        lower, upper = angle_limits
        if lower >= upper:
            raise ArgumentError(f"angle_limits must be (least, most), not {tuple(angle_limits)}")
        self.angle_limits, self.zoom_in, self.zoom_out = (lower, upper), zoom_in, zoom_out
        self.rotate_with_proba = as_probability("rotate_with_proba", rotate_with_proba)

    def forward(self, x: Any) -> NDArray:
        """Rotate an image, or return it."""
        if current_rng().random() >= self.rotate_with_proba:
            return as_ndarray(x)
        return random_rotate(x, self.angle_limits, self.zoom_in, self.zoom_out)


def _each(function: Any, x: Any) -> NDArray:
    """Apply a function to an image, or to each of several."""
    images = as_ndarray(x)
    with on_device(images.context):
        if images.ndim == 4 and len(images):
            return nd.stack(*map(function, images))
        return function(as_image(images))  # type: ignore[no-any-return]
