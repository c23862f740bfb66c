"""Transforms to the arrays that networks take."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from gpuio import nd
from gpuio.errors import ArgumentError
from gpuio.gluon.block import HybridBlock
from gpuio.image import operators
from gpuio.image.arrays import as_ndarray
from gpuio.nd import NDArray
from gpuio.nd.placement import host_array


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
        converted: NDArray = operators.to_tensor(as_ndarray(x))
        return converted


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
    >>> augment = transforms.Compose([transforms.ToTensor(), normalize])
    """

    def __init__(self, mean: ArrayLike = 0.0, std: ArrayLike = 1.0) -> None:
        super().__init__()
        self.mean, self.std = _as_numbers("mean", mean), _as_numbers("std", std)

    def forward(self, x: Any) -> NDArray:
        """Normalize an image; a new array of the same dtype."""
        normalized: NDArray = operators.normalize(as_ndarray(x), self.mean, self.std)
        return normalized


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
