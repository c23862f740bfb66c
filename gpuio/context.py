"""Devices: Context, cpu(), gpu(i), and the current context.

A Context only names a device and can be created anywhere. `require` checks that the device is
available when something is about to be put on it, and raises an error that says what is missing;
there is no fall-back to another device.
"""

from __future__ import annotations

import contextvars
import re
import sys
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any, TypeAlias

from gpuio.errors import ArgumentError, ContextError

GPU_INSTALL_HINT = (
    "pip install 'gpuio[cuda12]' or 'gpuio[cuda13]', whichever CUDA your driver supports"
)

# A module without type information, such as cupy.
Module: TypeAlias = Any

KINDS = {"cpu": "cpu", "gpu": "gpu", "cuda": "gpu"}
_SPELLING = re.compile(r"(\w+?)(?:[:(](\d+)\)?)?")

# The contexts that this thread or task has entered, outermost first.
_entered: contextvars.ContextVar[tuple[Context, ...]] = contextvars.ContextVar(
    "gpuio_contexts", default=()
)


class Context:
    """A device.

    ``with gpu(0):`` makes it the current context inside the block, in this thread or task.

    Parameters
    ----------
    device_type : "cpu" or "gpu"; or another Context, which is copied
    device_id : number of the device; ignored for the CPU

    Raises
    ------
    ArgumentError : the device type is unknown, or the number is negative.

    Examples
    --------
    >>> Context("gpu", 1)
    gpu(1)
    """

    __slots__ = ("device_id", "device_type")

    device_type: str
    device_id: int

    def __init__(self, device_type: str | Context, device_id: int = 0) -> None:
        if isinstance(device_type, Context):
            device_id = device_type.device_id
            device_type = device_type.device_type
        if device_type not in ("cpu", "gpu"):
            raise ArgumentError(f"a context is 'cpu' or 'gpu', not {device_type!r}")
        if isinstance(device_id, bool) or not isinstance(device_id, int) or device_id < 0:
            raise ArgumentError(f"device_id must be an integer of at least 0, not {device_id!r}")
        self.device_type = device_type
        self.device_id = device_id

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Context):
            return NotImplemented
        return (self.device_type, self.device_id) == (other.device_type, other.device_id)

    def __hash__(self) -> int:
        return hash((self.device_type, self.device_id))

    def __repr__(self) -> str:
        return f"{self.device_type}({self.device_id})"

    def __reduce__(self) -> tuple[type[Context], tuple[str, int]]:
        return Context, (self.device_type, self.device_id)

    def __enter__(self) -> Context:
        _entered.set((*_entered.get(), self))
        return self

    def __exit__(self, *raised: object) -> None:
        _entered.set(_entered.get()[:-1])


def cpu(device_id: int = 0) -> Context:
    """The host."""
    return Context("cpu", device_id)


def gpu(device_id: int = 0) -> Context:
    """The GPU with number `device_id`."""
    return Context("gpu", device_id)


def current_context() -> Context:
    """The context of the innermost enclosing ``with``; ``cpu(0)`` outside of any."""
    entered = _entered.get()
    return entered[-1] if entered else cpu(0)


def as_context(ctx: Context | str | None) -> Context:
    """Resolve a `ctx` argument.

    Parameters
    ----------
    ctx : a Context; "cpu", "gpu", "gpu:1", "cuda:1" or "gpu(1)"; None: the current context

    Raises
    ------
    ArgumentError : it does not name a device.
    """
    if ctx is None:
        return current_context()
    if isinstance(ctx, Context):
        return ctx
    match = _SPELLING.fullmatch(ctx) if isinstance(ctx, str) else None
    if match is None or match[1] not in KINDS:
        raise ArgumentError(
            f"ctx must be a Context, or a string such as 'cpu' or 'gpu:0', not {ctx!r}"
        )
    return Context(KINDS[match[1]], int(match[2] or 0))


def num_gpus() -> int:
    """Number of GPUs that gpuio can use: 0 without a driver or without CuPy. Never raises."""
    try:
        import cupy

        return int(cupy.cuda.runtime.getDeviceCount())
    except Exception:  # no CuPy, no driver, a driver too old: CuPy has an exception for each
        return 0


def require(ctx: Context) -> None:
    """Check that a device is available.

    Raises
    ------
    ContextError : it is not; the message says what is missing and how to get it.
    """
    if ctx.device_type == "cpu":
        return
    try:
        import cupy
    except ImportError as error:
        raise ContextError(
            f"{ctx} needs CuPy and NVIDIA DALI, and CuPy is not installed ({error}); run "
            "pip install 'gpuio[cuda13]' (or 'gpuio[cuda12]' for a driver of CUDA 12), or use "
            "ctx=cpu()"
        ) from error
    try:
        count = int(cupy.cuda.runtime.getDeviceCount())
    except Exception as error:
        raise ContextError(
            f"{ctx} needs an NVIDIA GPU and its driver, and CUDA finds none ({error}); run "
            "nvidia-smi to check, or use ctx=cpu()"
        ) from error
    if ctx.device_id >= count:
        found = ", ".join(f"gpu({number})" for number in range(count)) or "none"
        raise ContextError(f"there is no {ctx}; this machine has {found}")


def require_cupy() -> Module:
    """Import CuPy: the module ``cupy``.

    Raises
    ------
    ContextError : CuPy is not installed or cannot be loaded.
    """
    try:
        return import_module("cupy")
    except ImportError as error:
        raise ContextError(f"CuPy cannot be imported ({error}); {GPU_INSTALL_HINT}") from error


def device_of(array: object) -> Context:
    """The device of an array or CSR matrix: a CuPy array's GPU, else ``cpu(0)``."""
    cupy: Module = sys.modules.get("cupy")
    values = getattr(array, "data", None) if hasattr(array, "indptr") else array
    if cupy is None or not isinstance(values, cupy.ndarray):
        return cpu(0)
    return gpu(int(values.device.id))


def get_array_module(array: object) -> Module:
    """The library of an array: the module ``numpy`` or ``cupy``."""
    return import_module("cupy" if device_of(array).device_type == "gpu" else "numpy")


def on_device(ctx: Context) -> AbstractContextManager[object]:
    """A new context manager in which CuPy works on the GPU `ctx`; a no-op for the CPU."""
    if ctx.device_type == "cpu":
        return nullcontext()
    device: AbstractContextManager[object] = require_cupy().cuda.Device(ctx.device_id)
    return device
