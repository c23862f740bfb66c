"""Prefetching: work done ahead of the caller, in a thread."""

from __future__ import annotations

import copy
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from gpuio.errors import Error
from gpuio.loading.fork_guard import ForkGuard
from gpuio.loading.hand_over import callers_streams
from gpuio.loading.outcome import CLOSED_MEANWHILE, Outcome, Waiter
from gpuio.loading.stream import CLOSED, PlacedStream, State, Stream
from gpuio.loading.workers import Workers

S = TypeVar("S")
T = TypeVar("T")


class Prefetcher(Generic[T]):
    """Calls a function repeatedly in a thread, until it returns None or raises.

    Nothing is called before the first result is asked for. The results have numbers, so that a
    caller whom a signal handler's exception interrupts can ask again.

    It works on GPUs on the streams that are current for the thread that creates this.

    Parameters
    ----------
    produce : gives the next result, None at the end; called by one thread only
    depth : number of results that may wait for the caller, at least 1
    name : the thread's name
    first : the number of the first result

    Attributes
    ----------
    over : the function has returned None or raised, and the caller has been told so
    failed : it has raised
    stopped : `stop` has been called
    """

    def __init__(
        self, produce: Callable[[], T | None], depth: int, name: str, first: int = 0
    ) -> None:
        self.over = self.failed = self.stopped = False
        self._next = self._limit = first
        self._depth = depth
        self._fork_guard = ForkGuard()
        self._waiter = Waiter()
        self._outcomes: dict[int, Outcome[T | None]] = {}
        self._workers = Workers(1, name)
        self._make = _maker(
            produce, first, self._outcomes, callers_streams(), self._workers.stopped.is_set
        )
        self._stop = weakref.finalize(self, self._workers.stop)

    @property
    def ready(self) -> int:
        """How many results wait for the caller."""
        return sum(outcome.done() for outcome in list(self._outcomes.values()))

    def next(self) -> T | None:
        """The next result in order; None at the end.

        Raises
        ------
        whatever `produce` raised, in place of its result; after that nothing more comes.
        """
        number = self._next
        result = self.get(number)
        self._next = number + 1
        self.drop(number)
        return result

    def get(self, number: int) -> T | None:
        """The result of a number, or the end; it can be asked for until it is dropped.

        Raises
        ------
        whatever `produce` raised, in place of its result; after that nothing more comes.
        """
        if self.over:
            return None
        self._fork_guard.check()
        self._outcomes.pop(number - 1, None)
        self.request(number)
        outcome = self._outcomes.setdefault(number, Outcome())
        self._waiter.wait_for(outcome)
        if (error := outcome.error) is not None:
            self.over = self.failed = True
            self.stop()
            raise error
        result = outcome.result()
        if result is None:
            self.over = True
            self.stop()
        else:
            self.request(number + 1)
        return result

    def request(self, number: int) -> None:
        """Make results up to a number, and those that may wait behind it."""
        limit = number + self._depth
        if limit > self._limit:
            self._workers.submit(partial(self._make, limit))
            self._limit = limit

    def drop(self, number: int) -> None:
        """Forget a result that the caller has."""
        self._outcomes.pop(number, None)

    def wake(self, interruptions: Mapping[int, str]) -> None:
        """Wake the thread that waits for a result; see `Stream.wake`."""
        self._waiter.wake(interruptions)

    def stop(self) -> None:
        """Drop the results that wait, and wait for the running call. May be called twice, and from
        any thread.
        """
        self.stopped = True
        self._waiter.close()
        self._workers.stop()
        self._stop.detach()


def _maker(
    produce: Callable[[], T | None],
    first: int,
    outcomes: dict[int, Outcome[T | None]],
    use_streams: Callable[[], None],
    stopped: Callable[[], bool],
) -> Callable[[int], None]:
    """A function that makes results below a limit; it does nothing once the end has come."""
    made, ended = first, False

    def make(limit: int) -> None:
        nonlocal made, ended
        while made < limit and not ended and not stopped():
            outcome = outcomes.setdefault(made, Outcome())
            made += 1
            try:
                use_streams()
                result = produce()
            except BaseException as error:
                ended = True
                outcome.set_exception(error)
            else:
                ended = result is None
                outcome.set_result(result)

    return make


@dataclass(frozen=True)
class _Ahead(Generic[T]):
    batch: T
    state: State
    ended: bool


class _Place(NamedTuple):
    """The caller's position.

    Attributes
    ----------
    epoch, ended, state : of the stream
    number : of the next batch, see `Prefetcher`
    """

    epoch: int
    ended: bool
    state: State
    number: int


class PrefetchedStream(PlacedStream, Generic[S, T]):
    """A stream whose batches are prepared ahead of the caller, in a thread.

    Nothing runs before the first `next`.

    Parameters
    ----------
    inner : where the batches come from; used by the thread, and closed with this
    transform : applied by the thread to each batch
    depth : number of batches that may wait for the caller, at least 1
    name : the thread's name

    Attributes
    ----------
    depth : see above
    asked : how often a batch was asked for
    ready : how many batches were finished at these times, all together
    """

    _place: _Place

    def __init__(
        self, inner: Stream[S], transform: Callable[[S], T], depth: int, name: str
    ) -> None:
        self._inner = inner
        self._transform = transform
        self.depth = depth
        self.asked = self.ready = 0
        self._name = name
        self._place = _Place(inner.epoch, inner.ended, inner.state(), 0)
        # While there is one, the inner stream's position is that of its thread.
        self._prefetcher: Prefetcher[_Ahead[T]] | None = None
        self._interruptions: Mapping[int, str] = {}
        self._closed = False
        # Starting the thread, and closing, which other threads and signal handlers may do.
        self._lock = threading.RLock()

    def next(self) -> T | None:
        """The next batch; None at the end of the epoch. If it fails, asking again tries again."""
        if self._closed:
            raise Error(CLOSED)
        if self.ended:
            return None
        place = self._place
        prefetcher = self._started_prefetcher()
        self.asked += 1
        self.ready += prefetcher.ready
        try:
            step = prefetcher.get(place.number)
        except BaseException:
            if prefetcher.failed and not self._closed:
                self._rewind_inner()
            raise
        if step is None:
            self._place = place._replace(ended=True, state=self._inner.state())
            return None
        self._place = _Place(place.epoch, step.ended, step.state, place.number + 1)
        prefetcher.drop(place.number)
        return step.batch

    def reset(self) -> None:
        """Begin the next epoch; see `Stream.reset`."""
        self._rewind_inner()
        self._inner.reset()
        self._copy_position()

    def state(self) -> State:
        """The caller's position."""
        return copy.deepcopy(self._place.state)

    @property
    def state_fields(self) -> tuple[str, ...]:
        """The names of the values of a state."""
        return self._inner.state_fields

    def check(self, state: State) -> None:
        """Check a saved position; see `Stream.check`."""
        self._inner.check(state)

    def restore(self, state: State) -> None:
        """Restore a saved position."""
        self._rewind_inner()
        self._inner.restore(state)
        self._copy_position()

    def wake(self, interruptions: Mapping[int, str]) -> None:
        """Wake the thread that waits for a batch, or is about to; see `Stream.wake`."""
        self._interruptions = interruptions  # before: a prefetcher may be created meanwhile
        if (prefetcher := self._prefetcher) is not None:
            prefetcher.wake(interruptions)

    def close(self) -> None:
        """Stop the thread and close the inner stream. May be called twice, and from any thread; one
        that waits for a batch raises.
        """
        with self._lock:
            self._closed = True
        if (prefetcher := self._prefetcher) is not None:
            prefetcher.stop()
        self._inner.close()

    def _started_prefetcher(self) -> Prefetcher[_Ahead[T]]:
        if (prefetcher := self._prefetcher) is not None and prefetcher.stopped and not self._closed:
            self._rewind_inner()  # a signal handler's exception has prevented it
        with self._lock:
            if self._closed:
                raise Error(CLOSED)
            if self._prefetcher is None:
                produce = _step(self._inner, self._transform)
                self._prefetcher = Prefetcher(
                    produce, self.depth, self._name, first=self._place.number
                )
                self._prefetcher.wake(self._interruptions)
            if self._closed:  # by a signal handler, meanwhile
                self._prefetcher.stop()
                raise Error(CLOSED_MEANWHILE)
            return self._prefetcher

    def _rewind_inner(self) -> None:
        """Move the inner stream from the thread's position back to the caller's."""
        if (prefetcher := self._prefetcher) is not None:
            prefetcher.stop()
            self._inner.restore(self.state())
            self._prefetcher = None

    def _copy_position(self) -> None:
        inner = self._inner
        self._place = _Place(inner.epoch, inner.ended, inner.state(), self._place.number)


def _step(inner: Stream[S], transform: Callable[[S], T]) -> Callable[[], _Ahead[T] | None]:
    """What the thread calls; it must not reference the stream's owner."""

    def step() -> _Ahead[T] | None:
        batch = inner.next()
        return None if batch is None else _Ahead(transform(batch), inner.state(), inner.ended)

    return step
