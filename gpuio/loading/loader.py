"""The loader: order, plan and executor tied together, some batches ahead of the caller."""

from __future__ import annotations

import collections
import weakref
from concurrent.futures import CancelledError, Future
from typing import Generic, Protocol, TypeVar

from gpuio.errors import Error
from gpuio.loading.stream import CLOSED, ForkGuard, OrderedStream
from gpuio.sampling.order import BatchIndices, Order

T = TypeVar("T")


class Executor(Protocol[T]):
    """What makes batches: the host's thread pool, or a DALI graph.

    Attributes
    ----------
    depth : batches that must have been submitted before it gives the first
    """

    depth: int

    def submit(self, take: BatchIndices) -> Future[T]:
        """Begin a batch."""

    def cancel_pending(self) -> None:
        """Drop the batches that have been submitted so far."""

    def retain(self, loaded: T) -> None:
        """Note that the caller now gets this batch."""

    def close(self) -> None:
        """Stop at once."""


class Loader(OrderedStream, Generic[T]):
    """Hands out the stream's batches one after another, and keeps the executor busy behind the
    caller.

    Nothing runs before the first `next`. What is ahead does not count: `position` is that of the
    batches handed out.

    Parameters
    ----------
    order : the stream
    executor : runs the batches; closed with the loader, when the loader is forgotten, or when
        Python ends
    ahead : batches that the executor may have in hand while the caller works on one; no fewer than
        its depth
    """

    def __init__(self, order: Order, executor: Executor[T], ahead: int) -> None:
        super().__init__(order)
        self._executor = executor
        self._ahead = max(ahead, executor.depth)
        self._in_flight: collections.deque[tuple[BatchIndices, Future[T]]] = collections.deque()
        self._asked = 0  # the position of the next batch to submit
        self._home = ForkGuard()
        self._close = weakref.finalize(self, executor.close)

    def next(self) -> T | None:
        """The batch at `position`, which moves behind it; None where the epoch has ended.

        Raises
        ------
        Error : the batch failed (the position stays: asking again tries again), the loader is
            closed, or it was made by another process.
        """
        if not self._close.alive:
            raise Error(CLOSED)
        self._home.check()
        if self.ended:
            return None
        while len(self._in_flight) < self._ahead:
            take = self.order.batch_at(self._asked)
            self._in_flight.append((take, self._executor.submit(take)))
            self._asked = take.position
        take, future = self._in_flight[0]
        try:
            loaded = future.result()
        except CancelledError:
            raise Error("the iterator was closed while a batch was awaited") from None
        except BaseException:
            self.seek(self.position)
            raise
        self._in_flight.popleft()
        self.position, self.ended = take.position, take.last
        self._executor.retain(loaded)
        return loaded

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return not self._close.alive

    def seek(self, position: int) -> None:
        """Go on from another position; batches that were ahead are dropped."""
        self._executor.cancel_pending()
        self._in_flight.clear()
        self.position = self._asked = position

    def close(self) -> None:
        """Stop what runs behind the caller and wait until it has. May be called twice."""
        self._close()
        for _, future in self._in_flight:
            future.cancel()  # whoever waits for it in another thread is told
