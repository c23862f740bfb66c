"""MXNet's ``mx.nd``: NDArray, the functions that create arrays, and sparse matrices in `sparse`."""

from gpuio.nd import sparse
from gpuio.nd.creation import (
    array,
    concat,
    empty,
    from_dlpack,
    full,
    ones,
    stack,
    waitall,
    zeros,
)
from gpuio.nd.ndarray import NDArray, wrap

__all__ = [
    "NDArray",
    "array",
    "concat",
    "empty",
    "from_dlpack",
    "full",
    "ones",
    "sparse",
    "stack",
    "waitall",
    "wrap",
    "zeros",
]


def __dir__() -> list[str]:
    return __all__
