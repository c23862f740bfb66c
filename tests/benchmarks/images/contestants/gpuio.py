"""gpuio's ImageRecordIter."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import gpuio as mx
from tests.benchmarks.images.job import Job
from tests.benchmarks.images.record_options import record_options


def batches(job: Job, native: bool) -> Iterator[Any]:
    """Batches, epoch after epoch. `native`: only with the native module."""
    if native:
        from gpuio.native import state

        in_use, reason = state()
        if not in_use:
            raise ImportError(reason)
    iterator = mx.io.ImageRecordIter(**record_options(job))
    while True:
        for batch in iterator:
            yield batch.data[0], batch.label[0]
        iterator.reset()


def versions() -> dict[str, str]:
    found = {"gpuio": mx.__version__}
    with contextlib.suppress(ImportError):  # earlier versions, measured for comparison, have none
        from gpuio.native import state

        in_use, libjpeg = state()
        if in_use:
            found["gpuio's native module with"] = libjpeg
    return found
