"""gpuio: MXNet's data loading, reborn for today's Python and GPUs."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gpuio.context import Context, cpu, current_context, gpu, num_gpus
from gpuio.errors import ContextError, DecodeError, Error, MXNetError, RecordError
from gpuio.version import VERSION

if TYPE_CHECKING:
    from gpuio import context, image, io, jax, nd, recordio, rnn, tools, torch

__version__ = VERSION

__all__ = [
    "Context",
    "ContextError",
    "DecodeError",
    "Error",
    "MXNetError",
    "RecordError",
    "__version__",
    "context",
    "cpu",
    "current_context",
    "gpu",
    "image",
    "img",
    "io",
    "jax",
    "nd",
    "num_gpus",
    "recordio",
    "rnn",
    "tools",
    "torch",
]


def __getattr__(name: str) -> Any:
    # OpenCV and others are slow to import: a submodule is imported when it is first used.
    if name == "img":  # MXNet's short name
        name = "image"
    if name in ("image", "io", "jax", "nd", "recordio", "rnn", "tools", "torch"):
        return import_module(f"gpuio.{name}")
    raise AttributeError(f"module 'gpuio' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
