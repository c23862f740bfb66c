"""What gpuio is to reach, and whether it does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.benchmarks.images.contestants import DALI, GPUIO, ONE_THREAD, PLAIN
from tests.benchmarks.images.lock_share import LockShare
from tests.benchmarks.images.run import TASKS, Row
from tests.benchmarks.images.scaling import Scaling
from tests.benchmarks.images.workloads import WORKLOADS

# Images per CPU-second, as a multiple of DALI's.
OVER_DALI = {
    ("224", "eval"): 2.2,
    ("224", "train"): 1.8,
    ("112", "eval"): 1.15,
    ("112", "train"): 1.15,
    ("32-jpeg", "eval"): 1.05,
    ("32-jpeg", "train"): 1.05,
    ("12mp", "eval"): 2.8,
    ("12mp", "train"): 1.6,
}

# Images per second with two threads, as a multiple of one thread's, on two free processors.
SCALING = {"224": 1.85, "112": 1.85, "32-jpeg": 1.0, "32-png": 1.0}

# CPU microseconds of Python left for each image, which hold the interpreter's lock.
LOCKED = {"224": 8.0, "32-jpeg": 3.0}


@dataclass(frozen=True)
class Bar:
    """One figure with what it is to be.

    Attributes
    ----------
    name : what is compared
    least : the bar; with `most`, it is not to be exceeded
    value : the figure
    most : see `least`
    """

    name: str
    least: float
    value: float
    most: bool = False

    @property
    def reached(self) -> bool:
        """Whether the figure is on the right side of the bar."""
        return self.value <= self.least if self.most else self.value >= self.least


def bars(rows: Iterable[Row], locks: Iterable[LockShare], scalings: Iterable[Scaling]) -> list[Bar]:
    """All bars whose figures were measured."""
    found = {(row.workload, row.task, row.contestant): row for row in rows}
    result = []
    for workload in WORKLOADS:
        for task in TASKS:
            ours = found.get((workload, task, GPUIO))
            if ours is None:
                continue
            where = f"{workload}, {task}"
            dali = found.get((workload, task, DALI))
            least = OVER_DALI.get((workload, task))
            if dali and least:
                name = f"{where}: images per CPU-second, as a multiple of {DALI}'s"
                result.append(Bar(name, least, dali.cpu_ms / ours.cpu_ms))
            others = [
                row
                for row in found.values()
                if (row.workload, row.task) == (workload, task)
                and row.contestant not in (GPUIO, ONE_THREAD, PLAIN)
            ]
            if others:
                best = min(others, key=lambda row: row.cpu_ms)
                name = f"{where}: as a multiple of the best other's, {best.contestant}"
                result.append(Bar(name, 1.0, best.cpu_ms / ours.cpu_ms))
    for each in scalings:
        if each.workload in SCALING:
            name = (
                f"{each.workload}, {each.task}: images/s of 2 threads, as a multiple of 1 thread's"
            )
            result.append(Bar(name, SCALING[each.workload], each.on_free_processors))
    for lock in locks:
        if lock.workload in LOCKED:
            name = f"{lock.workload}, {lock.task}: microseconds of Python left for each image"
            result.append(Bar(name, LOCKED[lock.workload], lock.left_us, most=True))
    return result
