"""How much faster gpuio is with two threads than with one, on a machine that others use as well.

How much of a second processor is there changes from second to second. So rounds of one and of two
threads take turns, and before and after each of them as many busy loops tell how much was there:
two of them do twice as much as one only where two processors are free, and equally fast. What is
compared is how much faster two threads are to how much faster two busy loops were in that round.
Where these were hardly faster than one, whatever runs on two threads is not either, and the round
does not count. Nor does it where they were more than twice as fast: then one of them was disturbed.
"""

from __future__ import annotations

import statistics
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gpuio.tools.commands.bench.measure import wait_until_idle
from tests.benchmarks.images.contestants import CONTESTANTS, GPUIO
from tests.benchmarks.images.job import Job
from tests.benchmarks.images.process import ContestantProcess, LeftOutError

THREADS = 1, 2

# Seconds of a busy loop; and how much faster two of them are, at least and at most, in a round that
# counts.
CONTROL, ENOUGH, MOST = 0.1, 1.6, 2.1

# Rounds that have to count for each round of the other measurements, and that are tried at most.
COUNTED, TRIED = 2, 6

# What busy loops do: without the interpreter's lock, and in the caches.
BLOCK = bytes(1 << 17)


@dataclass(frozen=True)
class Scaling:
    """Figures of one job with one thread and with two. Medians over the rounds that count.

    Attributes
    ----------
    workload, task : names
    rounds, tried : how many counted, of how many
    one, two : images per second
    one_cpu_ms, two_cpu_ms : CPU milliseconds for each image
    ratio : images per second of two threads, as a multiple of one thread's
    control : what two busy loops did, as a multiple of what one did
    relative : ratio / control, of each round
    least, most : minimum and maximum of it
    """

    workload: str
    task: str
    rounds: int
    tried: int
    one: float
    two: float
    one_cpu_ms: float
    two_cpu_ms: float
    ratio: float
    control: float
    relative: float
    least: float
    most: float

    @property
    def on_free_processors(self) -> float:
        """About how much faster two threads are than one where two processors are free."""
        return 2 * self.relative


class Round(NamedTuple):
    """What a number of threads did: images per second, CPU seconds for each image, and how much as
    many busy loops did in a second.
    """

    speed: float
    cpu: float
    control: float


def busy_loops(count: int, seconds: float = CONTROL) -> float:
    """Run as many busy loops at once; blocks per second that they do together."""
    done = [0] * count
    begun = time.perf_counter()

    def loop(number: int) -> None:
        while not done[number] or time.perf_counter() < begun + seconds:
            zlib.crc32(BLOCK)
            done[number] += 1

    threads = [threading.Thread(target=loop, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - begun)


def compare(
    take: Callable[[int], tuple[float, float]],
    rounds: int,
    tried: int,
    control: Callable[[int], float] = busy_loops,
) -> Iterator[tuple[Round, Round]]:
    """Take turns; the rounds of one thread and of two, until as many count as are asked for, or as
    many as may be have been tried.

    Parameters
    ----------
    take : takes batches with a number of threads: images per second, CPU seconds for each image
    rounds, tried : numbers of rounds
    control : how much as many busy loops do in a second
    """
    counted = 0
    for number in range(tried):
        pair: dict[int, Round] = {}
        for threads in THREADS if number % 2 else THREADS[::-1]:
            before = control(threads)
            speed, cpu = take(threads)
            pair[threads] = Round(speed, cpu, (before + control(threads)) / 2)
        yield pair[1], pair[2]
        counted += _counts(pair[1], pair[2])
        if counted == rounds:
            return


def _counts(one: Round, two: Round) -> bool:
    return ENOUGH * one.control <= two.control <= MOST * one.control


def summarize(workload: str, task: str, found: Sequence[tuple[Round, Round]]) -> Scaling:
    """The figures of all rounds.

    Raises
    ------
    LeftOutError : none counts.
    """
    counted = [pair for pair in found if _counts(*pair)]
    if not counted:
        ratios = ", ".join(f"{two.control / one.control:.2f}" for one, two in found)
        raise LeftOutError(
            "no second processor was free, or the first was not: two busy loops did "
            f"{ratios} times as much as one"
        )
    ratios = [two.speed / one.speed for one, two in counted]
    controls = [two.control / one.control for one, two in counted]
    relative = [ratio / control for ratio, control in zip(ratios, controls, strict=True)]
    one, two = (
        [statistics.median(values) for values in zip(*each, strict=True)]
        for each in zip(*counted, strict=True)
    )
    return Scaling(
        workload,
        task,
        len(counted),
        len(found),
        one[0],
        two[0],
        1e3 * one[1],
        1e3 * two[1],
        statistics.median(ratios),
        statistics.median(controls),
        statistics.median(relative),
        min(relative),
        max(relative),
    )


def scaling(workload: str, task: str, jobs: Sequence[Job], rounds: int, seconds: float) -> Scaling:
    """Measure a job.

    Parameters
    ----------
    jobs : the job, with each number of threads
    rounds : of other measurements
    seconds : of a round, about

    Raises
    ------
    LeftOutError : there is no native module, it fails, or no second processor was free.
    """
    gpuio = next(each for each in CONTESTANTS if each.name == GPUIO)
    with ContestantProcess(gpuio) as one, ContestantProcess(gpuio) as two:
        processes = dict(zip(THREADS, (one, two), strict=True))
        for job in jobs:
            processes[job.threads].open(job)

        def take(threads: int) -> tuple[float, float]:
            process = processes[threads]
            begun, used = time.perf_counter(), process.cpu_seconds()
            images = process.run(None, seconds)
            ended = wait_until_idle(process)
            return images / (ended - begun), (process.cpu_seconds() - used) / images

        for threads in THREADS:  # fill caches, start threads, prefetch
            take(threads)
        found = compare(take, COUNTED * rounds, TRIED * rounds)
        return summarize(workload, task, list(found))
