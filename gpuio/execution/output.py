"""The output of an executor: what its batches look like.

For each pixel and channel c::

    v[c] = pixel[c]                                                       (without a color matrix)
    v[c] = round(((m[c, 0] * r + m[c, 1] * g) + m[c, 2] * b) + m[c, 3])   (with one; RGB only)

    out[c] = cast((v[c] - offset[c]) * factor[c])                               (no light)
    out[c] = cast((v[c] - offset[c]) * (gain * factor[c]) + shift * factor[c])  (with light)

`round` is what a plan's `rounding` says, gain and shift are its `light`, and `offset` may be an
image. That is MXNet's ``(px - mean) * (scale / std)``. The cast to float16 rounds half to even,
without saturation; the casts to integers round half to even and saturate. The host and the GPU use
the same float32 operations in the same order, so that their batches are bit-identical.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.nd.types import HostArray

DTYPES = ("float32", "float16", "uint8", "int8")
LAYOUTS = ("NCHW", "NHWC")


@dataclass(frozen=True)
class OutputSpec:
    """Shape, dtype and normalization of a batch.

    Attributes
    ----------
    channels : 1 (gray), 3 (RGB) or 4 (RGBA)
    height, width : pixels
    dtype : float32, float16, uint8 or int8
    layout : "NCHW" or "NHWC"
    mean, std : for R, G, B and A (gray uses R's), as pixel values of 0 to 255
    scale : multiplies the difference from the mean
    mean_image : float32 (channels, height, width), subtracted instead of `mean`; None: there is
        none
    mirror_mean : the mean image is flipped together with a sample

    As in MXNet, uint8 ignores mean, std, scale and a plan's light; int8 subtracts the mean rounded
    half away from zero and ignores std, scale and light.

    Raises
    ------
    ArgumentError : a value is out of range.
    """

    channels: int
    height: int
    width: int
    dtype: np.dtype[Any]
    layout: str
    mean: tuple[float, ...] = (0.0,) * 4
    std: tuple[float, ...] = (1.0,) * 4
    scale: float = 1.0
    mean_image: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    mirror_mean: bool = True

    def __post_init__(self) -> None:
        if self.channels not in (1, 3, 4):
            raise ArgumentError(f"an image has 1, 3 or 4 channels, not {self.channels}")
        if self.height < 1 or self.width < 1:
            raise ArgumentError(
                f"the output must have at least one pixel, not {self.width} x {self.height}"
            )
        if self.height * self.width >= 2**31:
            raise ArgumentError(
                f"a sample must have fewer than 2**31 pixels, not {self.width} x {self.height}"
            )
        try:
            dtype = np.dtype(self.dtype)
        except (TypeError, ValueError, SyntaxError):  # as NumPy parses a string
            dtype = None
        if dtype not in [np.dtype(name) for name in DTYPES]:
            raise ArgumentError(f"dtype must be one of {', '.join(DTYPES)}, not {self.dtype!r}")
        object.__setattr__(self, "dtype", dtype)  # the caller may have given its name
        if self.layout not in LAYOUTS:
            raise ArgumentError(f"layout must be one of {', '.join(LAYOUTS)}, not {self.layout!r}")
        self._check_normalization()

    def _check_normalization(self) -> None:
        shape = (self.channels, self.height, self.width)
        if self.mean_image is not None and self.mean_image.shape != shape:
            raise ArgumentError(
                f"the mean image must have the shape {shape} of an image, not "
                f"{self.mean_image.shape}"
            )
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) < self.channels:
                raise ArgumentError(
                    f"{name} needs a value for each of {self.channels} channels, not {values}"
                )
        if not all(math.isfinite(value) for value in (*self.mean, *self.std, self.scale)):
            raise ArgumentError(
                f"mean, std and scale must be finite, not {self.mean}, {self.std} and {self.scale}"
            )
        if not np.all(np.array(self.std[: self.channels], np.float32)):
            raise ArgumentError(
                f"std must not be 0, because pixels are divided by it, but it is {self.std}; "
                "use 1 to keep a channel as it is"
            )
        if not (np.isfinite(self.offset).all() and np.isfinite(self.factor).all()):
            raise ArgumentError(
                f"mean {self.mean} or scale / std = {self.scale} / {self.std} is too large "
                "for float32"
            )

    def shape(self, n: int) -> tuple[int, int, int, int]:
        """The shape of a batch of n samples."""
        if self.layout == "NCHW":
            return n, self.channels, self.height, self.width
        return n, self.height, self.width, self.channels

    @property
    def normalizes(self) -> bool:
        """Whether a mean has an effect."""
        return self.dtype != np.uint8

    @property
    def takes_light(self) -> bool:
        """Whether the light of a plan has an effect."""
        return self.dtype.kind == "f"

    @cached_property
    def offset_image(self) -> NDArray[np.float32] | None:
        """float32 (channels, height, width), subtracted from the pixel values instead of `offset`;
        None: it is not.
        """
        if self.mean_image is None or not self.normalizes:
            return None
        image = np.ascontiguousarray(self.mean_image, np.float32)
        return _round_half_away(image) if self.dtype == np.int8 else image

    @cached_property
    def offset(self) -> NDArray[np.float32]:
        """float32 (channels,), subtracted from the pixel values."""
        offset = np.zeros(self.channels)
        if self.dtype != np.uint8:
            offset[:] = self.mean[: self.channels]
        if self.dtype == np.int8:
            offset = _round_half_away(offset)
        return _to_float32(offset)

    @cached_property
    def factor(self) -> NDArray[np.float32]:
        """float32 (channels,), multiplies the differences."""
        if self.dtype in (np.uint8, np.int8):
            return _to_float32(np.ones(self.channels))
        std = _to_float32(np.array(self.std[: self.channels]))
        with np.errstate(over="ignore"):
            return _to_float32(np.float32(self.scale) / std)


def _round_half_away(values: HostArray) -> HostArray:
    """C's round(); np.rint rounds half to even."""
    return np.copysign(np.floor(np.abs(values) + 0.5), values)


def _to_float32(values: HostArray) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # an infinity is rejected later, with the arguments' names
        result = values.astype(np.float32)
    result.flags.writeable = False
    return result
