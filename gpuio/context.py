"""Devices: Context, cpu(), gpu(i), and the current context.

A Context only names a device and can be created anywhere. `require` checks that the device is
available when something is about to be put on it, and raises an error that says what is missing;
there is no fall-back to another device.

``with gpu(1):`` also selects the GPU for CUDA, so that CuPy and PyTorch create their arrays there.
gpuio's own functions do not depend on CUDA's current device: they select that of their arrays, or
of the current context.

MXNet also names kinds of host memory, cpu_pinned() and cpu_shared(). Here they are names of the
host: `as_context` resolves them to ``cpu(0)``, where arrays and batches then are.
"""

from __future__ import annotations

import contextvars
import re
import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any, ClassVar, NamedTuple, TypeAlias

from gpuio.errors import ArgumentError, ContextError
from gpuio.in_flight import release_all

GPU_INSTALL_HINT = (
    "pip install 'gpuio[cuda12]' or 'gpuio[cuda13]', whichever CUDA your driver supports"
)

# A module without type information, such as cupy.
Module: TypeAlias = Any

# MXNet's numbers of the device types.
TYPE_IDS = {"cpu": 1, "gpu": 2, "cpu_pinned": 3, "cpu_shared": 5}

KINDS = {**{kind: kind for kind in TYPE_IDS}, "cuda": "gpu"}
_SPELLING = re.compile(r"(\w+?)(?:[:(](\d+)\)?)?")


class _Selection:
    """A GPU made CUDA's current device, which each thread has, until `undo`.

    Selections that end in another order than they began, as those of tasks that take turns in one
    thread may, leave the device of the latest one that lasts, and in the end the thread's own.
    """

    def __init__(self, device_id: int) -> None:
        self._runtime = require_cupy().cuda.runtime
        self._lasting: list[_Selection] = _thread.__dict__.setdefault("selections", [])
        self._previous = int(self._runtime.getDevice())
        self._runtime.setDevice(device_id)
        self._lasting.append(self)

    def undo(self) -> None:
        """Return to the device that was current before; in the thread of the selection only."""
        if self not in _thread.__dict__.get("selections", ()):
            return
        place = self._lasting.index(self)
        del self._lasting[place]
        if place < len(self._lasting):
            self._lasting[place]._previous = self._previous
        else:
            self._runtime.setDevice(self._previous)


def _select(ctx: Context) -> _Selection | None:
    """Select a GPU for CUDA, if CuPy has been imported and finds this GPU: a context may name a
    device that does not exist.
    """
    usable = ctx.device_type == "gpu" and "cupy" in sys.modules and ctx.device_id < num_gpus()
    return _Selection(ctx.device_id) if usable else None


class _Entered(NamedTuple):
    """A context that a thread or task has entered."""

    ctx: Context
    selection: _Selection | None

    def leave(self) -> None:
        if self.selection is not None:
            self.selection.undo()


# The contexts that this thread or task has entered, outermost first.
_entered: contextvars.ContextVar[tuple[_Entered, ...]] = contextvars.ContextVar(
    "gpuio_contexts", default=()
)

# Each thread's selections, oldest first.
_thread = threading.local()

# The numbers of the GPUs that gpuio has worked on. To wait for others would initialize them.
gpus_in_use: set[int] = set()


class _ContextType(type):
    """Class of `Context`, whose attribute `default_ctx` can be set."""

    @property
    def default_ctx(cls) -> Context:
        """The current context, under MXNet's old name. Setting it replaces the innermost one of
        this thread or task; outside of any ``with``, for good.
        """
        return current_context()

    @default_ctx.setter
    def default_ctx(cls, ctx: Context) -> None:
        if not isinstance(ctx, Context):
            raise ArgumentError(f"default_ctx must be a Context, not {ctx!r}")
        entered = _entered.get()
        if entered:
            entered[-1].leave()
        _entered.set((*entered[:-1], _Entered(ctx, _select(ctx))))


class Context(metaclass=_ContextType):
    """A device.

    ``with gpu(0):`` makes it the current context inside the block, in this thread or task. If CuPy
    has been imported and finds the GPU, it also becomes CUDA's current device. That belongs to the
    thread: tasks that await inside of such blocks share it, while gpuio's functions go by the
    task's own context.

    Parameters
    ----------
    device_type : "cpu" or "gpu"; or "cpu_pinned" or "cpu_shared", which are the host too; or
        another Context, which is copied
    device_id : number of the device; ignored for the host

    Attributes
    ----------
    device_type, device_id : as given
    device_typeid : MXNet's number of the device type
    devtype2str, devstr2type : the device types by MXNet's numbers, and the numbers by device type

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

    devtype2str: ClassVar[dict[int, str]] = {number: kind for kind, number in TYPE_IDS.items()}
    devstr2type: ClassVar[dict[str, int]] = TYPE_IDS

    def __init__(self, device_type: str | Context, device_id: int = 0) -> None:
        if isinstance(device_type, Context):
            device_id = device_type.device_id
            device_type = device_type.device_type
        if not isinstance(device_type, str) or device_type not in TYPE_IDS:
            kinds = ", ".join(map(repr, TYPE_IDS))
            raise ArgumentError(
                f"the type of a context must be one of {kinds}, not {device_type!r}"
            )
        if isinstance(device_id, bool) or not isinstance(device_id, int) or device_id < 0:
            raise ArgumentError(f"device_id must be an integer of at least 0, not {device_id!r}")
        self.device_type = device_type
        self.device_id = device_id

    @property
    def device_typeid(self) -> int:
        """MXNet's number of the device type."""
        return TYPE_IDS[self.device_type]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Context):
            return NotImplemented
        return (self.device_type, self.device_id) == (other.device_type, other.device_id)

    def __hash__(self) -> int:
        return hash((self.device_typeid, self.device_id))

    def __repr__(self) -> str:
        return f"{self.device_type}({self.device_id})"

    def __reduce__(self) -> tuple[type[Context], tuple[str, int]]:
        return Context, (self.device_type, self.device_id)

    def __enter__(self) -> Context:
        _entered.set((*_entered.get(), _Entered(self, _select(self))))
        return self

    def __exit__(self, *raised: object) -> None:
        entered = _entered.get()
        _entered.set(entered[:-1])
        if entered:
            entered[-1].leave()

    def empty_cache(self) -> None:
        """Return the GPU memory that CuPy keeps for later arrays; does nothing on the host.

        Waits for the work on batches that nothing references any more.

        Raises
        ------
        ContextError : the device is not available.
        """
        require(self)
        if self.device_type == "gpu":
            release_all(self.device_id)
            with on_device(self):
                require_cupy().get_default_memory_pool().free_all_blocks()


def cpu(device_id: int = 0) -> Context:
    """The host."""
    return Context("cpu", device_id)


def cpu_pinned(device_id: int = 0) -> Context:
    """The host, in MXNet its pinned memory. Batches for a GPU go through pinned memory anyway."""
    return Context("cpu_pinned", device_id)


def cpu_shared(device_id: int = 0) -> Context:
    """The host, in MXNet memory that processes share."""
    return Context("cpu_shared", device_id)


def gpu(device_id: int = 0) -> Context:
    """The GPU with number `device_id`."""
    return Context("gpu", device_id)


def current_context() -> Context:
    """The context of the innermost enclosing ``with``; ``cpu(0)`` outside of any."""
    entered = _entered.get()
    return entered[-1].ctx if entered else cpu(0)


def as_context(ctx: Context | str | None) -> Context:
    """Resolve a `ctx` argument to a device: ``cpu(i)`` or ``gpu(i)``.

    Parameters
    ----------
    ctx : a Context; "cpu", "gpu", "gpu:1", "cuda:1" or "gpu(1)"; None: the current context.
        cpu_pinned() and cpu_shared() are ``cpu(0)``

    Raises
    ------
    ArgumentError : it does not name a device.
    """
    if ctx is None:
        ctx = current_context()
    if isinstance(ctx, Context):
        return ctx if ctx.device_type in ("cpu", "gpu") else cpu()
    match = _SPELLING.fullmatch(ctx) if isinstance(ctx, str) else None
    if match is None or match[1] not in KINDS:
        raise ArgumentError(
            f"ctx must be a Context, or a string such as 'cpu' or 'gpu:0', not {ctx!r}"
        )
    return as_context(Context(KINDS[match[1]], int(match[2] or 0)))


def num_gpus() -> int:
    """Number of GPUs that gpuio can use: 0 without a driver or without CuPy. Never raises."""
    try:
        import cupy

        return int(cupy.cuda.runtime.getDeviceCount())
    except Exception:  # no CuPy, no driver, a driver too old: CuPy has an exception for each
        return 0


def gpu_memory_info(device_id: int = 0) -> tuple[int, int]:
    """Memory of a GPU.

    Returns
    -------
    (free, total), in bytes. Memory that CuPy keeps for later arrays is not free

    Raises
    ------
    ContextError : the GPU is not available.
    """
    ctx = gpu(device_id)
    require(ctx)
    with on_device(ctx):
        free, total = require_cupy().cuda.runtime.memGetInfo()
    return int(free), int(total)


def require(ctx: Context) -> None:
    """Check that a device is available.

    Raises
    ------
    ContextError : it is not; the message says what is missing and how to get it.
    """
    if ctx.device_type != "gpu":
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
    """A new context manager in which CuPy works on the GPU `ctx`; a no-op for the host.

    Raises
    ------
    ContextError : the device is not available.
    """
    if ctx.device_type != "gpu":
        return nullcontext()
    if ctx.device_id not in gpus_in_use:
        require(ctx)
        gpus_in_use.add(ctx.device_id)
    device: AbstractContextManager[object] = require_cupy().cuda.Device(ctx.device_id)
    return device
