"""Batches of rows on their way to the caller's device."""

from __future__ import annotations

import collections
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gpuio import nd
from gpuio.context import Context, device_of
from gpuio.pipeline.device import Keeper


class Rows(NamedTuple):
    """One batch, as its source gives it.

    Attributes
    ----------
    data, label : NDArrays or CSRNDArrays, in the order of their names
    pad : rows at the end that are there only to fill the batch
    key : uint64 (B,), the rows' numbers, on the host; None where the source does not tell
    copied : a CUDA event: the arrays are complete when it is done; None: they are complete
    """

    data: list[Any]
    label: list[Any]
    pad: int
    key: NDArray[np.uint64] | None = None
    copied: Any = None


class Carrier(Protocol):
    """What brings batches to a device."""

    def begin(self, rows: Rows) -> Rows:
        """Begin to bring a batch there; called in any thread."""

    def finish(self, rows: Rows) -> Rows:
        """The batch on the device, which the caller may use at once on its current stream; called
        in the caller's thread.
        """


class HostCarrier:
    """For batches that are where they should be."""

    def begin(self, rows: Rows) -> Rows:
        """Nothing to do."""
        return rows

    def finish(self, rows: Rows) -> Rows:
        """Nothing to do."""
        return rows


class CudaCarrier:
    """Copies batches to a GPU through pinned memory, on a stream of its own.

    So a copy runs beside the caller's kernels, and the caller's stream, not the caller, waits for
    it.

    Parameters
    ----------
    ctx : the GPU
    """

    def __init__(self, ctx: Context) -> None:
        import cupy

        self._cupy = cupy
        self._number = ctx.device_id
        self._keeper = Keeper(ctx)
        with self._device():
            self._stream = cupy.cuda.Stream(non_blocking=True)
        # Pinned memory that a copy may still read, with the event that says when it is done.
        self._read: collections.deque[tuple[Any, list[Any]]] = collections.deque()

    def begin(self, rows: Rows) -> Rows:
        """Queue the copy of a batch from the host. Arrays that are on the GPU stay as they are, and
        are complete when what is now on the calling thread's current stream is done.
        """
        while self._read and self._read[0][0].done:
            self._read.popleft()
        pinned: list[Any] = []
        with self._device():
            self._stream.wait_event(self._cupy.cuda.get_current_stream().record())
        with self._device(), self._stream:
            data = [self._copy(array, pinned) for array in rows.data]
            label = [self._copy(array, pinned) for array in rows.label]
            copied = self._stream.record(self._cupy.cuda.Event(disable_timing=True))
        self._read.append((copied, pinned))
        return rows._replace(data=data, label=label, copied=copied)

    def finish(self, rows: Rows) -> Rows:
        """The batch on the GPU, in the order of the caller's current stream."""
        with self._device():
            self._cupy.cuda.get_current_stream().wait_event(rows.copied)
        self._keeper.hand_over(rows)
        return rows

    def _device(self) -> Any:
        """A new one each time: it remembers what it was entered from, and two threads are here."""
        return self._cupy.cuda.Device(self._number)

    def _copy(self, array: Any, pinned: list[Any]) -> Any:
        import cupyx

        if device_of(array).device_type == "gpu":
            return array
        if hasattr(array, "indptr"):
            import cupyx.scipy.sparse

            from gpuio.nd import sparse

            parts = (array.data, array.indices, array.indptr)
            there = tuple(self._copy(part, pinned) for part in parts)
            return sparse.wrap(cupyx.scipy.sparse.csr_matrix(there, array.shape))
        staged = cupyx.empty_pinned(array.shape, array.dtype)
        np.copyto(staged, array)
        pinned.append(staged)
        there = self._cupy.empty(array.shape, array.dtype)
        there.set(staged, stream=self._stream)
        return nd.wrap(there)
