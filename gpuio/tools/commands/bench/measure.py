"""Measure alternatives in one run, in turns.

Each round is measured in CPU time of the whole process, because wall time says little on a shared
machine; results are medians over the rounds. A round ends only when background work, such as
prefetching, has ended too, so that no contestant's work counts for another.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Round = Callable[[], float]  # runs one round; returns the number of items (images, batches, …)


@dataclass(frozen=True)
class Figures:
    """Results of one contestant.

    Attributes
    ----------
    cpu : CPU seconds per item, user and system, all threads; median over the rounds
    least, most : minimum and maximum over the rounds
    per_second : items per second of wall time; median
    """

    cpu: float
    least: float
    most: float
    per_second: float


def measure(contestants: dict[str, Round], rounds: int) -> dict[str, Figures]:
    """Run each contestant once to warm up, then all in turns."""
    for run in contestants.values():
        run()  # fill caches, start thread pools, prefetch
    _wait_until_idle()
    cpu: dict[str, list[float]] = {name: [] for name in contestants}
    wall: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            begun, cpu_begun = time.perf_counter(), _cpu_seconds()
            count = run()
            ended = _wait_until_idle()
            cpu[name].append((_cpu_seconds() - cpu_begun) / count)
            wall[name].append(count / (ended - begun))
    return {
        name: Figures(
            statistics.median(cpu[name]),
            min(cpu[name]),
            max(cpu[name]),
            statistics.median(wall[name]),
        )
        for name in contestants
    }


def _wait_until_idle(pause: float = 0.02) -> float:
    """Wait until no thread of this process uses the CPU.

    Returns
    -------
    when it became idle, as `time.perf_counter`
    """
    while True:
        begun, used = time.perf_counter(), _cpu_seconds()
        time.sleep(pause)
        if _cpu_seconds() - used < pause / 10:
            return begun


def _cpu_seconds() -> float:
    """User and system time of all threads of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
