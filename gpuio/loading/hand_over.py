"""Batches on a GPU from the thread that makes them to the one that uses them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TypeAlias

import numpy as np

from gpuio.context import Context, device_of, gpu, gpus_in_use, on_device, require_cupy
from gpuio.in_flight import Event
from gpuio.nd.device_memory import hand_over, share, usage_of
from gpuio.nd.types import Array, Untyped

# NumPy's and CuPy's arrays and CSR matrices, and what else users' own iterators give.
BatchArray: TypeAlias = Untyped


def share_arrays(
    arrays: Iterable[BatchArray] | None, ready: Event | None = None
) -> list[BatchArray]:
    """Let another thread use arrays that the calling thread has made.

    Parameters
    ----------
    ready : an event recorded behind the work that makes them; None: that is queued on the current
        streams of their GPUs

    Returns
    -------
    The arrays; those on a GPU with an owner, see `gpuio.nd.device_memory`
    """
    given = list(arrays or ())
    if _all_on_host(given):
        return given
    ready_on = _events() if ready is None else lambda ctx: ready
    return [
        _each_part(array, lambda part: share(part, ready_on(device_of(part)))) for array in given
    ]


def hand_over_arrays(arrays: Iterable[BatchArray] | None) -> list[BatchArray]:
    """Hand arrays over to the calling thread and its current stream.

    Returns
    -------
    The arrays; those on a GPU that have no owner yet, because they were made here on this stream,
    with one
    """
    given = list(arrays or ())
    if _all_on_host(given):
        return given
    ready_on = _events()

    def handed_over(array: Array) -> Array:
        if usage_of(array) is None:
            array = share(array, ready_on(device_of(array)))
        hand_over(array)
        return array

    return [_each_part(array, handed_over) for array in given]


def change_arrays(
    batch: Untyped, change: Callable[[Iterable[BatchArray] | None], list[BatchArray]]
) -> Untyped:
    """Apply one of the above to the data and labels of a DataBatch, or of what users' own iterators
    give in its place. A batch on the host stays untouched.

    Returns
    -------
    The batch; a new one in place of a namedtuple
    """
    if "cupy" not in sys.modules:  # as for each batch of each iterator on the host
        return batch
    for name in ("data", "label"):
        arrays = getattr(batch, name, None)
        if isinstance(arrays, (list, tuple)) and not _all_on_host(arrays):
            changed = change(arrays)
            if any(new is not old for new, old in zip(changed, arrays, strict=True)):
                if isinstance(batch, tuple):
                    batch = batch._replace(**{name: changed})  # type: ignore[attr-defined]
                else:
                    setattr(batch, name, changed)
    return batch


def callers_streams() -> Callable[[], None]:
    """Let another thread work on the calling thread's current streams. There what it does with this
    thread's arrays is in order, and so is the reuse of their memory.

    Returns
    -------
    A function that makes them the current streams of the thread that calls it, for good
    """
    streams: dict[int, Untyped] = {}
    if "cupy" in sys.modules:
        with suppress(Exception):  # there is no GPU, or a fork that cannot use it
            cuda = require_cupy().cuda
            for number in {*gpus_in_use, int(cuda.runtime.getDevice())}:
                stream = cuda.get_current_stream(number)
                if stream.ptr:  # not the default stream, which all threads share
                    streams[number] = stream

    def use() -> None:
        for number, stream in streams.items():
            with on_device(gpu(number)):
                stream.use()

    return use


def _all_on_host(arrays: Sequence[BatchArray]) -> bool:
    """Whether no array is on a GPU; perhaps False where there are CSR matrices."""
    return "cupy" not in sys.modules or all(isinstance(array, np.ndarray) for array in arrays)


def _events() -> Callable[[Context], Event]:
    """A function that records an event on the current stream of a GPU, one for each GPU."""

    @functools.cache
    def record(ctx: Context) -> Event:
        with on_device(ctx):
            cuda = require_cupy().cuda
            return cuda.get_current_stream().record(cuda.Event(disable_timing=True))

    return record


def _each_part(array: BatchArray, change: Callable[[Array], Array]) -> BatchArray:
    """The array, or a CSR matrix of its parts, changed; the same if it is on the host."""
    if isinstance(array, np.ndarray) or device_of(array).device_type != "gpu":
        return array
    if not hasattr(array, "indptr"):
        return change(array)
    kind: Untyped = type(array)
    changed = kind.__new__(kind)
    changed.__dict__.update(array.__dict__)
    for name in ("data", "indices", "indptr"):
        setattr(changed, name, change(getattr(array, name)))
    return changed
