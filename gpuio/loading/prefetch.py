"""Work done ahead of the caller, in a thread."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from gpuio.errors import Error
from gpuio.loading.stream import CLOSED, ForkGuard, Stream
from gpuio.loading.workers import Workers

S = TypeVar("S")
T = TypeVar("T")


class _Outcome(NamedTuple):
    result: Any
    error: BaseException | None


class Prefetcher(Generic[T]):
    """Calls a function again and again in a thread, until it gives None or raises.

    Parameters
    ----------
    produce : gives the next result, None at the end; called by one thread only
    depth : results that may wait for the caller, at least 1
    name : the thread's name
    """

    def __init__(self, produce: Callable[[], T | None], depth: int, name: str) -> None:
        self.over = False
        self._home = ForkGuard()
        self._outcomes: queue.SimpleQueue[_Outcome] = queue.SimpleQueue()
        self._workers = Workers(1, name)
        self._call = _Call(produce, self._outcomes)
        self._stop = weakref.finalize(self, _stop, self._workers, self._outcomes)
        for _ in range(depth):
            self._workers.submit(self._call)

    def next(self) -> T | None:
        """The next result in order; None once there is no more.

        Raises
        ------
        whatever `produce` raised, at the place where its result would have come; after that there
        is no more.
        """
        if self.over:
            return None
        self._home.check()
        outcome = self._outcomes.get()
        if outcome.error is not None or outcome.result is None:
            self.over = True
            self._stop()
            if outcome.error is not None:
                raise outcome.error
            return None
        self._workers.submit(self._call)
        result: T = outcome.result
        return result

    def stop(self) -> None:
        """Drop what is ahead, and wait for the call that is running. May be called twice, and from
        any thread.
        """
        self._stop()


class _Call:
    """One call of the function, as a task; it does nothing once the function has ended."""

    def __init__(self, produce: Callable[[], Any], outcomes: queue.SimpleQueue[_Outcome]) -> None:
        self._produce = produce
        self._outcomes = outcomes
        self._ended = threading.Event()

    def __call__(self) -> None:
        if self._ended.is_set():
            return
        try:
            outcome = _Outcome(self._produce(), None)
        except BaseException as error:
            outcome = _Outcome(None, error)
        if outcome.result is None:
            self._ended.set()
        self._outcomes.put(outcome)


def _stop(workers: Workers, outcomes: queue.SimpleQueue[_Outcome]) -> None:
    workers.stop()
    outcomes.put(_Outcome(None, Error("the iterator was closed while a batch was awaited")))


class PrefetchedStream(Generic[S, T]):
    """A stream whose batches are made ahead of the caller, in a thread.

    Nothing runs before the first `next`.

    Parameters
    ----------
    inner : where the batches come from; used by the thread, and closed with this
    begin : what the thread does to each batch before it waits for the caller
    depth : batches that may wait for the caller, at least 1
    name : the thread's name
    """

    def __init__(self, inner: Stream[S], begin: Callable[[S], T], depth: int, name: str) -> None:
        self.epoch = inner.epoch
        self.ended = inner.ended
        self._inner = inner
        self._begin = begin
        self._depth = depth
        self._name = name
        self._state = inner.state()
        self._ahead: Prefetcher[_Ahead[T]] | None = None
        self._closed = False

    def next(self) -> T | None:
        """The next batch; None where the epoch has ended. If it fails, asking again tries again."""
        if self._closed:
            raise Error(CLOSED)
        if self.ended:
            return None
        if self._ahead is None:
            self._ahead = Prefetcher(_Step(self._inner, self._begin), self._depth, self._name)
        try:
            step = self._ahead.next()
        except BaseException:
            if not self._closed:
                self._go_back()
            raise
        if step is None:
            self.ended = True
            return None
        self._state, self.ended = step.state, step.ended
        return step.batch

    def reset(self) -> None:
        """Begin the next epoch, as `Stream` says."""
        self._go_back()
        self._inner.reset()
        self._note()

    def state(self) -> dict[str, Any]:
        """Where the caller is."""
        return {**self._state, "ended": self.ended}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._drop()
        self._inner.restore(state)
        self._note()

    def close(self) -> None:
        """Stop the thread and close the inner stream. May be called twice."""
        self._closed = True
        self._drop()
        self._inner.close()

    def _go_back(self) -> None:
        """Take the inner stream from where the thread has brought it to where the caller is."""
        if self._drop():
            self._inner.restore(self.state())

    def _drop(self) -> bool:
        """Stop the thread; whether there was one."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.stop()
        return ahead is not None

    def _note(self) -> None:
        self._state = self._inner.state()
        self.epoch, self.ended = self._inner.epoch, self._inner.ended


@dataclass(frozen=True)
class _Ahead(Generic[T]):
    batch: T
    state: dict[str, Any]
    ended: bool


class _Step(Generic[S, T]):
    """What the thread calls: it must not keep the stream's owner alive."""

    def __init__(self, inner: Stream[S], begin: Callable[[S], T]) -> None:
        self._inner = inner
        self._begin = begin

    def __call__(self) -> _Ahead[T] | None:
        drawn = self._inner.next()
        if drawn is None:
            return None
        return _Ahead(self._begin(drawn), self._inner.state(), self._inner.ended)
