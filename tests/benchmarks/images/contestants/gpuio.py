"""gpuio's ImageRecordIter."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import gpuio as mx
from tests.benchmarks.images.job import Job
from tests.benchmarks.images.record_options import record_options


def batches(job: Job, native: bool) -> Iterator[Any]:
    """Batches, epoch after epoch. `native`: only with the native module."""
    if native:
        in_use, reason = importlib.import_module("gpuio.native").state()
        if not in_use:
            raise ImportError(reason)
    iterator = mx.io.ImageRecordIter(**record_options(job))
    while True:
        for batch in iterator:
            yield batch.data[0], batch.label[0]
        iterator.reset()


def versions() -> dict[str, str]:
    return {"gpuio": mx.__version__}
