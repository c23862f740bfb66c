"""Prefetching: work done ahead of the caller, in a thread."""

from __future__ import annotations

import copy
import queue
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from gpuio.errors import Error
from gpuio.loading.fork_guard import ForkGuard
from gpuio.loading.hand_over import callers_streams
from gpuio.loading.stream import CLOSED, CLOSED_MEANWHILE, State, Stream
from gpuio.loading.workers import Task, Workers

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class _Outcome(Generic[T]):
    result: T | None
    error: BaseException | None


class Prefetcher(Generic[T]):
    """Calls a function repeatedly in a thread, until it returns None or raises.

    It works on GPUs on the streams that are current for the thread that creates this.

    Parameters
    ----------
    produce : gives the next result, None at the end; called by one thread only
    depth : number of results that may wait for the caller, at least 1
    name : the thread's name
    """

    def __init__(self, produce: Callable[[], T | None], depth: int, name: str) -> None:
        self.over = False
        self._fork_guard = ForkGuard()
        self._outcomes: queue.SimpleQueue[_Outcome[T]] = queue.SimpleQueue()
        self._workers = Workers(1, name)
        self._task = _task(produce, self._outcomes, callers_streams())
        self._stop = weakref.finalize(self, _stop, self._workers, self._outcomes)
        for _ in range(depth):
            self._workers.submit(self._task)

    def next(self) -> T | None:
        """The next result in order; None at the end.

        Raises
        ------
        whatever `produce` raised, in place of its result; after that nothing more comes.
        """
        if self.over:
            return None
        self._fork_guard.check()
        outcome = self._outcomes.get()
        if outcome.error is not None or outcome.result is None:
            self.over = True
            self._stop()
            if outcome.error is not None:
                raise outcome.error
            return None
        self._workers.submit(self._task)
        return outcome.result

    def stop(self) -> None:
        """Drop the results that wait, and wait for the running call. May be called twice, and from
        any thread.
        """
        self._stop()


def _task(
    produce: Callable[[], T | None],
    outcomes: queue.SimpleQueue[_Outcome[T]],
    use_streams: Callable[[], None],
) -> Task:
    """One call of the function; it does nothing once the function has ended."""
    ended = threading.Event()

    def call() -> None:
        if ended.is_set():
            return
        outcome: _Outcome[T]
        try:
            use_streams()
            outcome = _Outcome(produce(), None)
        except BaseException as error:
            outcome = _Outcome(None, error)
        if outcome.result is None:
            ended.set()
        outcomes.put(outcome)

    return call


def _stop(workers: Workers, outcomes: queue.SimpleQueue[_Outcome[T]]) -> None:
    workers.stop()
    outcomes.put(_Outcome(None, Error(CLOSED_MEANWHILE)))


@dataclass(frozen=True)
class _Ahead(Generic[T]):
    batch: T
    state: State
    ended: bool


class PrefetchedStream(Generic[S, T]):
    """A stream whose batches are prepared ahead of the caller, in a thread.

    Nothing runs before the first `next`.

    Parameters
    ----------
    inner : where the batches come from; used by the thread, and closed with this
    transform : applied by the thread to each batch
    depth : number of batches that may wait for the caller, at least 1
    name : the thread's name
    """

    def __init__(
        self, inner: Stream[S], transform: Callable[[S], T], depth: int, name: str
    ) -> None:
        self.epoch = inner.epoch
        self.ended = inner.ended
        self._inner = inner
        self._transform = transform
        self._depth = depth
        self._name = name
        self._state = inner.state()
        self._prefetcher: Prefetcher[_Ahead[T]] | None = None
        self._closed = False
        self._lock = threading.Lock()  # closing from another thread, and starting the thread

    def next(self) -> T | None:
        """The next batch; None at the end of the epoch. If it fails, asking again tries again."""
        if self._closed:
            raise Error(CLOSED)
        if self.ended:
            return None
        prefetcher = self._started_prefetcher()
        try:
            step = prefetcher.next()
        except BaseException:
            if not self._closed:
                self._rewind_inner()
            raise
        if step is None:
            self._state, self.ended = self._inner.state(), True
            return None
        self._state, self.ended = step.state, step.ended
        return step.batch

    def reset(self) -> None:
        """Begin the next epoch; see `Stream.reset`."""
        self._rewind_inner()
        self._inner.reset()
        self._copy_position()

    def state(self) -> State:
        """The caller's position."""
        return copy.deepcopy(self._state)

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

    def close(self) -> None:
        """Stop the thread and close the inner stream. May be called twice."""
        with self._lock:
            self._closed = True
        self._stop_prefetcher()
        self._inner.close()

    def _started_prefetcher(self) -> Prefetcher[_Ahead[T]]:
        with self._lock:
            if self._closed:
                raise Error(CLOSED)
            if self._prefetcher is None:
                produce = _step(self._inner, self._transform)
                self._prefetcher = Prefetcher(produce, self._depth, self._name)
            return self._prefetcher

    def _rewind_inner(self) -> None:
        """Move the inner stream from the thread's position back to the caller's."""
        if self._stop_prefetcher():
            self._inner.restore(self.state())

    def _stop_prefetcher(self) -> bool:
        """Stop the thread; whether there was one."""
        with self._lock:
            prefetcher, self._prefetcher = self._prefetcher, None
        if prefetcher is not None:
            prefetcher.stop()
        return prefetcher is not None

    def _copy_position(self) -> None:
        self._state = self._inner.state()
        self.epoch, self.ended = self._inner.epoch, self._inner.ended


def _step(inner: Stream[S], transform: Callable[[S], T]) -> Callable[[], _Ahead[T] | None]:
    """What the thread calls; it must not reference the stream's owner."""

    def step() -> _Ahead[T] | None:
        batch = inner.next()
        return None if batch is None else _Ahead(transform(batch), inner.state(), inner.ended)

    return step
