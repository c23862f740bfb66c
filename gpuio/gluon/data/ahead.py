"""Batches made ahead of the caller by several threads, in order."""

from __future__ import annotations

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from gpuio.loading.fork_guard import ForkGuard
from gpuio.loading.outcome import Outcome, Waiter
from gpuio.loading.workers import Task, Workers

In = TypeVar("In")
Out = TypeVar("Out")


class OrderedBatches(Generic[In, Out]):
    """An iterator over ``make(item)`` for each item, computed by threads ahead of the caller.

    Any thread may ask for the next result; each goes to one of them, in order. The items are taken
    in the caller's thread. The threads end with the iterator: when the items do, an error was
    raised, it is closed or nobody references it any more. They do not end where a signal handler
    raises: the iterator can be used on.

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
        self._pending: deque[Outcome[Out]] = deque()
        self._items_ended = False
        self._waiter = Waiter()
        self._lock = threading.RLock()  # held by the thread that takes a result
        self._workers = Workers(threads, "gpuio-data")
        self._stop = weakref.finalize(self, self._workers.stop)
        self._submit(ahead)

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
        with self._lock:
            if not self._stop.alive:
                raise StopIteration
            self._submit(self._ahead + 1)
            pending = self._pending
            if not pending:
                self.close()
                raise StopIteration
            outcome = pending[0]
            self._wait_for(outcome)
            if (error := outcome.error) is not None:
                self.close()
                raise error
            result = outcome.result()
            pending.popleft()
            return result if self._receive is None else self._receive(result)

    def close(self) -> None:
        """Stop the threads, after the sample that each is working on. May be called twice, and from
        any thread; one that waits for a batch that is not made any more raises.
        """
        self._workers.stop()
        self._waiter.close()
        self._stop.detach()
        self._pending = deque()

    def _wait_for(self, outcome: Outcome[Out]) -> None:
        deadline = time.monotonic() + self._timeout
        if self._waiter.wait_for(outcome, deadline):
            return
        # The thread hangs in the dataset: nobody may wait for it.
        self._stop.detach()
        self._workers.stop(wait=False)
        raise TimeoutError(
            f"a batch was not ready after {self._timeout} seconds; give the DataLoader a "
            "larger timeout or more num_workers, or see what its dataset waits for"
        )

    def _submit(self, count: int) -> None:
        """Have results made until `count` are pending."""
        while len(self._pending) < count and not self._items_ended:
            outcome: Outcome[Out] = Outcome()
            try:
                item = next(self._items)
            except StopIteration:
                self._items_ended = True
                return
            except Exception as error:
                self._items_ended = True
                outcome.set_exception(error)
            else:
                stopped = self._workers.stopped.is_set
                self._workers.submit(_task(self._make, item, stopped, outcome), outcome)
            self._pending.append(outcome)


def _task(
    make: Callable[[In, Callable[[], bool]], Out],
    item: In,
    stopped: Callable[[], bool],
    outcome: Outcome[Out],
) -> Task:
    """What a thread runs; it must not reference the iterator."""

    def run() -> None:
        try:
            outcome.set_result(make(item, stopped))
        except StopIteration as error:  # would end the caller's loop
            raised = RuntimeError("the dataset raised StopIteration")
            raised.__cause__ = error
            outcome.set_exception(raised)
        except BaseException as error:
            outcome.set_exception(error)

    return run
