"""Measure alternatives in one run, in turns.

Each round is measured in CPU time of the whole process, because wall time says little on a shared
machine, or of other processes, if they do the work; results are medians over the rounds. A round
ends only when background work, such as prefetching, has ended too, so that no contestant's work
counts for another.
"""

from __future__ import annotations

import contextlib
import glob
import os
import resource
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

Round = Callable[[], float]  # runs one round; returns the number of items (images, batches, …)

# How often it is asked whether work goes on, and how long it must not, in seconds.
PAUSE, IDLE = 0.004, 0.02


class Meter(Protocol):
    """Tells what a contestant uses of the CPUs."""

    def cpu_seconds(self) -> float:
        """User and system time of all threads so far."""

    def is_runnable(self) -> bool:
        """Whether a thread works, or only waits for a CPU, as threads do on a busy machine."""


class OwnProcess:
    """The meter of contestants that run in this process."""

    def cpu_seconds(self) -> float:
        """User and system time of all threads so far."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    def is_runnable(self) -> bool:
        """Whether a thread other than the calling one works, or waits for a CPU."""
        return has_runnable_thread(os.getpid())


OWN_PROCESS = OwnProcess()


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


def measure(
    contestants: Mapping[str, Round], rounds: int, meters: Mapping[str, Meter] | None = None
) -> dict[str, Figures]:
    """Run each contestant once to warm up, then all in turns.

    Parameters
    ----------
    contestants : by name
    rounds : number of measurements of each
    meters : by name, if they do not run in this process
    """
    meters = meters or dict.fromkeys(contestants, OWN_PROCESS)
    for name, run in contestants.items():
        run()  # fill caches, start thread pools, prefetch
        wait_until_idle(meters[name])
    cpu: dict[str, list[float]] = {name: [] for name in contestants}
    wall: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            begun, cpu_begun = time.perf_counter(), meters[name].cpu_seconds()
            count = run()
            ended = wait_until_idle(meters[name])
            cpu[name].append((meters[name].cpu_seconds() - cpu_begun) / count)
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


def wait_until_idle(meter: Meter = OWN_PROCESS) -> float:
    """Wait until no thread of a contestant has work.

    Returns
    -------
    when it became idle, as `time.perf_counter`
    """
    busy, used = time.perf_counter(), meter.cpu_seconds()
    while True:
        time.sleep(PAUSE)
        now = meter.cpu_seconds()
        if now - used > PAUSE / 10:
            busy = time.perf_counter()
        elif time.perf_counter() > busy + IDLE:
            if not meter.is_runnable():
                return busy
            busy = time.perf_counter()
        used = now


def has_runnable_thread(process: int) -> bool:
    """Whether a thread of a process, other than the calling one, works or waits for a CPU or a
    disk; False where the system has no ``/proc``.
    """
    for path in glob.iglob(f"/proc/{process}/task/*/stat"):
        if path.split("/")[4] == str(threading.get_native_id()):
            continue
        with contextlib.suppress(OSError), open(path) as file:
            if file.read().rpartition(")")[2].split()[0] in "RD":
                return True
    return False
