"""Batches on a GPU from the thread that makes them to the one that uses them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np

from gpuio.context import Context, device_of, on_device, require_cupy
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
    ready_on = _events() if ready is None else lambda ctx: ready
    return [
        _each_part(array, lambda part: share(part, ready_on(device_of(part))))
        for array in arrays or ()
    ]


def hand_over_arrays(arrays: Iterable[BatchArray] | None) -> list[BatchArray]:
    """Hand arrays over to the calling thread and its current stream.

    Returns
    -------
    The arrays; those on a GPU that have no owner yet, because they were made here on this stream,
    with one
    """
    ready_on = _events()

    def handed_over(array: Array) -> Array:
        if usage_of(array) is None:
            array = share(array, ready_on(device_of(array)))
        hand_over(array)
        return array

    return [_each_part(array, handed_over) for array in arrays or ()]


def change_arrays(
    batch: Untyped, change: Callable[[Iterable[BatchArray] | None], list[BatchArray]]
) -> None:
    """Apply one of the above to the data and labels of a DataBatch, or of what users' own iterators
    give in its place. A batch on the host stays untouched.
    """
    for name in ("data", "label"):
        arrays = getattr(batch, name, None)
        if isinstance(arrays, (list, tuple)):
            changed = change(arrays)
            if any(new is not old for new, old in zip(changed, arrays, strict=True)):
                setattr(batch, name, changed)


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
