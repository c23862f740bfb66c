"""MXNet's ImageRecordIter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mxnet as mx

from tests.benchmarks.images.job import Job
from tests.benchmarks.images.record_options import record_options


class Lazy:
    """An array that is converted only where NumPy asks for it."""

    def __init__(self, array: mx.nd.NDArray) -> None:
        self._array = array
        array.wait_to_read()

    def __array__(self, *_: Any) -> Any:
        return self._array.asnumpy()

    def __len__(self) -> int:
        return self._array.shape[0]


def batches(job: Job) -> Iterator[Any]:
    """Batches, epoch after epoch."""
    iterator = mx.io.ImageRecordIter(**record_options(job))
    while True:
        for batch in iterator:
            yield Lazy(batch.data[0]), Lazy(batch.label[0])
        iterator.reset()


def versions() -> dict[str, str]:
    return {"MXNet": mx.__version__}
