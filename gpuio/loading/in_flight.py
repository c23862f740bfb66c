"""Batches on a GPU that the caller may still be working on."""

from __future__ import annotations

import collections
from typing import Any

from gpuio.context import Context, on_device


class InFlightBatches:
    """Retains batches on a GPU until the caller's work on them is done.

    CuPy's memory pool would reuse a batch's memory as soon as the caller drops it, although the
    caller's kernels may still be queued on a stream that the pool does not know. So each batch is
    also retained here until the work that the caller had queued on its current stream, when it
    asked for the next one, is done.

    Parameters
    ----------
    ctx : the GPU
    """

    def __init__(self, ctx: Context) -> None:
        import cupy

        self._cupy = cupy
        self._ctx = ctx
        self._latest: object = None
        self._retained: collections.deque[tuple[Any, object]] = collections.deque()

    def retain(self, batch: object) -> None:
        """Retain a batch that the caller now gets, and release those whose work is done; called on
        the caller's thread.
        """
        with on_device(self._ctx):
            if self._latest is not None:
                done = self._cupy.cuda.get_current_stream().record()
                self._retained.append((done, self._latest))
            while self._retained and self._retained[0][0].done:
                self._retained.popleft()
        self._latest = batch
