"""Values as arrays: dtypes, storage types."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from gpuio.context import device_of, on_device
from gpuio.errors import ArgumentError, UnsupportedError
from gpuio.nd.placement import NDArrayBase, host_array
from gpuio.nd.types import Array, DType, Values


def as_dtype(dtype: DTypeLike) -> DType:
    """The NumPy dtype of a name or type.

    Raises
    ------
    ArgumentError : NumPy does not know it.
    """
    try:
        return np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError) as error:  # as NumPy parses a string
        raise ArgumentError(f"dtype: {error}; MXNet's are float32, uint8, int32 ...") from error


def convert(source: Values, dtype: DType) -> Array:
    """Copy values to a dtype, C-contiguous, on the device where they are.

    Raises
    ------
    ArgumentError : they are not a rectangular numeric array.
    """
    ctx = device_of(source)
    if ctx.device_type == "gpu":
        with on_device(ctx):
            return source.astype(dtype, order="C")  # type: ignore[no-any-return]
    if isinstance(source, (list, tuple)) and source and isinstance(source[0], NDArrayBase):
        # NumPy takes nothing from a GPU.
        source = [host_array(each) for each in source]
    try:
        values = np.asarray(source)
        if values.dtype.kind == "c" and dtype.kind != "c":
            raise TypeError(f"complex numbers cannot become {dtype}")
        return values.astype(dtype, order="C")
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"expected a rectangular numeric array, not this {type(source).__name__}: {error}"
        ) from error


def check_stype(stype: str) -> str:
    """The storage type, if gpuio has it: "csr" or "default".

    Raises
    ------
    UnsupportedError : it is MXNet's "row_sparse".
    ArgumentError : it is unknown.
    """
    if stype == "row_sparse":
        raise UnsupportedError("gpuio has no row_sparse arrays; use 'csr' or 'default'")
    if stype not in ("csr", "default"):
        raise ArgumentError(f"stype must be 'csr' or 'default', not {stype!r}")
    return stype
