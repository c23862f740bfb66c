"""The loader: hands out batches in order while an executor makes the next ones."""

from __future__ import annotations

import collections
import weakref
from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

from gpuio.errors import Error
from gpuio.loading.fork_guard import ForkGuard
from gpuio.loading.outcome import Outcome, Waiter
from gpuio.loading.read_ahead import ReadAhead
from gpuio.loading.stream import CLOSED, OrderedStream
from gpuio.sampling.order import BatchIndices, Order

T = TypeVar("T")


class Executor(Protocol[T]):
    """Makes batches: a thread pool on the host, or a DALI graph.

    Attributes
    ----------
    depth : number of batches that it works on at once; with fewer submitted it is not busy
    """

    depth: int

    def submit(self, indices: BatchIndices) -> Outcome[T]:
        """Start a batch. The outcome is the finished batch, or what made it fail."""

    def cancel_pending(self) -> None:
        """Drop the batches submitted so far; their outcomes may never be done."""

    def close(self) -> None:
        """Stop at once; batches that are not finished never will be. May be called twice."""


class Loader(OrderedStream, Generic[T]):
    """Hands out batches one after another, and keeps the executor busy meanwhile.

    Nothing runs before the first `next`. `position` counts batches handed out.

    Parameters
    ----------
    order : the order of the samples
    executor : makes the batches; closed with the loader, when the loader is garbage-collected, or
        when Python ends
    ahead : number of batches that the executor may have in hand while the caller works on one; no
        fewer than its depth
    read_ahead : has the records of further batches read; None: nobody does

    Attributes
    ----------
    ahead : see above
    asked : how often a batch was asked for
    ready : how many batches were finished at these times, all together
    """

    def __init__(
        self,
        order: Order,
        executor: Executor[T],
        ahead: int,
        read_ahead: ReadAhead | None = None,
    ) -> None:
        super().__init__(order)
        self._read_ahead = read_ahead
        self._executor = executor
        self.ahead = max(ahead, executor.depth)
        self._in_flight: collections.deque[tuple[BatchIndices, Outcome[T]]] = collections.deque()
        self._waiter = Waiter()
        self._fork_guard = ForkGuard()
        self.asked = self.ready = 0
        self._close = weakref.finalize(self, executor.close)

    def next(self) -> T | None:
        """The next batch; None at the end of the epoch.

        Raises
        ------
        Error : the batch failed (the position stays: asking again tries again), the loader is
            closed, or it was created by another process.
        """
        if self.closed:
            raise Error(CLOSED)
        self._fork_guard.check()
        if self.ended:
            return None
        in_flight = self._in_flight
        self.asked += 1
        self.ready += sum(outcome.done() for _, outcome in in_flight)
        # One that was counted, and then lost to an exception of a signal handler.
        while in_flight and in_flight[0][0].next_position <= self.position:
            in_flight.popleft()
        following = in_flight[-1][0].next_position if in_flight else self.position
        if self._read_ahead is not None:  # first: reading a batch would ask for less at once
            self._read_ahead.advance(following)
        while len(in_flight) < self.ahead:
            indices = self.order.batch_at(following)
            in_flight.append((indices, self._executor.submit(indices)))
            following = indices.next_position
        indices, outcome = in_flight[0]
        self._waiter.wait_for(outcome)
        if (error := outcome.error) is not None:
            self.drop_ahead()
            raise error
        loaded = outcome.result()
        self.position, self.ended = indices.next_position, indices.last
        in_flight.popleft()
        return loaded

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return not self._close.alive

    def drop_ahead(self) -> None:
        """Drop the batches made ahead."""
        self._in_flight.clear()
        self._executor.cancel_pending()
        if self._read_ahead is not None:
            self._read_ahead.restart()

    def wake(self, interruptions: Mapping[int, str]) -> None:
        """Wake the thread that waits for a batch; see `Stream.wake`."""
        self._waiter.wake(interruptions)

    def close(self) -> None:
        """Stop the executor and wait until it has stopped. May be called twice, and from any
        thread; one that waits for a batch raises.
        """
        if self.closed:
            return
        self._waiter.close()
        self._executor.close()
        self._close.detach()
