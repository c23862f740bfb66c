"""Batches on a GPU that the caller may still be working on."""

from __future__ import annotations

import collections
from typing import Any

from gpuio.context import Context


class InFlightBatches:
    """Holds what was handed out on a GPU until the caller's work on it is done.

    CuPy's memory pool would give a batch's memory to the next one as soon as the caller drops it,
    though the caller's kernels may still be queued, on a stream that the pool knows nothing of. So
    each batch is also held here until the work that the caller had put on its current stream by the
    time it asked for the next one is done.

    Parameters
    ----------
    ctx : the GPU
    """

    def __init__(self, ctx: Context) -> None:
        import cupy

        self._cupy = cupy
        self._number = ctx.device_id
        self._latest: Any = None
        self._held: collections.deque[tuple[Any, Any]] = collections.deque()

    def retain(self, batch: Any) -> None:
        """Note that the caller now gets `batch`, and let go of the one before in its own time.

        Called in the caller's thread.
        """
        with self._cupy.cuda.Device(self._number):
            if self._latest is not None:
                done = self._cupy.cuda.get_current_stream().record()
                self._held.append((done, self._latest))
            while self._held and self._held[0][0].done:
                self._held.popleft()
        self._latest = batch
