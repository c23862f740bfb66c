"""The stream under PrefetchingIter: batches of several iterators, made ahead and joined."""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gpuio.errors import Error
from gpuio.io.wrapped import MISPLACED, close_all, load_state, put_back, state_of
from gpuio.iterators.data_iter import DataIter
from gpuio.iterators.desc import DataBatch, as_batch
from gpuio.iterators.stream_iter import check_state
from gpuio.loading.hand_over import change_arrays, share_arrays
from gpuio.loading.outcome import CLOSED_MEANWHILE
from gpuio.loading.prefetch import Prefetcher
from gpuio.loading.states import flag, integer, items
from gpuio.loading.stream import CLOSED, PlacedStream, State


class _Prefetched(NamedTuple):
    batch: DataBatch
    state: State | None  # of the iterator, after the batch


def _next_batch(iterator: DataIter) -> _Prefetched | None:
    """The iterator's next batch, for another thread than the calling one."""
    found = next(iterator, None)
    if found is None:
        return None
    batch = as_batch(found)
    # Also if the iterator's own stream is done with them: a user's own may have worked on them.
    return _Prefetched(change_arrays(batch, share_arrays), state_of(iterator))


class _Place(NamedTuple):
    """The caller's position among the batches of several iterators.

    Attributes
    ----------
    epoch : its number, from 0
    handed : batches handed out in this epoch
    ended : whether the epoch has ended
    states : the iterators' positions; None: it cannot be saved
    number : of the next batch, see `Prefetcher`
    """

    epoch: int
    handed: int
    ended: bool
    states: list[State | None]
    number: int


class JoinedStream(PlacedStream):
    """Stream of the joined batches of several iterators.

    Parameters
    ----------
    iterators : used by the threads, and closed with this
    depth : batches that may wait for the caller, at least 1

    Attributes
    ----------
    depth : see above
    asked : how often a batch was asked for
    ready : how many batches were finished at these times, all together
    """

    state_fields = ("epoch", "handed", "ended", "iterators")

    _place: _Place

    def __init__(self, iterators: list[DataIter], depth: int) -> None:
        self._iterators = iterators
        self.depth = depth
        self.asked = self.ready = 0
        self._place = _Place(0, 0, False, self._inner_states(), 0)
        self._prefetchers: list[Prefetcher[_Prefetched]] = []
        self._lock = threading.RLock()  # other threads and signal handlers may call `close`
        self._failure: BaseException | None = None
        self._interruptions: Mapping[int, str] = {}
        self._closed = False

    def next(self) -> DataBatch | None:
        """The next batch of all iterators together."""
        if self._closed:
            raise Error(CLOSED)
        place = self._place
        if place.ended:
            return None
        if self._failure is not None:
            raise Error(MISPLACED) from self._failure
        prefetchers = self._start_prefetching()
        self.asked += 1
        self.ready += min(prefetcher.ready for prefetcher in prefetchers)
        try:
            results = [prefetcher.get(place.number) for prefetcher in prefetchers]
        except BaseException as error:
            failed = any(prefetcher.failed for prefetcher in prefetchers)
            if failed and not self._closed and not self._rewind():
                self._failure = error
            raise
        found = [result for result in results if result is not None]
        if not found:
            # Some iterators know only now that they have ended.
            self._place = place._replace(ended=True, states=self._inner_states())
            return None
        if len(found) < len(results):
            self._failure = self._mismatch(results)
            raise self._failure
        first = found[0].batch
        batch = DataBatch(
            [array for result in found for array in result.batch.data or ()],
            [array for result in found for array in result.batch.label or ()],
            first.pad,
            first.index,
            bucket_key=first.bucket_key,
            padding=first.padding,
        )
        states = [result.state for result in found]
        self._place = _Place(place.epoch, place.handed + 1, False, states, place.number + 1)
        for prefetcher in prefetchers:
            prefetcher.drop(place.number)
        return batch

    def reset(self) -> None:
        """Begin the next epoch of every iterator."""
        place = self._place
        if place.handed or place.ended or self._failure is not None:
            if not place.ended:
                self._rewind()
            self._stop_prefetching()
            try:
                for iterator in self._iterators:
                    iterator.reset()
            except BaseException as error:
                if None in place.states:
                    self._failure = error  # some of them may have been reset
                raise
            self._begin(place.epoch + 1)
        elif not self._prefetchers:
            self._begin(place.epoch)

    def state(self) -> State:
        """Save the positions of all iterators, prefetched batches not counted."""
        place = self._place
        for iterator, state in zip(self._iterators, place.states, strict=True):
            if state is None:
                raise NotImplementedError(f"{type(iterator).__name__} cannot save its state")
        return {
            "epoch": place.epoch,
            "handed": place.handed,
            "ended": place.ended,
            "iterators": copy.deepcopy(place.states),
        }

    def check(self, state: State) -> None:
        """Check a saved position; see `Stream.check`."""
        *_, inner = self._saved(state)
        for iterator, each in zip(self._iterators, inner, strict=True):
            check_state(iterator, each)

    def restore(self, state: State) -> None:
        """Restore a saved position. If an iterator refuses it, all stay where they are."""
        epoch, count, ended, inner = self._saved(state)
        self._stop_prefetching()
        try:
            for iterator, each in zip(self._iterators, inner, strict=True):
                load_state(iterator, each)
        except BaseException as error:
            if not self._rewind():
                self._failure = error
            raise
        self._begin(epoch, count, ended)

    def wake(self, interruptions: Mapping[int, str]) -> None:
        """Wake the thread that waits for a batch, or is about to; see `Stream.wake`."""
        self._interruptions = interruptions  # before: prefetchers may be created meanwhile
        for prefetcher in self._prefetchers:
            prefetcher.wake(interruptions)

    def _saved(self, state: State) -> tuple[int, int, bool, Sequence[State]]:
        """The position that a state holds: epoch, batches handed out, whether the epoch has ended,
        and the iterators' states.
        """
        return (
            integer(state, "epoch"),
            integer(state, "handed"),
            flag(state, "ended"),
            items(state, "iterators", len(self._iterators)),
        )

    def pause(self) -> None:
        """Stop the threads until the next batch is asked for; what they made is made again."""
        if self._prefetchers and not self._rewind():
            self._failure = Error("an iterator could not be restored to its position")

    def close(self) -> None:
        """Stop the threads and close the iterators. May be called twice, and from any thread; one
        that waits for a batch raises.
        """
        with self._lock:
            self._closed = True
        for prefetcher in self._prefetchers:
            prefetcher.stop()
        close_all(self._iterators)

    def _inner_states(self) -> list[State | None]:
        return [state_of(iterator) for iterator in self._iterators]

    def _rewind(self) -> bool:
        """Restore the iterators to the caller's position; False if one cannot be."""
        self._stop_prefetching()
        return put_back(self._iterators, self._place.states)

    def _start_prefetching(self) -> list[Prefetcher[_Prefetched]]:
        with self._lock:
            if self._closed:
                raise Error(CLOSED)
            if not self._prefetchers:
                # The threads get the iterators only, so that this stream can be freed. None works
                # before all have been started.
                self._prefetchers = [
                    Prefetcher(
                        functools.partial(_next_batch, iterator),
                        self.depth,
                        "gpuio-prefetch",
                        first=self._place.number,
                    )
                    for iterator in self._iterators
                ]
                for prefetcher in self._prefetchers:
                    prefetcher.wake(self._interruptions)
                    prefetcher.request(self._place.number)
            if self._closed:  # by a signal handler, meanwhile
                self._stop_prefetching()
                raise Error(CLOSED_MEANWHILE)
            return self._prefetchers

    def _stop_prefetching(self) -> None:
        for prefetcher in self._prefetchers:
            prefetcher.stop()
        self._prefetchers = []

    def _begin(self, epoch: int, count: int = 0, ended: bool = False) -> None:
        """Continue at the iterators' present positions."""
        self._failure = None
        self._place = _Place(epoch, count, ended, self._inner_states(), self._place.number)

    def _mismatch(self, results: Sequence[_Prefetched | None]) -> Error:
        ended = [
            f"{number} ({type(self._iterators[number]).__name__})"
            for number, result in enumerate(results)
            if result is None
        ]
        return Error(
            f"the iterators have epochs of different lengths: number {', '.join(ended)} ended "
            f"after {self._place.handed} batches, and others have more"
        )
