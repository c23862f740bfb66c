"""An iterator of a single batch, for tests of what is done to a batch."""

from typing import Any

import gpuio as mx


class OneBatch(mx.io.DataIter):
    """Gives one array, as it is, in one batch."""

    def __init__(self, array: Any) -> None:
        self.provide_data = [mx.io.DataDesc("data", array.shape)]
        self.provide_label = []
        self.left = [array]

    def next(self) -> mx.io.DataBatch:
        if not self.left:
            raise StopIteration
        return mx.io.DataBatch([self.left.pop()])
