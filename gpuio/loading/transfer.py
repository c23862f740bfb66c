"""Copying batches to a GPU."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from gpuio import nd
from gpuio.context import Context, device_of, on_device
from gpuio.in_flight import keep_until, release_done, retire_stream
from gpuio.loading.batch import LoadedBatch
from gpuio.loading.hand_over import share_arrays
from gpuio.nd import sparse
from gpuio.nd.placement import plain


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
        with on_device(self._ctx):
            self._stream = cupy.cuda.Stream(non_blocking=True)
        weakref.finalize(self, retire_stream, ctx.device_id, self._stream).atexit = False

    def copy_async(self, batch: LoadedBatch) -> LoadedBatch:
        """Queue the copy of a batch from the host; called on any thread.

        Arrays already on the GPU stay as they are; they are complete after the work queued on the
        calling thread's current stream.

        Returns
        -------
        The batch with arrays on the GPU, which have owners and can be handed to another thread
        """
        release_done(self._ctx.device_id)
        arrays = [*batch.data, *batch.label]
        pinned: list[Any] = []
        with on_device(self._ctx):
            if any(device_of(array) == self._ctx for array in arrays):
                self._stream.wait_event(self._cupy.cuda.get_current_stream().record())
            copied = self._cupy.cuda.Event(disable_timing=True)
            try:
                with self._stream:
                    copies = [self._copy(array, pinned) for array in arrays]
            finally:  # what is queued runs, even if the rest could not be
                self._stream.record(copied)
                keep_until(self._ctx.device_id, [copied], pinned)
        copies = share_arrays(copies, copied)
        count = len(batch.data)
        return batch._replace(data=copies[:count], label=copies[count:])

    def _copy(self, array: Any, pinned: list[Any]) -> Any:
        import cupyx

        if device_of(array) == self._ctx:
            return array
        if hasattr(array, "indptr"):
            import cupyx.scipy.sparse

            parts = (array.data, array.indices, array.indptr)
            copies = tuple(plain(self._copy(part, pinned)) for part in parts)
            # CuPy looks at two of the values: this thread waits for these copies.
            return sparse.wrap(cupyx.scipy.sparse.csr_matrix(copies, array.shape))
        if device_of(array).device_type == "gpu":
            array = nd.wrap(array).asnumpy()  # from another GPU
        staged = cupyx.empty_pinned(array.shape, array.dtype)
        np.copyto(staged, array)
        pinned.append(staged)
        copy = self._cupy.empty(array.shape, array.dtype)
        copy.set(staged, stream=self._stream)
        return nd.wrap(copy)
