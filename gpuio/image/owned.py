"""What works for an ImageIter in other threads, and does not keep it alive."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import Error
from gpuio.loading.batch import Work, select
from gpuio.sampling.order import BatchIndices

if TYPE_CHECKING:
    from gpuio.image.image_iter import ImageIter


class Of:
    """Base of these: it knows its iterator."""

    def __init__(self, owner: ImageIter) -> None:
        self._owner = weakref.ref(owner)

    def its(self) -> ImageIter:
        """The iterator."""
        owner = self._owner()
        if owner is None:
            raise Error("the iterator is gone")
        return owner


class Reader(Of):
    """Reads samples."""

    def __call__(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Label and content."""
        return self.its().read(number)


class Room(Of):
    """Makes room for labels."""

    def __call__(self, rows: int) -> NDArray[np.float32]:
        """Those of some samples."""
        return self.its().empty_labels(rows)


class Prepare(Of):
    """Finds the samples of a slice of the stream, with room for their labels."""

    def __init__(self, owner: ImageIter, selection: range) -> None:
        super().__init__(owner)
        self._selection = selection

    def __call__(self, take: BatchIndices) -> Work:
        """Those of one slice."""
        ordinal = select(self._selection, take.record)
        return Work(take=take, ordinal=ordinal, label=self.its().empty_labels(len(ordinal)))


class PerSampleRenderer(Of):
    """Makes samples, one augmenter after another."""

    def empty(self, rows: int) -> NDArray[np.generic]:
        """Memory for a batch."""
        return np.empty((rows, *self.its().data_shape), np.float32)

    def write(self, work: Work, row: int, batch: NDArray[np.generic]) -> None:
        """Decode, augment, transpose."""
        self.its().write_sample(work, row, batch)

    def close(self) -> None:
        """Nothing is kept."""
