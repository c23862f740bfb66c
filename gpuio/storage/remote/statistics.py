"""What reading remote files has cost this process."""

from __future__ import annotations

import os
import threading
from typing import NamedTuple


class Statistics(NamedTuple):
    """What remote files have cost this process since it began.

    Attributes
    ----------
    requests : that were sent for data
    fetched : bytes that came
    cached : bytes that were read from the cache
    waited : seconds that threads have waited for data, all together
    failed : requests that failed and were repeated
    """

    requests: int = 0
    fetched: int = 0
    cached: int = 0
    waited: float = 0.0
    failed: int = 0

    def since(self, before: Statistics) -> Statistics:
        """What has been added to earlier statistics."""
        return Statistics(
            self.requests - before.requests,
            self.fetched - before.fetched,
            self.cached - before.cached,
            self.waited - before.waited,
            self.failed - before.failed,
        )


class _Counters:
    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.lock = threading.Lock()
        self.value = Statistics()


_counters = _Counters()


def count(
    requests: int = 0, fetched: int = 0, cached: int = 0, waited: float = 0.0, failed: int = 0
) -> None:
    """Add to the statistics of this process."""
    with _counters.lock:
        old = _counters.value
        _counters.value = Statistics(
            old.requests + requests,
            old.fetched + fetched,
            old.cached + cached,
            old.waited + waited,
            old.failed + failed,
        )


def statistics() -> Statistics:
    """The statistics of this process."""
    return _counters.value


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_counters.begin)
