"""MXNet's arrays: NDArray, what makes one, and the sparse ones in `sparse`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gpuio.nd.array import (
    NDArray,
    array,
    concat,
    empty,
    from_dlpack,
    full,
    ones,
    stack,
    waitall,
    wrap,
    zeros,
)

if TYPE_CHECKING:
    from gpuio.nd import sparse

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


def __getattr__(name: str) -> Any:
    if name == "sparse":  # few need it
        return import_module("gpuio.nd.sparse")
    raise AttributeError(f"module 'gpuio.nd' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
