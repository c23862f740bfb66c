"""Threads that need not be waited for.

``threading`` does not know them, so neither the end of the interpreter nor Ctrl-C waits for one.
Where memory is short, Python may start a thread that ends before it has called anything; here
whoever waits for it learns of that.
"""

from __future__ import annotations

import _thread
import queue
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")

# What Python says where no thread can be started; the latter for lack of memory.
REFUSED = ("can't start new thread", "can't allocate lock")


class ThreadToken:
    """An object that only a thread references: when it is gone, the thread has ended."""

    __slots__ = ("__weakref__",)


class DetachedThread:
    """A thread that calls a function, which must not raise.

    Raises
    ------
    RuntimeError : the system refuses it, or the interpreter ends.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        token = ThreadToken()
        self._token = weakref.ref(token)
        _thread.start_new_thread(_run, (function, token))

    @property
    def ended(self) -> bool:
        """Whether it has ended, maybe before it has called its function."""
        return self._token() is None


def _run(function: Callable[[], object], token: ThreadToken) -> None:
    function()


class Call(Generic[T]):
    """The call of a function on a thread of its own.

    Raises
    ------
    RuntimeError : the system refuses the thread, or the interpreter ends.
    """

    def __init__(self, function: Callable[[], T]) -> None:
        self._found: list[tuple[T | None, BaseException | None]] = []  # the first counts
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._function = function
        self._thread = DetachedThread(self._run)

    def _run(self) -> None:
        try:
            self._found.append((self._function(), None))
        except BaseException as error:
            self._found.append((None, error))
        self._wakes.put(None)

    def wait(self, seconds: float) -> bool:
        """Wait for the function's end for some seconds at most; whether it has ended. Whatever a
        signal handler raises meanwhile changes nothing: the wait may begin anew.
        """
        ended = self._thread.ended  # before the last look at what it has found
        if not self._found and not ended:
            with suppress(queue.Empty):
                self._wakes.get(timeout=seconds)
        if ended and not self._found:
            error = MemoryError("a thread ended before it began")
            self._found.append((None, error))
        return bool(self._found)

    def result(self) -> T:
        """What the function has returned; call it once `wait` has returned True.

        Raises
        ------
        whatever the function has raised
        MemoryError : there was not enough for the thread.
        """
        result, error = self._found[0]
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # which may be None
