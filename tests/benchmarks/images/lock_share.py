"""How much of the work on an image holds the interpreter's lock, which limits all threads together.

    python -m tests.benchmarks.images.lock_share REQUEST

*Measured*: the CPU time of the process, less that within the native module's functions and within
system calls that read files, which run without the lock. That is what Python and NumPy do; it is an
upper bound, as NumPy releases the lock now and then.

*Left*: the same with calls that make samples return at once, without making any, by one thread: two
would take the lock from each other all the time. That is the Python that remains for each image
however many threads there are.

*Simulated*: many threads, on however few processors, whose calls that make samples sleep as long as
the work takes, so that all else is done as it would be with a processor for each thread. The
samples are not made.
"""

from __future__ import annotations

import ctypes
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from gpuio.io import ImageRecordIter
from gpuio.planning.native_crops import native_crops
from gpuio.recordio.native_records import native_records
from gpuio.storage.native_parts import native_parts
from gpuio.tools.commands.bench.measure import wait_until_idle
from tests.benchmarks.images.job import Job
from tests.benchmarks.images.record_options import record_options

THREADS = 16  # simulated
ROUNDS, SECONDS = 5, 0.8  # of each part; that a round takes at least, unless told otherwise


@dataclass(frozen=True)
class LockShare:
    """Figures of one job.

    Attributes
    ----------
    workload, task : names
    batch_size : images in a batch
    left_us : CPU microseconds for each image of what is not making samples
    locked_us : CPU microseconds for each image with the lock, at most
    unlocked_us : CPU microseconds without it
    simulated_threads : number of threads of the simulation
    simulated_per_second : images per second that they make
    used : fraction of their time for which they have work
    """

    workload: str
    task: str
    batch_size: int
    left_us: float
    locked_us: float
    unlocked_us: float
    simulated_threads: int
    simulated_per_second: float
    used: float


class Unlocked:
    """Counts the CPU time of all threads within functions that do not hold the lock."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._lock = threading.Lock()

    def wrap(self, function: Any) -> Any:
        """A function that does the same and counts its time."""

        def timed(*arguments: Any) -> Any:
            begun = time.thread_time()
            result = function(*arguments)
            used = time.thread_time() - begun
            with self._lock:
                self.seconds += used
            return result

        return timed


def endless(job: Job) -> Iterator[int]:
    """Batches of ImageRecordIter, epoch after epoch; their numbers of images."""
    iterator = ImageRecordIter(**record_options(job))
    while True:
        for batch in iterator:
            yield len(batch.data[0])
        iterator.reset()


def take(stream: Iterator[int], unlocked: Unlocked, seconds: float) -> tuple[float, float, float]:
    """Take batches for at least some seconds, several times, each from idle to idle.

    Returns
    -------
    CPU seconds for each image with the lock and without, and images per second; medians
    """
    for _ in range(4):
        next(stream)
    rounds = []
    for _ in range(ROUNDS):
        wait_until_idle()
        unlocked.seconds, images = 0.0, 0
        begun, used = time.perf_counter(), time.process_time()
        while time.perf_counter() < begun + seconds:
            images += next(stream)
        ended = wait_until_idle()
        locked = time.process_time() - used - unlocked.seconds
        rounds.append((locked / images, unlocked.seconds / images, images / (ended - begun)))
    locked, free, rate = (statistics.median(each) for each in zip(*rounds, strict=True))
    return locked, free, rate


def lock_share(workload: str, task: str, job: Job, seconds: float) -> LockShare:
    """Measure a job.

    Raises
    ------
    ImportError : there is no native module.
    """
    from gpuio import native

    library = native.library()
    if library is None:
        raise ImportError(native.state()[1])
    unlocked = Unlocked()
    for each in (library, native_crops(), native_parts(), native_records()):
        for name, value in list(vars(each).items()):
            if isinstance(value, ctypes._CFuncPtr):  # type: ignore[attr-defined]
                setattr(each, name, unlocked.wrap(value))
    for name in ("pread", "preadv"):
        setattr(os, name, unlocked.wrap(getattr(os, name)))
    locked, work, _ = take(endless(job), unlocked, seconds)

    def nothing(workspace: Any, output: int, samples: int, count: int, batch: int) -> int:
        return count

    def render(workspace: Any, output: int, samples: int, count: int, batch: int) -> int:
        time.sleep(work * count)
        return count

    library.render = nothing  # type: ignore[method-assign]
    left, _, _ = take(endless(replace(job, threads=1)), unlocked, seconds)
    library.render = render  # type: ignore[method-assign]
    _, _, rate = take(endless(replace(job, threads=THREADS)), unlocked, seconds)
    return LockShare(
        workload,
        task,
        job.batch_size,
        left * 1e6,
        locked * 1e6,
        work * 1e6,
        THREADS,
        rate,
        rate * work / THREADS,
    )


if __name__ == "__main__":
    workload, task, job, seconds = json.loads(sys.argv[1])
    try:
        print(json.dumps(asdict(lock_share(workload, task, Job.from_json(job), seconds))))
    except ImportError as error:
        sys.exit(str(error))
