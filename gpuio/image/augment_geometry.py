"""MXNet's augmenters that move pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpuio import nd
from gpuio.image.augmenter import Augmenter
from gpuio.image.geometry import (
    centered,
    check_size,
    fixed_crop,
    imresize,
    random_area,
    random_place,
    resize_short,
)
from gpuio.nd import NDArray
from gpuio.planning.augmenters import GEOMETRY, Params, Size
from gpuio.planning.plan import draw_method
from gpuio.planning.tracer import ImageTracer, as_pixels
from gpuio.sampling.sample_rng import Rng


class _Resampling(Augmenter):
    """Base of the augmenters that resample an image to a size.

    Parameters
    ----------
    size : (width, height) of the output, or the length of its shorter side, in pixels
    interp : as in `imresize`
    """

    stage = GEOMETRY

    def __init__(self, size: Any, interp: int, **kwargs: Any) -> None:
        super().__init__(size=size, **kwargs, interp=interp)
        self.size, self.interp = size, interp

    @property
    def interpolation(self) -> int:
        """MXNet's number of the interpolation."""
        return self.interp

    @property
    def output_side(self) -> int:
        """The shorter side of the augmented image, in pixels."""
        return int(min(self.size))

    def draw_method(self, rng: Rng) -> int:
        """The interpolation; a random one for ANY."""
        return draw_method(rng, self.interp)


class ResizeAug(_Resampling):
    """Scale the shorter side to `size` pixels, as `resize_short` does.

    Parameters
    ----------
    size : in pixels
    interp : as in `imresize`
    """

    def __init__(self, size: int, interp: int = 2) -> None:
        as_pixels("size", size)
        super().__init__(size, interp)

    @property
    def output_side(self) -> int:
        """The shorter side of the augmented image, in pixels."""
        return int(self.size)

    def draw(self, rng: Rng, size: Size) -> Params:
        """Draw the interpolation."""
        return self.draw_method(rng)

    def apply(self, src: NDArray, params: Params) -> NDArray:
        """Scale an image."""
        return resize_short(src, self.size, params)

    def trace(self, tracer: ImageTracer, params: Params) -> None:
        """Scale an `ImageTracer`."""
        tracer.resize_shorter(self.size, params)


class ForceResizeAug(_Resampling):
    """Resize to exactly `size`, whatever the aspect ratio.

    Parameters
    ----------
    size : (width, height)
    interp : as in `imresize`
    """

    def __init__(self, size: Size, interp: int = 2) -> None:
        check_size(size)
        super().__init__(size, interp)

    def draw(self, rng: Rng, size: Size) -> Params:
        """Draw the interpolation."""
        return self.draw_method(rng)

    def apply(self, src: NDArray, params: Params) -> NDArray:
        """Resize an image."""
        return imresize(src, self.size[0], self.size[1], params)

    def trace(self, tracer: ImageTracer, params: Params) -> None:
        """Resize an `ImageTracer`."""
        tracer.resize(self.size[0], self.size[1], params)


class _Crop(_Resampling):
    """Base of the augmenters that crop a rectangle and resize it to `size`; `draw` gives the
    rectangle and the interpolation.
    """

    def __init__(self, size: Size, interp: int, **kwargs: Any) -> None:
        check_size(size)
        super().__init__(size, interp, **kwargs)

    def apply(self, src: NDArray, params: Params) -> NDArray:
        """Crop an image."""
        rectangle, method = params
        x0, y0, w, h = rectangle
        return fixed_crop(src, x0, y0, w, h, self.size, method)

    def trace(self, tracer: ImageTracer, params: Params) -> None:
        """Crop an `ImageTracer`."""
        rectangle, method = params
        tracer.crop(*rectangle)
        if rectangle[2:] != tuple(self.size):
            tracer.resize(self.size[0], self.size[1], method)


class RandomCropAug(_Crop):
    """Crop a rectangle anywhere, as `random_crop` does.

    Parameters
    ----------
    size : (width, height)
    interp : as in `imresize`
    """

    def __init__(self, size: Size, interp: int = 2) -> None:
        super().__init__(size, interp)

    def draw(self, rng: Rng, size: Size) -> Params:
        """Draw the rectangle and the interpolation."""
        return random_place(rng, size, self.size), self.draw_method(rng)


class CenterCropAug(_Crop):
    """Crop a rectangle at the center, as `center_crop` does.

    Parameters
    ----------
    size : (width, height)
    interp : as in `imresize`
    """

    def __init__(self, size: Size, interp: int = 2) -> None:
        super().__init__(size, interp)

    def draw(self, rng: Rng, size: Size) -> Params:
        """Compute the rectangle, and draw the interpolation."""
        return centered(size, self.size), self.draw_method(rng)


class RandomSizedCropAug(_Crop):
    """Crop a random area of a random aspect ratio, as `random_size_crop` does.

    Parameters
    ----------
    size : (width, height)
    area : least fraction of the image's area, or (least, most)
    ratio : least and most of width / height
    interp : as in `imresize`
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
        super().__init__(size, interp, area=area, ratio=ratio)
        self.area, self.ratio = area, ratio

    def draw(self, rng: Rng, size: Size) -> Params:
        """Draw the rectangle and the interpolation."""
        return random_area(rng, size, self.size, self.area, self.ratio), self.draw_method(rng)


class HorizontalFlipAug(Augmenter):
    """Flip an image left to right with a probability.

    Parameters
    ----------
    p : the probability
    """

    def __init__(self, p: float) -> None:
        super().__init__(p=p)
        self.p = p

    def draw(self, rng: Rng, size: Size) -> Params:
        """Draw whether to flip."""
        return rng.random() < self.p

    def apply(self, src: NDArray, params: Params) -> NDArray:
        """The image, or its mirror image, a view."""
        return nd.wrap(src[:, ::-1]) if params else src

    def trace(self, tracer: ImageTracer, params: Params) -> None:
        """Flip an `ImageTracer`."""
        if params:
            tracer.flip()
