"""Batches of what an iterator's `next_sample` gives, one sample after another."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuio.errors import Error, UnsupportedError
from gpuio.loading.batch import BadRecord, LoadedBatch
from gpuio.loading.stream import CLOSED

if TYPE_CHECKING:
    from gpuio.image.image_iter import ImageIter


class NextSampleStream:
    """A stream of batches whose samples an ImageIter of one's own chooses.

    Each batch is made when it is asked for, in the caller's thread. An incomplete last one is
    filled with its own rows, dropped, or kept for the next epoch, as the iterator's order says.

    Parameters
    ----------
    owner : the iterator
    policy : "raise"; or else a sample that cannot be used is left out, and the next takes its place
    """

    def __init__(self, owner: ImageIter, policy: str) -> None:
        self.epoch = 0
        self.ended = False
        self._owner = weakref.ref(owner)
        self._policy = policy
        self._given = 0  # samples of this epoch
        self._carried: list[tuple[Any, Any, int]] = []
        self._closed = False

    def next(self) -> LoadedBatch | None:
        """The next batch; None where the epoch has ended."""
        owner = self._owner()
        if self._closed or owner is None:
            raise Error(CLOSED)
        if self.ended:
            return None
        rows = owner.batch_size
        pictures = np.empty((rows, *owner.data_shape), np.float32)
        labels = owner.empty_labels(rows)
        keys = np.zeros(rows, np.uint64)
        count, bad = 0, []
        for picture, label, key in self._carried:
            pictures[count], labels[count], keys[count] = picture, label, key
            count += 1
        self._carried = []
        while count < rows:
            try:
                label, encoded = owner.next_sample()
            except StopIteration:
                self.ended = True
                break
            number = self._given
            self._given += 1
            try:
                owner.render(label, encoded, (self.epoch, number), pictures[count], labels[count])
            except Error as error:
                place = f"sample {number} of epoch {self.epoch}"
                if self._policy == "raise":
                    raise type(error)(f"{place}: {error}") from error
                bad.append(BadRecord(number, place, str(error), "", 0))
                continue
            keys[count] = number
            count += 1
        return self._finished(owner, pictures, labels, keys, count, tuple(bad))

    def _finished(
        self, owner: ImageIter, pictures: Any, labels: Any, keys: Any, count: int, bad: Any
    ) -> LoadedBatch | None:
        rows, last_batch = owner.batch_size, owner.last_batch_handle
        if count < rows and last_batch == "roll_over":
            self._carried = [(pictures[n], labels[n], int(keys[n])) for n in range(count)]
        if not count or (count < rows and last_batch != "pad"):
            return LoadedBatch([], [labels], rows, keys, bad) if bad else None
        if count < rows:
            again = np.resize(np.arange(count), rows)
            pictures, labels, keys = pictures[again], labels[again], keys[again]
        return LoadedBatch([pictures], [labels], rows - count, keys, bad)

    def reset(self) -> None:
        """Begin the next epoch."""
        if self._given or self.ended:
            self.epoch += 1
        self._given = 0
        self.ended = False

    def forget(self) -> None:
        """Drop what would have rolled over."""
        self._carried = []

    def state(self) -> dict[str, Any]:
        """Refuse: only `next_sample` knows where it is.

        Raises
        ------
        UnsupportedError : always.
        """
        raise UnsupportedError(
            "an iterator with a next_sample of its own cannot save its state; replace other hooks, "
            "or save what it needs yourself"
        )

    def restore(self, state: dict[str, Any]) -> None:
        """Refuse, as `state` does."""
        self.state()

    def close(self) -> None:
        """Refuse further batches."""
        self._closed = True
