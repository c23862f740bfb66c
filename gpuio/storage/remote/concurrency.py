"""How many requests run at once."""

from __future__ import annotations

# Requests at once: at first, and bounds.
START, LEAST, MOST = 16, 4, 64

# Changes of the throughput that count, as factors: of growth, which asks for more requests, and of
# a slow-down, which asks for fewer; and how much more and fewer these are.
GROWTH, SLOW_DOWN = 1.1, 0.7
MORE, FEWER = 1.75, 0.75

# A measurement lasts for this many rounds of requests, and at least this long, in seconds.
ROUNDS, SHORTEST = 4, 0.1


class Concurrency:
    """The number of requests that run at once: it grows as long as the throughput grows with it,
    and shrinks when a store slows down. Not thread-safe.

    What limits it is latency: 16 requests of 100 kB at once that take 20 ms each give 80 MB/s, 64
    of them 320 MB/s, unless the store or the network gives less.

    Attributes
    ----------
    limit : requests at once
    """

    def __init__(self) -> None:
        self.limit = START
        self._rate: float | None = None
        self._begin: float | None = None
        self._count = self._bytes = 0

    def completed(self, nbytes: int, now: float, busy: bool) -> None:
        """Note that a request has ended.

        Parameters
        ----------
        nbytes : bytes that it has fetched
        now : seconds
        busy : whether more requests are waiting than may run
        """
        if not busy:  # the throughput is what is asked for, not what could be had
            self._begin = None
            return
        if self._begin is None:
            self._begin, self._count, self._bytes = now, 0, 0
            return
        self._count += 1
        self._bytes += nbytes
        elapsed = now - self._begin
        if self._count < ROUNDS * self.limit or elapsed < SHORTEST:
            return
        self._decide(self._bytes / elapsed)
        self._begin, self._count, self._bytes = now, 0, 0

    def _decide(self, rate: float) -> None:
        before, self._rate = self._rate, rate
        if before is None or rate > before * GROWTH:
            self.limit = min(MOST, int(self.limit * MORE))
        elif rate < before * SLOW_DOWN:
            self.limit = max(LEAST, int(self.limit * FEWER))
