"""MXNet's augmenters that move pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gpuio import nd
from gpuio.image.augmenter import GEOMETRY, Augmenter
from gpuio.image.geometry import (
    Rectangle,
    Size,
    anywhere,
    center_crop,
    centred,
    imresize,
    pair,
    random_crop,
    random_share,
    random_size_crop,
    resize_short,
)
from gpuio.nd import NDArray
from gpuio.planning.tracer import whole_side
from gpuio.sampling import sample_rng as draws

if TYPE_CHECKING:
    from gpuio.planning.tracer import ImageTracer


class ResizeAug(Augmenter):
    """Scale the shorter side to `size` pixels, as `resize_short` does.

    Parameters
    ----------
    size : in pixels
    interp : as `imresize` has it
    """

    stage = GEOMETRY

    def __init__(self, size: int, interp: int = 2) -> None:
        super().__init__(size=size, interp=interp)
        whole_side("size", size)
        self.size, self.interp = size, interp

    def __call__(self, src: NDArray) -> NDArray:
        """The picture scaled."""
        return resize_short(src, self.size, self.interp)

    def sketch(self, picture: ImageTracer) -> None:
        """The same to a sketch."""
        picture.shorter_side(self.size, self.interp)


class ForceResizeAug(Augmenter):
    """Resize to exactly `size`, whatever the aspect.

    Parameters
    ----------
    size : (width, height)
    interp : as `imresize` has it
    """

    stage = GEOMETRY

    def __init__(self, size: Size, interp: int = 2) -> None:
        super().__init__(size=size, interp=interp)
        pair(size)
        self.size, self.interp = size, interp

    def __call__(self, src: NDArray) -> NDArray:
        """The picture resized."""
        return imresize(src, self.size[0], self.size[1], self.interp)

    def sketch(self, picture: ImageTracer) -> None:
        """The same to a sketch."""
        picture.resize(self.size[0], self.size[1], self.interp)


class RandomCropAug(Augmenter):
    """Cut a rectangle out anywhere, as `random_crop` does.

    Parameters
    ----------
    size : (width, height)
    interp : as `imresize` has it
    """

    stage = GEOMETRY

    def __init__(self, size: Size, interp: int = 2) -> None:
        super().__init__(size=size, interp=interp)
        pair(size)
        self.size, self.interp = size, interp

    def __call__(self, src: NDArray) -> NDArray:
        """The crop."""
        return random_crop(src, self.size, self.interp)[0]

    def sketch(self, picture: ImageTracer) -> None:
        """The same to a sketch."""
        cut(picture, anywhere((picture.width, picture.height), self.size), self.size, self.interp)


class CenterCropAug(Augmenter):
    """Cut a rectangle out of the centre, as `center_crop` does.

    Parameters
    ----------
    size : (width, height)
    interp : as `imresize` has it
    """

    stage = GEOMETRY

    def __init__(self, size: Size, interp: int = 2) -> None:
        super().__init__(size=size, interp=interp)
        pair(size)
        self.size, self.interp = size, interp

    def __call__(self, src: NDArray) -> NDArray:
        """The crop."""
        return center_crop(src, self.size, self.interp)[0]

    def sketch(self, picture: ImageTracer) -> None:
        """The same to a sketch."""
        cut(picture, centred((picture.width, picture.height), self.size), self.size, self.interp)


class RandomSizedCropAug(Augmenter):
    """Cut out a random share in a random shape, as `random_size_crop` does.

    Parameters
    ----------
    size : (width, height)
    area : least share of the picture's area, or (least, most)
    ratio : least and most of width / height
    interp : as `imresize` has it
    """

    stage = GEOMETRY

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
        pair(size)
        self.size, self.area, self.ratio, self.interp = size, area, ratio, interp

    def __call__(self, src: NDArray) -> NDArray:
        """The crop."""
        return random_size_crop(src, self.size, self.area, self.ratio, self.interp)[0]

    def sketch(self, picture: ImageTracer) -> None:
        """The same to a sketch."""
        source = picture.width, picture.height
        at = random_share(source, self.size, self.area, self.ratio)
        cut(picture, at, self.size, self.interp)


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

    def sketch(self, picture: ImageTracer) -> None:
        """The same to a sketch."""
        if draws.below(self.p):
            picture.flip()


def cut(picture: ImageTracer, at: Rectangle, size: Size, interp: int) -> None:
    """Cut a rectangle out of a sketch, and resize it if it has not the size asked for."""
    picture.crop(*at)
    if at[2:] != tuple(size):
        picture.resize(size[0], size[1], interp)
