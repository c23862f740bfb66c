"""Devices: Context, cpu(), gpu(i), and the one that is current.

A Context only names a device; it can be made anywhere. Whether the device is there is asked by
`require`, at the moment something is to be put on it, and the answer is an error that says what is
missing, never another device.
"""

from __future__ import annotations

import contextvars
import re
import sys
from importlib import import_module
from typing import Any

from gpuio.errors import ArgumentError, ContextError

KINDS = {"cpu": "cpu", "gpu": "gpu", "cuda": "gpu"}
_SPELLING = re.compile(r"(\w+?)(?:[:(](\d+)\)?)?")

# The contexts entered, outermost first, in this thread or task.
_entered: contextvars.ContextVar[tuple[Context, ...]] = contextvars.ContextVar(
    "gpuio_contexts", default=()
)


class Context:
    """A device.

    Used as ``with gpu(0):`` it is the current context of everything inside, in this thread or task.

    Parameters
    ----------
    device_type : "cpu" or "gpu"; or another Context, which is copied
    device_id : number of the device; it means nothing for the CPU

    Raises
    ------
    ArgumentError : there is no such kind of device.

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
            raise ArgumentError(
                f"device_id must be a whole number of at least 0, not {device_id!r}"
            )
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
    """The GPU with this number."""
    return Context("gpu", device_id)


def current_context() -> Context:
    """The context of the innermost ``with`` around the caller; ``cpu(0)`` outside of any."""
    entered = _entered.get()
    return entered[-1] if entered else cpu(0)


def as_context(ctx: Context | str | None) -> Context:
    """The context that an argument names.

    Parameters
    ----------
    ctx : a Context; "cpu", "gpu", "gpu:1", "cuda:1" or "gpu(1)"; None: the current context

    Raises
    ------
    ArgumentError : it names none.
    """
    if ctx is None:
        return current_context()
    if isinstance(ctx, Context):
        return ctx
    match = _SPELLING.fullmatch(ctx) if isinstance(ctx, str) else None
    if match is None or match[1] not in KINDS:
        raise ArgumentError(
            f"ctx must be a Context, or a text such as 'cpu' or 'gpu:0', not {ctx!r}"
        )
    return Context(KINDS[match[1]], int(match[2] or 0))


def num_gpus() -> int:
    """How many GPUs gpuio can use: 0 without a driver, or without CuPy. Never raises."""
    try:
        import cupy

        return int(cupy.cuda.runtime.getDeviceCount())
    except Exception:  # no CuPy, no driver, a driver too old: CuPy has an exception for each
        return 0


def require(ctx: Context) -> None:
    """Make sure that a device is there.

    Raises
    ------
    ContextError : it is not; the text says what is missing and how to get it.
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
            f"{ctx} needs an NVIDIA GPU and its driver, and CUDA finds none ({error}); look at "
            "nvidia-smi, or use ctx=cpu()"
        ) from error
    if ctx.device_id >= count:
        there = ", ".join(f"gpu({number})" for number in range(count)) or "none"
        raise ContextError(f"there is no {ctx}; this machine has {there}")


def device_of(array: Any) -> Context:
    """Where an array or a CSR matrix lives: a CuPy array's device, else the CPU."""
    cupy = sys.modules.get("cupy")
    values = array.data if hasattr(array, "indptr") else array
    if cupy is None or not isinstance(values, cupy.ndarray):
        return cpu(0)
    return gpu(int(values.device.id))


def get_array_module(array: Any) -> Any:
    """The array library of an array: the module ``numpy`` or ``cupy``."""
    return import_module("cupy" if device_of(array).device_type == "gpu" else "numpy")
