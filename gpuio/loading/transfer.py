"""Batches on their way to the device of the iterator."""

from __future__ import annotations

import collections
from typing import Any, Protocol

import numpy as np

from gpuio import nd
from gpuio.context import Context, device_of
from gpuio.loading.batch import LoadedBatch
from gpuio.loading.in_flight import InFlightBatches


class DeviceTransfer(Protocol):
    """What brings batches to a device."""

    def copy_async(self, batch: LoadedBatch) -> LoadedBatch:
        """Begin to bring a batch there; called in any thread."""

    def wait(self, batch: LoadedBatch) -> LoadedBatch:
        """The batch on the device, which the caller may use at once on its current stream; called
        in the caller's thread.
        """


class HostTransfer:
    """For batches that are where they should be."""

    def copy_async(self, batch: LoadedBatch) -> LoadedBatch:
        """Nothing to do."""
        return batch

    def wait(self, batch: LoadedBatch) -> LoadedBatch:
        """Nothing to do."""
        return batch


class CudaTransfer:
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
        self._keeper = InFlightBatches(ctx)
        with self._device():
            self._stream = cupy.cuda.Stream(non_blocking=True)
        # Pinned memory that a copy may still read, with the event that says when it is done.
        self._read: collections.deque[tuple[Any, list[Any]]] = collections.deque()

    def copy_async(self, batch: LoadedBatch) -> LoadedBatch:
        """Queue the copy of a batch from the host. Arrays that are on the GPU stay as they are, and
        are complete when what is now on the calling thread's current stream is done.
        """
        while self._read and self._read[0][0].done:
            self._read.popleft()
        pinned: list[Any] = []
        with self._device():
            self._stream.wait_event(self._cupy.cuda.get_current_stream().record())
        with self._device(), self._stream:
            data = [self._copy(array, pinned) for array in batch.data]
            label = [self._copy(array, pinned) for array in batch.label]
            copied = self._stream.record(self._cupy.cuda.Event(disable_timing=True))
        self._read.append((copied, pinned))
        return batch._replace(data=data, label=label, copied=copied)

    def wait(self, batch: LoadedBatch) -> LoadedBatch:
        """The batch on the GPU, in the order of the caller's current stream."""
        with self._device():
            self._cupy.cuda.get_current_stream().wait_event(batch.copied)
        self._keeper.retain(batch)
        return batch

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
