"""MXNet's ``mx.util``, as far as data scripts import it."""

from __future__ import annotations

from typing import Any

from gpuio.context import gpu, num_gpus, require

__all__ = ["get_gpu_count", "get_gpu_memory", "is_np_array", "is_np_shape"]


def get_gpu_count() -> int:
    """The number of GPUs that gpuio can use; see `num_gpus`."""
    return num_gpus()


def get_gpu_memory(gpu_dev_id: int) -> tuple[int, int]:
    """Free and total memory of a GPU, in bytes.

    Raises
    ------
    ContextError : there is no such GPU.
    """
    require(gpu(gpu_dev_id))
    import cupy

    with cupy.cuda.Device(gpu_dev_id):
        free, total = cupy.cuda.runtime.memGetInfo()
    return int(free), int(total)


def is_np_array() -> bool:
    """Whether MXNet's NumPy arrays are on: never."""
    return False


def is_np_shape() -> bool:
    """Whether MXNet's NumPy shapes are on: never."""
    return False


def __getattr__(name: str) -> Any:
    advice = "NumPy's and CuPy's arrays take the place of mx.np" if "np" in name else "see dir(mx)"
    raise AttributeError(f"gpuio has no mx.util.{name}: it is MXNet's data part; {advice}")
