"""What an iterator measures while a loop draws its batches."""

from __future__ import annotations

import time


class Meter:
    """Measures who waits for whom. One thread at a time calls its methods.

    Attributes
    ----------
    batches : that were handed out
    started : seconds until the first one came
    waited : seconds in which later batches were awaited
    handed : seconds in which batches were converted for the caller
    worked : seconds between batches, in which the caller did something else; not those in which
        `reset` or `load_state_dict` was called
    """

    def __init__(self) -> None:
        self.batches = 0
        self.started = self.waited = self.handed = self.worked = 0.0
        self._given: float | None = None  # when the last batch was

    def asked(self) -> float:
        """Note that a batch is asked for; the time."""
        now = time.perf_counter()
        if self._given is not None:
            self.worked += now - self._given
            self._given = None
        return now

    def came(self, asked: float) -> float:
        """Note that a batch, or the end, has come that was asked for at a time; the time."""
        now = time.perf_counter()
        if self.batches:
            self.waited += now - asked
        else:
            self.started += now - asked
        return now

    def gave(self, came: float) -> None:
        """Note that a batch is handed out that came at a time."""
        self._given = now = time.perf_counter()
        self.handed += now - came
        self.batches += 1

    def pause(self) -> None:
        """Leave out the time until the next batch is asked for."""
        self._given = None
