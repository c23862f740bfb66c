"""Contestants beside each other in one run.

They take turns in short rounds, and each round is measured in processor time of the whole process,
because wall time on a shared machine says little; the figures are medians over the rounds. A round
ends when what a contestant does ahead of its caller is done too, so that nobody works in another's
time.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Round = Callable[[], float]  # runs one round, returns how many things (images, batches, …) it did


@dataclass(frozen=True)
class Figures:
    """What was measured for one contestant.

    Attributes
    ----------
    cpu : processor seconds for one thing, user and system, all threads: median over the rounds
    least, most : of the rounds
    per_second : things in a second on the clock, median
    """

    cpu: float
    least: float
    most: float
    per_second: float


def measure(contestants: dict[str, Round], rounds: int) -> dict[str, Figures]:
    """Run each once to warm up, then all in turns."""
    for run in contestants.values():
        run()  # caches, thread pools, buffers, and what is made ahead
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
    """Wait until this process does nothing any more.

    Returns
    -------
    when it began to do nothing, on the clock of `perf_counter`
    """
    while True:
        begun, used = time.perf_counter(), _cpu_seconds()
        time.sleep(pause)
        if _cpu_seconds() - used < pause / 10:
            return begun


def _cpu_seconds() -> float:
    """User and system time of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
