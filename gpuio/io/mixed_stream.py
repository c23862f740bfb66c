"""The stream under MixIter: which iterator is next, epochs, states."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import Error, StateError
from gpuio.io.wrapped import MISPLACED, close_all, load_state, put_back, state_of
from gpuio.iterators.data_iter import DataIter
from gpuio.iterators.desc import DataBatch, as_batch
from gpuio.iterators.stream_iter import StreamIter, check_state
from gpuio.loading.states import as_integer, field, flag, integer, items
from gpuio.loading.stream import CLOSED, PlacedStream, State
from gpuio.sampling.mixture import count_before, times

# Batches of an epoch at most.
MOST_BATCHES = 2**40


class _Place(NamedTuple):
    """The caller's position among the batches of several iterators.

    Attributes
    ----------
    epoch : its number, from 0
    taken : batches of each iterator in this epoch
    lengths : of each iterator that has ended in this epoch, how many batches that took the first
        time; 0 for the others
    ended : whether the epoch has ended
    moving : the number of an iterator that is giving a batch, and where it was before; None: none
    """

    epoch: int
    taken: tuple[int, ...]
    lengths: tuple[int, ...]
    ended: bool = False
    moving: tuple[int, State | None] | None = None


class MixedStream(PlacedStream):
    """Stream of the batches of several iterators.

    Parameters
    ----------
    iterators : closed with this
    shares : float64 (iterators,), which add up to 1
    seed : determines the order
    size : batches in an epoch; None: see `until_all`
    until_all : an epoch ends when each iterator has ended; False: when one has

    Attributes
    ----------
    source : the number of the iterator that gave the last batch; None: before the first one, and
        after a change of the position
    """

    state_fields = ("epoch", "taken", "lengths", "ended", "iterators")

    _place: _Place

    def __init__(
        self,
        iterators: list[DataIter],
        shares: NDArray[np.float64],
        seed: int,
        size: int | None,
        until_all: bool,
    ) -> None:
        self._iterators = iterators
        self._numbers = np.arange(len(iterators))
        self._shares = shares
        self._seed = seed
        self._size = size
        self._until_all = until_all
        self._place = self._begun(0)
        self._failure: BaseException | None = None
        self._closed = False
        self.source: int | None = None

    def next(self) -> DataBatch | None:
        """The next batch of the iterator whose turn it is; iterators that have ended are reset, if
        the epoch goes on.
        """
        if self._closed:
            raise Error(CLOSED)
        place = self._place
        if place.ended:
            return None
        if self._failure is not None:
            raise Error(MISPLACED) from self._failure
        source = self._next_source(place)
        before = state_of(self._iterators[source])
        try:
            self._place = place._replace(moving=(source, before))
            batch, after = self._draw(place, source)
            self.source, self._place = source, after
        except BaseException:
            # Also where a signal handler has raised after the iterator had moved on.
            if before is not None and not self._closed:
                load_state(self._iterators[source], before)
            self._place = place
            raise
        return batch

    def _draw(self, place: _Place, source: int) -> tuple[DataBatch | None, _Place]:
        """The next batch, None at the end of the epoch, and the position after it."""
        inner, taken = self._iterators[source], place.taken[source]
        found, lengths = next(inner, None), place.lengths
        if found is None:
            if taken and self._size is None:
                lengths = _with(lengths, source, lengths[source] or taken)
                if all(lengths) or not self._until_all:
                    return None, place._replace(lengths=lengths, ended=True)
            inner.reset()
            found = next(inner, None)
            if found is None:
                raise Error(
                    f"iterator {source}, {type(inner).__name__}, has no batches, even after reset()"
                )
        counts = _with(place.taken, source, taken + 1)
        return as_batch(found), _Place(place.epoch, counts, lengths, sum(counts) == self._size)

    def reset(self) -> None:
        """Begin the next epoch."""
        place = self._place
        if any(place.taken) or place.ended or self._failure is not None:
            if self._size is None:
                before = [state_of(inner) for inner in self._iterators]
                try:
                    for inner in self._iterators:
                        inner.reset()
                except BaseException as error:
                    if not put_back(self._iterators, before):
                        self._failure = error  # some of them may have been reset
                    raise
            self._place, self._failure = self._begun(place.epoch + 1), None
        self.source = None

    def state(self) -> State:
        """Save the position, and those of all iterators."""
        place = self._place
        states = [state_of(inner) for inner in self._iterators]
        if place.moving is not None:  # within `next`, for a signal handler
            source, before = place.moving
            states[source] = before
        for inner, state in zip(self._iterators, states, strict=True):
            if state is None:
                raise NotImplementedError(f"{type(inner).__name__} cannot save its state")
        return {
            "epoch": place.epoch,
            "taken": [*place.taken],
            "lengths": [*place.lengths],
            "ended": place.ended,
            "iterators": copy.deepcopy(states),
        }

    def check(self, state: State) -> None:
        """Check a saved position; see `Stream.check`."""
        self._saved(state)
        count = len(self._iterators)
        for inner, each in zip(self._iterators, items(state, "iterators", count), strict=True):
            check_state(inner, each)

    def restore(self, state: State) -> None:
        """Restore a saved position. If an iterator refuses it, all stay where they are."""
        place, inner = self._saved(state), field(state, "iterators")
        before = [state_of(iterator) for iterator in self._iterators]
        try:
            for iterator, each in zip(self._iterators, inner, strict=True):
                load_state(iterator, each)
        except BaseException as error:
            if not put_back(self._iterators, before):
                self._failure = error
            raise
        self._place, self._failure, self.source = place, None, None

    def wake(self, interruptions: Mapping[int, str]) -> None:
        """Wake the thread that waits for a batch, if it is one of gpuio's iterators."""
        for inner in self._iterators:
            if isinstance(inner, StreamIter):
                inner._stream.wake(interruptions)

    def close(self) -> None:
        """Close the iterators. May be called twice."""
        self._closed = True
        close_all(self._iterators)

    def length(self) -> int:
        """The number of batches in the current epoch; see `MixIter.__len__`."""
        if self._size is not None:
            return self._size
        place = self._place
        lengths = []
        for inner, known in zip(self._iterators, place.lengths, strict=True):
            if not known and not hasattr(inner, "__len__"):
                raise TypeError(
                    f"the length of an epoch is not known: {type(inner).__name__} has no len()"
                )
            lengths.append(known or len(inner))  # type: ignore[arg-type]  # checked
        # An iterator's end is found at the time of the batch that it does not have.
        ends = self._times(place.epoch, np.array(lengths))
        end = float(ends.max() if self._until_all else ends.min())
        return int(count_before(self._seed, place.epoch, end, self._shares).sum())

    def _begun(self, epoch: int) -> _Place:
        """The position at the beginning of an epoch."""
        none = (0,) * len(self._iterators)
        return _Place(epoch, none, none)

    def _times(self, epoch: int, taken: NDArray[np.int64]) -> NDArray[np.float64]:
        """When the next batch of each iterator comes, (iterators,); see `mixture.times`."""
        return times(self._seed, epoch, self._numbers, taken, self._shares)

    def _next_source(self, place: _Place) -> int:
        """The number of the iterator whose turn it is."""
        return int(self._times(place.epoch, np.array(place.taken)).argmin())

    def _saved(self, state: State) -> _Place:
        """The position that a state holds.

        Raises
        ------
        StateError : it is not one of this stream.
        """
        epoch, ended = integer(state, "epoch"), flag(state, "ended")
        taken, lengths = (
            tuple(
                as_integer(name, each, most=MOST_BATCHES)
                for each in items(state, name, len(self._iterators))
            )
            for name in ("taken", "lengths")
        )
        if self._size is not None:
            over = sum(taken) == self._size
            wrong = any(lengths) or sum(taken) > self._size
        else:
            over = all(lengths) if self._until_all else any(lengths)
            wrong = any(length > count for length, count in zip(lengths, taken, strict=True))
        if ended != over or wrong:
            raise StateError(
                f"the state's taken {list(taken)} and lengths {list(lengths)} contradict "
                f"ended={ended}"
            )
        latest = self._times(epoch, np.maximum(np.array(taken) - 1, 0))[np.array(taken) > 0]
        if latest.max(initial=0) > self._times(epoch, np.array(taken)).min():
            raise StateError(
                f"the state's taken {list(taken)} are not batches that come first with these "
                "weights and this seed"
            )
        return _Place(epoch, taken, lengths, ended)


def _with(values: tuple[int, ...], index: int, value: int) -> tuple[int, ...]:
    """A tuple with another value at an index."""
    return (*values[:index], value, *values[index + 1 :])
