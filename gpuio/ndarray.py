"""MXNet's long name of ``mx.nd``."""

# ruff: noqa: F403  # All names are those of gpuio.nd.

from typing import Any

from gpuio import nd
from gpuio.nd import *

__all__ = nd.__all__


def __getattr__(name: str) -> Any:
    if name.startswith("__"):  # of the module itself
        raise AttributeError(f"module 'gpuio.ndarray' has no attribute {name!r}")
    return getattr(nd, name)


def __dir__() -> list[str]:
    return dir(nd)
