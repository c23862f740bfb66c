"""Batches of the samples that a replaced `ImageIter.next_sample` gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import Error, UnsupportedError
from gpuio.execution.per_sample import PerSampleRenderer
from gpuio.loading.batch import BadRecord, LoadedBatch
from gpuio.loading.stream import CLOSED, State
from gpuio.sampling.sample_rng import SampleRng, sample_rngs


class _Rows(NamedTuple):
    """Rows of a batch: images, labels, and the samples' numbers in their epoch."""

    images: NDArray[np.generic]
    labels: NDArray[np.float32]
    numbers: NDArray[np.uint64]

    def take(self, rows: NDArray[np.intp]) -> _Rows:
        """A copy of some of the rows."""
        return _Rows(self.images[rows], self.labels[rows], self.numbers[rows])


class NextSampleStream:
    """A stream of batches of the samples that a function gives.

    Each batch is made when it is asked for, on the caller's thread. An incomplete last one is
    filled with its own rows, dropped, or kept for the next epoch. If a sample fails, those before
    it are in the batch that is made when asked again.

    Parameters
    ----------
    next_sample : gives a label and an encoded image; raises StopIteration at the end of an epoch
    batch_size : rows of a batch
    last_batch : "pad", "discard" or "roll_over"
    on_error : "raise", or anything else: a sample that cannot be used is left out, and the next
        takes its place
    seed : the augmentation's seed
    """

    state_fields = ()

    def __init__(
        self,
        next_sample: Callable[[], tuple[Any, Any]],
        *,
        batch_size: int,
        last_batch: str,
        on_error: str,
        seed: int,
    ) -> None:
        self.epoch = 0
        self.ended = False
        self._next_sample = next_sample
        self._batch_size = batch_size
        self._last_batch = last_batch
        self._on_error = on_error
        self._seed = seed
        self._given = 0  # samples of this epoch
        self._rngs: list[SampleRng] = []  # of this epoch's samples from `_first_rng` on
        self._first_rng = 0
        self._kept: _Rows | None = None  # the first samples of the next batch
        self._kept_bad: list[BadRecord] = []  # those that were left out before it failed
        self._rolled_over = 0  # how many of them are of the epoch before
        self._closed = False

    def set_renderer(
        self, renderer: PerSampleRenderer, label_shape: tuple[int, ...], label_fill: float
    ) -> None:
        """Set what makes the samples, from the next batch on.

        Parameters
        ----------
        label_shape, label_fill : of one sample's label, and its initial value
        """
        self._renderer = renderer
        self._label_shape = label_shape or (1,)
        self._label_fill = label_fill
        if self._kept is not None:
            kept = self._kept.labels
            labels = np.full((len(kept), *self._label_shape), label_fill, np.float32)
            labels[tuple(map(slice, kept.shape))] = kept
            self._kept = self._kept._replace(labels=labels)

    def next(self) -> LoadedBatch | None:
        """The next batch; None at the end of the epoch."""
        if self._closed:
            raise Error(CLOSED)
        if self.ended:
            return None
        size = self._batch_size
        rows = _Rows(
            self._renderer.empty(size),
            np.full((size, *self._label_shape), self._label_fill, np.float32),
            np.zeros(size, np.uint64),
        )
        count, carried = 0, self._rolled_over
        if self._kept is not None:
            count = len(self._kept.numbers)
            rows.images[:count] = self._kept.images
            rows.labels[:count] = self._kept.labels
            rows.numbers[:count] = self._kept.numbers
        bad, ended = [*self._kept_bad], False
        try:
            while count < size:
                try:
                    label, encoded = self._next_sample()
                except StopIteration:
                    ended = True
                    break
                number = self._given
                self._given += 1
                try:
                    self._renderer.render(
                        label, encoded, self._rng(number), rows.images[count], rows.labels[count]
                    )
                except Error as error:
                    bad.append(self._bad_record(number, error))
                    continue
                rows.numbers[count] = number
                count += 1
        except BaseException:
            # The function gives them only once.
            self._kept, self._kept_bad = rows.take(np.arange(count)), bad
            raise
        self._kept, self._kept_bad, self._rolled_over, self.ended = None, [], 0, ended
        return self._finish(rows, count, carried, tuple(bad))

    def _rng(self, number: int) -> SampleRng:
        """The random numbers of a sample of the epoch."""
        if not 0 <= number - self._first_rng < len(self._rngs):
            numbers = np.arange(number, number + self._batch_size)
            epochs = np.full(self._batch_size, self.epoch)
            self._rngs, self._first_rng = sample_rngs(self._seed, epochs, numbers), number
        return self._rngs[number - self._first_rng]

    def _bad_record(self, number: int, error: Error) -> BadRecord:
        place = f"sample {number} of epoch {self.epoch}"
        if self._on_error == "raise":
            raise type(error)(f"{place}: {error}") from error
        return BadRecord(number, place, str(error), "", 0)

    def _finish(
        self, rows: _Rows, count: int, carried: int, bad: tuple[BadRecord, ...]
    ) -> LoadedBatch | None:
        size = self._batch_size
        if count < size and self._last_batch == "roll_over":
            self._kept, self._rolled_over = rows.take(np.arange(count)), count
        if not count or (count < size and self._last_batch != "pad"):
            if not bad:
                return None
            return LoadedBatch([], [rows.labels], size, rows.numbers, bad, any_good=count > 0)
        if count < size:
            rows = rows.take(np.resize(np.arange(count), size))
        return LoadedBatch(
            [rows.images], [rows.labels], size - count, rows.numbers, bad, carried=carried
        )

    def reset(self) -> None:
        """Begin the next epoch."""
        if self._given and not self.ended:
            self.drop_carried()
        if self._given or self.ended:
            self.epoch += 1
        self._given = 0
        self._rngs = []
        self.ended = False

    def drop_carried(self) -> None:
        """Drop the samples that would roll over."""
        self._kept, self._kept_bad, self._rolled_over = None, [], 0

    def state(self) -> State:
        """Raise: only `next_sample` knows its position.

        Raises
        ------
        UnsupportedError : always.
        """
        raise UnsupportedError(
            "an iterator with a next_sample of its own cannot save its state; replace other "
            "methods, or save what it needs yourself"
        )

    def check(self, state: State) -> None:
        """Raise, as `state` does."""
        self.state()

    def restore(self, state: State) -> None:
        """Raise, as `state` does."""
        self.state()

    def wake(self, interruptions: Mapping[int, str]) -> None:
        """Do nothing: the batches are made on the caller's thread."""

    def close(self) -> None:
        """Refuse further batches."""
        self._closed = True
