"""Copying batches to a GPU."""

from __future__ import annotations

import collections
from typing import Any

import numpy as np

from gpuio import nd
from gpuio.context import Context, device_of, on_device
from gpuio.loading.batch import LoadedBatch
from gpuio.loading.in_flight import InFlightBatches


class DeviceTransfer:
    """Copies batches to a GPU through pinned memory, on its own stream.

    A copy overlaps with the caller's kernels; the caller's stream waits for it, not the caller.

    Parameters
    ----------
    ctx : the GPU
    """

    def __init__(self, ctx: Context) -> None:
        import cupy

        self._cupy = cupy
        self._ctx = ctx
        self._in_flight = InFlightBatches(ctx)
        with on_device(self._ctx):
            self._stream = cupy.cuda.Stream(non_blocking=True)
        # Pinned memory that a copy may still read, with the event after the copy.
        self._staged: collections.deque[tuple[Any, list[Any]]] = collections.deque()

    def copy_async(self, batch: LoadedBatch) -> LoadedBatch:
        """Queue the copy of a batch from the host; called on any thread.

        Arrays already on the GPU stay as they are; they are complete after the work queued on the
        calling thread's current stream.
        """
        while self._staged and self._staged[0][0].done:
            self._staged.popleft()
        pinned: list[Any] = []
        with on_device(self._ctx):
            self._stream.wait_event(self._cupy.cuda.get_current_stream().record())
        with on_device(self._ctx), self._stream:
            data = [self._copy(array, pinned) for array in batch.data]
            label = [self._copy(array, pinned) for array in batch.label]
            copied = self._stream.record(self._cupy.cuda.Event(disable_timing=True))
        self._staged.append((copied, pinned))
        return batch._replace(data=data, label=label, copied=copied)

    def wait(self, batch: LoadedBatch) -> LoadedBatch:
        """Let the caller's current stream wait for the copy; called on the caller's thread."""
        with on_device(self._ctx):
            self._cupy.cuda.get_current_stream().wait_event(batch.copied)
        self._in_flight.retain(batch)
        return batch

    def _copy(self, array: Any, pinned: list[Any]) -> Any:
        import cupyx

        if device_of(array).device_type == "gpu":
            return array
        if hasattr(array, "indptr"):
            import cupyx.scipy.sparse

            from gpuio.nd import sparse

            parts = (array.data, array.indices, array.indptr)
            copies = tuple(self._copy(part, pinned) for part in parts)
            return sparse.wrap(cupyx.scipy.sparse.csr_matrix(copies, array.shape))
        staged = cupyx.empty_pinned(array.shape, array.dtype)
        np.copyto(staged, array)
        pinned.append(staged)
        copy = self._cupy.empty(array.shape, array.dtype)
        copy.set(staged, stream=self._stream)
        return nd.wrap(copy)
