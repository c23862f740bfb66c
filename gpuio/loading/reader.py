"""Reading: from the indices of a batch to its encoded images and their plan."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gpuio.decoding.header_codes import (
    pixels_of,
    sizes_of,
    structures_of,
    without_orientation,
)
from gpuio.decoding.limits import MAX_PIXELS
from gpuio.decoding.structure import without_large
from gpuio.errors import Error
from gpuio.loading.batch import EncodedRows, ImageBatch
from gpuio.loading.headers import HeaderReader
from gpuio.loading.source import Encoded, EncodedBatch, ImageSource, read_or_error
from gpuio.loading.stages import PLAN, READ, StageTimes
from gpuio.planning.planner import Labels, Planner, Samples, listed
from gpuio.sampling.order import BatchIndices
from gpuio.storage.parts import Bulk


class BatchReader:
    """Reads the records of a batch and plans it. Safe to use from several threads.

    Parameters
    ----------
    source : where the records come from
    planner : plans the batches; None: they get no plan, and their labels are left at `label_fill`
    label_shape : of one sample
    label_fill : initial value of all labels
    apply_orientation : rotate images as their EXIF orientation says
    max_pixels : the most pixels of an image, see `decoding.limits`
    stages : where the time that stages take is added; None: nobody asks for it
    """

    def __init__(
        self,
        source: ImageSource,
        planner: Planner | None,
        label_shape: tuple[int, ...],
        label_fill: float = 0.0,
        apply_orientation: bool = True,
        max_pixels: int = MAX_PIXELS,
        stages: StageTimes | None = None,
    ) -> None:
        self.source = source
        self.planner = planner
        self.apply_orientation = apply_orientation
        self._label_shape = label_shape or (1,)
        self._label_fill = label_fill
        self._max_pixels = max_pixels
        self.stages = StageTimes() if stages is None else stages
        self._headers = HeaderReader(len(source), max_pixels)

    def read(self, indices: BatchIndices) -> ImageBatch:
        """Read and plan one batch."""
        record = indices.record
        with self.stages.measure(READ):
            read = self.source.read_batch(record)
        with self.stages.measure(PLAN):
            return self._planned(indices, record, read)

    def read_whole(self, indices: BatchIndices, bulk: Bulk | None = None) -> list[Encoded | Error]:
        """Read the records of a batch, with all of their images in memory.

        Parameters
        ----------
        bulk : how to read most of them at once
        """
        with self.stages.measure(READ):
            return [
                each if isinstance(each, Error) else read_or_error(each.in_memory)
                for each in self.source.read_batch(indices.record, bulk)
            ]

    def plan(
        self, indices: BatchIndices, read: Sequence[Encoded | Error], strict: bool = False
    ) -> ImageBatch:
        """Plan a batch that has been read.

        Parameters
        ----------
        read : of each record what was read, or why it cannot be used
        strict : also check the images' structure, for DALI; see `ImageBatch.structures`. They must
            be in memory
        """
        with self.stages.measure(PLAN):
            return self._planned(indices, indices.record, read, strict)

    def _planned(
        self,
        indices: BatchIndices,
        record: NDArray[np.int64],
        read: Sequence[Encoded | Error],
        strict: bool = False,
    ) -> ImageBatch:
        count = len(record)
        found = EncodedBatch.of(read)
        batch = ImageBatch(
            indices=indices,
            epoch=indices.epoch,
            record=record,
            encoded=EncodedRows(found),
            codes=np.zeros(count, np.uint64),
            plan=None,
            labels=np.full((count, *self._label_shape), self._label_fill, np.float32),
            errors=dict(found.errors),
        )
        if self.planner is not None:
            self._plan(batch, self.planner, strict)
        return batch

    def _plan(self, batch: ImageBatch, planner: Planner, strict: bool) -> None:
        codes, errors = self._headers.read(
            batch.record, batch.encoded, strict, keep=self.source.immutable
        )
        if errors:
            batch.errors |= errors
            batch.encoded = batch.encoded.without(errors)
        if strict:
            batch.structures = without_large(structures_of(codes), pixels_of(codes))
        if not self.apply_orientation:
            codes = without_orientation(codes)
        sizes = sizes_of(codes)
        if bad := list(batch.errors):
            codes[bad], sizes[bad] = 0, 1
        batch.codes = codes
        labels = batch.encoded.labels
        planned = planner.plan(Samples(batch.epoch, batch.record, sizes, labels, self._max_pixels))
        batch.plan = planned.plan
        batch.errors = planned.errors | batch.errors
        _assign_labels(batch.labels, planned.labels)


def _assign_labels(labels: NDArray[np.float32], planned: Labels) -> None:
    """Assign labels to the rows of a batch's, (B, …), except where they are None."""
    single = labels.shape[1:] == (1,)
    if single and (isinstance(planned, np.ndarray) or set(map(type, planned)) <= {float}):
        labels[:, 0] = planned
        return
    for row, label in enumerate(listed(planned)):
        if label is not None:
            labels[row] = label
