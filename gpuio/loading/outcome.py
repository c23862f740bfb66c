"""Results of other threads' work, and waiting for them.

Whatever a signal handler raises in the waiting thread, as Ctrl-C does, can be caught, and the wait
begun anew: nothing stays locked, and no result is lost. ``concurrent.futures`` and
``threading.Condition`` do not promise that.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Generic, TypeVar

from gpuio.errors import Error

T = TypeVar("T")

CLOSED_MEANWHILE = "the iterator was closed while a batch was awaited"

# Seconds of one wait, at most; longer ones are repeated.
LONGEST = 24 * 3600


class Flag:
    """A ``threading.Event`` for which nobody waits."""

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        """Set the flag, for good."""
        self._set = True

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._set


class Outcome(Generic[T]):
    """What one thread's work results in, for one other that waits for it."""

    def __init__(self) -> None:
        self._found: list[tuple[T | None, BaseException | None]] = []  # the first counts
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()

    def done(self) -> bool:
        """Whether there is a result or an exception."""
        return bool(self._found)

    @property
    def error(self) -> BaseException | None:
        """What was set in place of the result."""
        return self._found[0][1] if self._found else None

    def set_result(self, result: T) -> None:
        """Set the result, unless there is one."""
        self._found.append((result, None))
        self.wake()

    def set_exception(self, error: BaseException) -> None:
        """Set an exception in place of the result, unless there is one."""
        self._found.append((None, error))
        self.wake()

    def wake(self) -> None:
        """Make `wait` return, the one that is running or the next."""
        self._wakes.put(None)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it is done, `wake` is called, or `timeout` seconds, or a day, are over."""
        if not self._found:
            if timeout is not None:  # a queue refuses to wait for centuries
                timeout = min(timeout, LONGEST)
            with suppress(queue.Empty):
                self._wakes.get(timeout=timeout)

    def result(self, timeout: float | None = None) -> T:
        """Wait for the result.

        Raises
        ------
        TimeoutError : there is none after `timeout` seconds.
        whatever was set in its place.
        """
        self.wait(timeout)
        if not self._found:
            raise TimeoutError(f"there is no result after {timeout} seconds")
        result, error = self._found[0]
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # which may be None


class Waiter:
    """How a stream waits for outcomes, one after another, until another thread interrupts it."""

    def __init__(self) -> None:
        self._awaited: Outcome[Any] | None = None
        self._closed = False
        self._interruptions: Mapping[int, str] = {}

    def wait_for(self, outcome: Outcome[T], deadline: float | None = None) -> bool:
        """Wait until an outcome is done; False if the deadline passes, in ``time.monotonic``'s
        seconds.

        Raises
        ------
        Error : another thread closes or interrupts the stream.
        """
        self._awaited = outcome
        while not outcome.done():
            if self._closed:
                raise Error(CLOSED_MEANWHILE)
            check_interruptions(self._interruptions)
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            outcome.wait(left)
        self._awaited = None  # keep no batch alive
        return True

    def wake(self, interruptions: Mapping[int, str]) -> None:
        """Interrupt the thread that waits, or is about to.

        Parameters
        ----------
        interruptions : by the idents of the threads that interrupt, what they do; those that wait
            raise as long as there is one of another thread
        """
        self._interruptions = interruptions
        if (awaited := self._awaited) is not None:
            awaited.wake()

    def close(self) -> None:
        """Interrupt the thread that waits, and those that will, for good."""
        self._closed = True
        if (awaited := self._awaited) is not None:
            awaited.wake()


def check_interruptions(interruptions: Mapping[int, str]) -> None:
    """Check that no other thread interrupts this one.

    Raises
    ------
    Error : one does.
    """
    if interruptions:
        mine = threading.get_ident()
        for thread, said in list(interruptions.items()):
            if thread != mine:
                raise Error(said)
