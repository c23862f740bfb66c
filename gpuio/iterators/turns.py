"""Turns: several threads that use one iterator."""

from __future__ import annotations

import os
import threading
import weakref

from gpuio.errors import Error
from gpuio.loading.outcome import check_interruptions


class Turns:
    """Lets one thread at a time draw from an iterator, and others interrupt it.

    Attributes
    ----------
    lock : held by the thread that draws a batch or changes the position; it may take it again
    interruptions : the threads that are about to change the position, by their idents, and what
        they do
    changes : number of such changes so far
    busy : whether the thread that has the lock is between two positions
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.interruptions: dict[int, str] = {}
        self.changes = 0
        self.busy = False
        self._last = ""
        _all.add(self)

    def check(self, changes: int) -> None:
        """Check that a thread whose turn it is has not been interrupted.

        Parameters
        ----------
        changes : their number when the thread began to wait for its turn

        Raises
        ------
        Error : it has, and the message says by what.
        """
        if changes != self.changes:
            raise Error(self._last)
        check_interruptions(self.interruptions)

    def note_change(self, said: str) -> None:
        """Interrupt those that wait for their turn. Called with the lock."""
        self._last = said
        self.changes += 1


_all: weakref.WeakSet[Turns] = weakref.WeakSet()


def _unlock() -> None:
    """In a child process, forget the threads of its parent, which a fork does not copy."""
    for turns in list(_all):
        turns.lock = threading.RLock()
        turns.interruptions.clear()
        turns.busy = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)
