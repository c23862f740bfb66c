"""Small host arrays, copied to a GPU in one transfer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import DTypeLike

from gpuio.context import require_cupy
from gpuio.errors import ArgumentError
from gpuio.nd.types import Array, HostArray

# Each array begins at a multiple of this many bytes, enough for any element type.
ALIGNMENT = 16


def check_array(
    values: HostArray, dtype: DTypeLike, shape: tuple[int, ...], name: str
) -> HostArray:
    """Check what a kernel would otherwise read outside of an array.

    Returns
    -------
    `values`, contiguous

    Raises
    ------
    ArgumentError : they have another dtype or shape.
    """
    if values.shape != shape or values.dtype != dtype:
        raise ArgumentError(
            f"{name} must be {np.dtype(dtype).name} {shape}, not {values.dtype} {values.shape}"
        )
    return np.ascontiguousarray(values)


def send_packed(arrays: Mapping[str, HostArray]) -> dict[str, Array]:
    """Copy arrays to the current GPU, in the order of the current stream, in one transfer.

    Parameters
    ----------
    arrays : of any shape and dtype, each dense and with at least one element, on the host. They may
        be changed as soon as the call returns: CuPy copies them to pinned memory, which it keeps
        until the transfer is done.

    Returns
    -------
    By name, the bytes of each array: cupy uint8 (nbytes,), views of one allocation, which begin at
    multiples of `ALIGNMENT`
    """
    if not arrays:
        return {}
    places: dict[str, slice] = {}
    end = 0
    for name, values in arrays.items():
        start = -(-end // ALIGNMENT) * ALIGNMENT
        end = start + values.nbytes
        places[name] = slice(start, end)
    packed = np.zeros(end, np.uint8)
    for name, values in arrays.items():
        packed[places[name]] = values.reshape(-1).view(np.uint8)
    sent: Array = require_cupy().asarray(packed)
    return {name: sent[place] for name, place in places.items()}
