"""Measure alternatives in one run, in turns.

Each round is measured in CPU time of the whole process, because wall time says little on a shared
machine, or of other processes, if they do the work; results are medians over the rounds. A round
ends only when background work, such as prefetching, has ended too, so that no contestant's work
counts for another.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Round = Callable[[], float]  # runs one round; returns the number of items (images, batches, …)
Clock = Callable[[str], float]  # CPU seconds that a contestant, by its name, has used so far

# How often it is asked whether work goes on, and how long it must not, in seconds.
PAUSE, IDLE = 0.004, 0.05


@dataclass(frozen=True)
class Figures:
    """Results of one contestant.

    Attributes
    ----------
    cpu : CPU seconds per item, user and system, all threads; median over the rounds
    least, most : minimum and maximum over the rounds
    per_second : items per second of wall time; median
    slowest, fastest : minimum and maximum over the rounds
    """

    cpu: float
    least: float
    most: float
    per_second: float
    slowest: float
    fastest: float


def own_cpu_seconds(_: str) -> float:
    """User and system time of all threads of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(
    contestants: dict[str, Round], rounds: int, clock: Clock = own_cpu_seconds
) -> dict[str, Figures]:
    """Run each contestant once to warm up, then all in turns.

    Parameters
    ----------
    contestants : by name
    rounds : number of measurements of each
    clock : CPU time of a contestant, where it is not this process's
    """
    for name, run in contestants.items():
        run()  # fill caches, start thread pools, prefetch
        wait_until_idle(name, clock)
    cpu: dict[str, list[float]] = {name: [] for name in contestants}
    wall: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            begun, cpu_begun = time.perf_counter(), clock(name)
            count = run()
            ended = wait_until_idle(name, clock)
            cpu[name].append((clock(name) - cpu_begun) / count)
            wall[name].append(count / (ended - begun))
    return {
        name: Figures(
            statistics.median(cpu[name]),
            min(cpu[name]),
            max(cpu[name]),
            statistics.median(wall[name]),
            min(wall[name]),
            max(wall[name]),
        )
        for name in contestants
    }


def wait_until_idle(name: str, clock: Clock) -> float:
    """Wait until no thread of a contestant uses the CPU.

    Returns
    -------
    when it became idle, as `time.perf_counter`
    """
    busy, used = time.perf_counter(), clock(name)
    while time.perf_counter() < busy + IDLE:
        time.sleep(PAUSE)
        now = clock(name)
        if now - used > PAUSE / 10:
            busy = time.perf_counter()
        used = now
    return busy
