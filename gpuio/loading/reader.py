"""Reading: from the indices of a batch to its encoded images and their plan."""

from __future__ import annotations

import numpy as np

from gpuio.decoding.header import read_header
from gpuio.errors import Error
from gpuio.loading.batch import ImageBatch
from gpuio.loading.source import ImageSource
from gpuio.planning.planner import Planner, Samples
from gpuio.sampling.order import BatchIndices


class BatchReader:
    """Reads the records of a batch and plans it. Safe to use from several threads.

    Parameters
    ----------
    source : where the records come from
    planner : plans the batches; None: they get no plan, and their labels are left at `label_fill`
    label_shape : of one sample
    label_fill : initial value of all labels
    apply_orientation : rotate images as their EXIF orientation says
    """

    def __init__(
        self,
        source: ImageSource,
        planner: Planner | None,
        label_shape: tuple[int, ...],
        label_fill: float = 0.0,
        apply_orientation: bool = True,
    ) -> None:
        self.source = source
        self.planner = planner
        self.apply_orientation = apply_orientation
        self._label_shape = label_shape or (1,)
        self._label_fill = label_fill

    def read(self, indices: BatchIndices) -> ImageBatch:
        """Read and plan one batch."""
        epoch, record = indices.epoch, indices.record
        count = len(record)
        batch = ImageBatch(
            indices=indices,
            epoch=epoch,
            record=record,
            encoded=[None] * count,
            headers=[None] * count,
            plan=None,
            labels=np.full((count, *self._label_shape), self._label_fill, np.float32),
            errors={},
        )
        if self.planner is None:
            self._read_encoded(batch)
        else:
            self._read_planned(batch, self.planner)
        return batch

    def _read_encoded(self, batch: ImageBatch) -> None:
        for row, index in enumerate(batch.record.tolist()):
            try:
                batch.encoded[row] = self.source.read(index)
            except Error as error:
                batch.errors[row] = error

    def _read_planned(self, batch: ImageBatch, planner: Planner) -> None:
        sizes = np.ones((len(batch), 2), np.int64)
        for row, index in enumerate(batch.record.tolist()):
            try:
                encoded = self.source.read(index)
                header = read_header(encoded.data)
            except Error as error:
                batch.errors[row] = error
                continue
            if not self.apply_orientation:
                header = header.without_orientation()
            batch.encoded[row], batch.headers[row] = encoded, header
            sizes[row] = header.width, header.height
        labels = [None if each is None else each.label for each in batch.encoded]
        planned = planner.plan(Samples(batch.epoch, batch.record, sizes, labels))
        batch.plan = planned.plan
        batch.errors.update(planned.errors)
        for row, label in enumerate(planned.labels):
            if label is not None:
                batch.labels[row] = label
