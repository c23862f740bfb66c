"""The loader: order, plan and executor tied together, some batches ahead of the caller."""

from __future__ import annotations

import collections
import os
import weakref
from concurrent.futures import CancelledError, Future
from typing import Protocol

from gpuio.errors import Error
from gpuio.pipeline.order import Order, Take
from gpuio.pipeline.work import Loaded


class Executor(Protocol):
    """What runs plans: the host's thread pool or a DALI graph."""

    def submit(self, take: Take) -> Future[Loaded]:
        """Begin a batch."""

    def abandon(self) -> None:
        """Drop the batches that have been submitted so far."""

    def hand_over(self, loaded: Loaded) -> None:
        """Note that the caller now gets this batch."""

    def close(self) -> None:
        """Stop at once."""


class Loader:
    """Hands out the stream's batches one after another, and keeps the executor busy behind the
    caller.

    Nothing runs before the first `next`. What is ahead does not count: `position` is that of the
    batches handed out.

    Parameters
    ----------
    order : the stream
    executor : runs the batches; closed with the loader, when the loader is forgotten, or when
        Python ends
    ahead : batches that the executor may have in hand while the caller works on one, at least 1
    """

    def __init__(self, order: Order, executor: Executor, ahead: int) -> None:
        self.order = order
        self.position = 0
        self._executor = executor
        self._ahead = ahead
        self._in_flight: collections.deque[tuple[Take, Future[Loaded]]] = collections.deque()
        self._asked = 0  # the position of the next batch to submit
        self._process = os.getpid()
        self._close = weakref.finalize(self, executor.close)

    def next(self) -> tuple[Take, Loaded]:
        """The batch at `position`, which moves behind it.

        Raises
        ------
        Error : the batch failed (the position stays: asking again tries again), the loader is
            closed, or it was made by another process.
        """
        if not self._close.alive:
            raise Error("the iterator is closed; create a new one")
        if os.getpid() != self._process:
            raise Error("the iterator belongs to another process; create one in each process")
        while len(self._in_flight) < self._ahead:
            take = self.order.take(self._asked)
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
        self.position = take.position
        self._executor.hand_over(loaded)
        return take, loaded

    def seek(self, position: int) -> None:
        """Go on from another position; batches that were ahead are dropped."""
        self._executor.abandon()
        self._in_flight.clear()
        self.position = self._asked = position

    def close(self) -> None:
        """Stop what runs behind the caller and wait until it has. May be called twice."""
        self._close()
        for _, future in self._in_flight:
            future.cancel()  # whoever waits for it in another thread is told
