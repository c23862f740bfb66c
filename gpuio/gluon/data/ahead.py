"""Batches made ahead of the caller by several threads, in order."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Generic, TypeVar

from gpuio.errors import Error
from gpuio.loading.fork_guard import ForkGuard
from gpuio.loading.stream import CLOSED_MEANWHILE
from gpuio.loading.workers import Task, Workers

In = TypeVar("In")
Out = TypeVar("Out")


class OrderedBatches(Generic[In, Out]):
    """An iterator over ``make(item)`` for each item, computed by threads ahead of the caller.

    The items are taken in the caller's thread. The threads end with the iterator: when the items
    do, an error was raised, it is closed or nobody references it any more.

    Parameters
    ----------
    items : taken one by one, at most `ahead` more than were asked for
    make : computes a result; called by any of the threads. Its second argument says whether to stop
    threads : their number, at least 1
    ahead : results that may wait for the caller, at least 0
    timeout : seconds to wait for a result
    receive : what the caller's thread makes of a result; None: nothing
    """

    def __init__(
        self,
        items: Iterator[In],
        make: Callable[[In, Callable[[], bool]], Out],
        threads: int,
        ahead: int,
        timeout: float,
        receive: Callable[[Out], Out] | None = None,
    ) -> None:
        self._items = items
        self._make = make
        self._ahead = ahead
        self._timeout = timeout
        self._receive = receive
        self._fork_guard = ForkGuard()
        self._pending: deque[Future[Out]] = deque()
        self._workers = Workers(threads, "gpuio-data")
        self._stop = weakref.finalize(self, _stop, self._workers, self._pending)
        for _ in range(ahead):
            self._submit_next()

    def __iter__(self) -> Iterator[Out]:
        return self

    def __next__(self) -> Out:
        """The next result.

        Raises
        ------
        StopIteration : there are no more items, or the iterator has ended.
        TimeoutError : the result took too long.
        whatever `make` or the items raised, in place of the result; nothing comes after it.
        """
        if not self._stop.alive:
            raise StopIteration
        self._fork_guard.check("the DataLoader's threads are in another process; iterate anew")
        self._submit_next()
        if not self._pending:
            self._stop()
            raise StopIteration
        future = self._pending.popleft()
        try:
            result = future.result(self._timeout)
            return result if self._receive is None else self._receive(result)
        except BaseException as error:
            if isinstance(error, FutureTimeoutError) and not future.done():
                # The thread hangs in the dataset: nobody may wait for it.
                self._stop.detach()
                self._workers.stop(wait=False)
                raise TimeoutError(
                    f"a batch was not ready after {self._timeout} seconds; give the DataLoader a "
                    "larger timeout or more num_workers, or see what its dataset waits for"
                ) from None
            self._stop()
            if isinstance(error, CancelledError):
                raise Error(CLOSED_MEANWHILE) from None
            raise

    def close(self) -> None:
        """Stop the threads, after the sample that each is working on. May be called twice."""
        self._stop()

    def _submit_next(self) -> None:
        future: Future[Out] = Future()
        try:
            item = next(self._items)
        except StopIteration:
            return
        except BaseException as error:
            future.set_exception(error)
            self._items = iter(())
        else:
            stopped = self._workers.stopped.is_set
            self._workers.submit(_task(self._make, item, stopped, future))
        self._pending.append(future)


def _task(
    make: Callable[[In, Callable[[], bool]], Out],
    item: In,
    stopped: Callable[[], bool],
    future: Future[Out],
) -> Task:
    """What a thread runs; it must not reference the iterator."""

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(make(item, stopped))
        except StopIteration as error:  # would end the caller's loop
            future.set_exception(RuntimeError("the dataset raised StopIteration"))
            future.exception().__cause__ = error  # type: ignore[union-attr]
        except BaseException as error:
            future.set_exception(error)

    return run


def _stop(workers: Workers, pending: deque[Future[Out]]) -> None:
    workers.stop()
    for future in pending:
        future.cancel()
    pending.clear()
