"""What became of processes that were interrupted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.faults.processes import Ended


@dataclass
class Tally:
    """What became of processes.

    Attributes
    ----------
    signals : number of processes that each signal ended
    failures : descriptions of what must not happen
    """

    signals: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def fail(self, what: str, ended: Ended | None = None) -> None:
        """Add a failure, and print it."""
        if ended is not None:
            what += f"; status {ended.status}{', hung' * ended.hung}: {ended.err[-1500:]}"
        self.failures.append(what)
        print("FAILURE", what, flush=True)


class Tallied:
    """Keeps a tally.

    Attributes
    ----------
    tally : of all that is done, outside of ``with`` blocks of `tallied`
    """

    def __init__(self) -> None:
        self.tally = Tally()

    @contextmanager
    def tallied(self) -> Iterator[Tally]:
        """A tally of what is done within the ``with`` block only."""
        whole, self.tally = self.tally, Tally()
        try:
            yield self.tally
        finally:
            self.tally = whole
