"""The loader: hands out batches in order while an executor makes the next ones."""

from __future__ import annotations

import collections
import weakref
from concurrent.futures import CancelledError, Future
from typing import Generic, Protocol, TypeVar

from gpuio.errors import Error
from gpuio.loading.fork_guard import ForkGuard
from gpuio.loading.stream import CLOSED, CLOSED_MEANWHILE, OrderedStream
from gpuio.sampling.order import BatchIndices, Order

T = TypeVar("T")


class Executor(Protocol[T]):
    """Makes batches: a thread pool on the host, or a DALI graph.

    Attributes
    ----------
    depth : number of batches that it works on at once; with fewer submitted it is not busy
    """

    depth: int

    def submit(self, indices: BatchIndices) -> Future[T]:
        """Start a batch. The future gives the finished batch, or raises what made it fail."""

    def cancel_pending(self) -> None:
        """Drop the batches submitted so far; their futures may never be done."""

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
    """

    def __init__(self, order: Order, executor: Executor[T], ahead: int) -> None:
        super().__init__(order)
        self._executor = executor
        self._ahead = max(ahead, executor.depth)
        self._in_flight: collections.deque[tuple[BatchIndices, Future[T]]] = collections.deque()
        self._next_position = 0  # of the next batch to submit
        self._fork_guard = ForkGuard()
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
        while len(self._in_flight) < self._ahead:
            indices = self.order.batch_at(self._next_position)
            self._in_flight.append((indices, self._executor.submit(indices)))
            self._next_position = indices.next_position
        if self.closed:  # closed meanwhile by another thread
            raise Error(CLOSED)
        indices, future = self._in_flight[0]
        try:
            loaded = future.result()
        except CancelledError:
            raise Error(CLOSED_MEANWHILE) from None
        except BaseException:
            self.seek(self.position)
            raise
        self._in_flight.popleft()
        self.position, self.ended = indices.next_position, indices.last
        return loaded

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return not self._close.alive

    def seek(self, position: int) -> None:
        """Move to another position; batches made ahead are dropped."""
        self._executor.cancel_pending()
        self._in_flight.clear()
        self.position = self._next_position = position

    def close(self) -> None:
        """Stop the executor and wait until it has stopped. May be called twice."""
        self._close()
        for _, future in list(self._in_flight):
            future.cancel()  # wakes a thread that waits for it
