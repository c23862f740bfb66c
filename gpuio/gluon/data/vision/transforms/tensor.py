"""Transforms to the arrays that networks take."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from gpuio import nd
from gpuio.context import get_array_module, on_device
from gpuio.errors import ArgumentError
from gpuio.gluon.block import HybridBlock
from gpuio.image.arrays import as_ndarray
from gpuio.nd import NDArray
from gpuio.nd.ndarray import host_array


class ToTensor(HybridBlock):
    """Convert an image (height, width, channels), or several (N, height, width, channels), to
    float32 (channels, height, width), or (N, channels, height, width), divided by 255.

    Raises
    ------
    ArgumentError : it has other axes.

    Examples
    --------
    >>> transforms.ToTensor()(image).shape
    (3, 224, 224)
    """

    def forward(self, x: Any) -> NDArray:
        """Convert an image."""
        image = as_ndarray(x)
        if image.ndim not in (3, 4):
            raise ArgumentError(
                "ToTensor takes an image (height, width, channels), or (N, height, width, "
                f"channels), not {image.shape}"
            )
        axes = (2, 0, 1) if image.ndim == 3 else (0, 3, 1, 2)
        xp = get_array_module(image)
        with on_device(image.context):
            planes = xp.ascontiguousarray(image.transpose(axes))
            return nd.wrap(xp.true_divide(planes, np.float32(255), dtype=np.float32))


class Normalize(HybridBlock):
    """Subtract the mean of each channel and divide by its standard deviation.

    Parameters
    ----------
    mean, std : a number for each channel, or one for all

    Raises
    ------
    ArgumentError : mean or std are not numbers. For an image: it is not a floating-point one
        (channels, height, width), or (N, channels, height, width), of 1 or 3 channels.

    Examples
    --------
    >>> normalize = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    >>> transforms.Compose([transforms.ToTensor(), normalize])
    """

    def __init__(self, mean: ArrayLike = 0.0, std: ArrayLike = 1.0) -> None:
        super().__init__()
        self.mean, self.std = _as_numbers("mean", mean), _as_numbers("std", std)

    def forward(self, x: Any) -> NDArray:
        """Normalize an image; a new array of the same dtype."""
        image = as_ndarray(x)
        if image.ndim not in (3, 4) or image.shape[-3] not in (1, 3):
            raise ArgumentError(
                "Normalize takes an image (channels, height, width), or (N, channels, height, "
                f"width), of 1 or 3 channels, not {image.shape}; use it behind ToTensor"
            )
        if image.dtype.kind != "f":
            raise ArgumentError(
                f"{image.dtype} cannot hold a normalized image; use ToTensor or Cast before"
            )
        channels = image.shape[-3]
        xp = get_array_module(image)
        with on_device(image.context):
            normalized = image
            for name, operation in (("mean", xp.subtract), ("std", xp.divide)):
                numbers = getattr(self, name)
                if len(numbers) not in (1, channels):
                    raise ArgumentError(
                        f"{name} has {len(numbers)} numbers, the image {channels} channels"
                    )
                column = xp.asarray(np.array(numbers, image.dtype).reshape(-1, 1, 1))
                normalized = operation(normalized, column)
            return nd.wrap(normalized)


class Cast(HybridBlock):
    """Convert to a dtype.

    Parameters
    ----------
    dtype : the dtype

    Raises
    ------
    TypeError : NumPy does not know it.
    """

    def __init__(self, dtype: DTypeLike = "float32") -> None:
        super().__init__()
        self.dtype = np.dtype(dtype).name

    def forward(self, x: Any) -> NDArray:
        """Convert an array."""
        return nd.wrap(as_ndarray(x).astype(self.dtype))


def _as_numbers(name: str, values: Any) -> tuple[float, ...]:
    try:
        numbers = np.atleast_1d(np.asarray(host_array(values), np.float64))
        if numbers.ndim > 1 or not np.isfinite(numbers).all():
            raise ValueError
    except (TypeError, ValueError):
        raise ArgumentError(
            f"{name} must be a number, or one for each channel, not {values!r}"
        ) from None
    return tuple(numbers.tolist())
