"""Check the contestants of a workload, and measure them in turns."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gpuio.tools.commands.bench.measure import Figures, measure
from tests.benchmarks.images.check import (
    WrongBatchError,
    chart,
    chart_size,
    check_charts,
    check_form,
    check_images,
)
from tests.benchmarks.images.contestants import Contestant
from tests.benchmarks.images.job import Job
from tests.benchmarks.images.process import ContestantProcess, LeftOutError
from tests.benchmarks.images.workloads import (
    Workload,
    encode,
    encoded_images,
    write_files,
)

TASKS = ("eval", "train")

# How many charts are checked: enough to tell chances.
CHECKED = 64

FOLDERS = CHARTS, DATA = "charts", "data"


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes
    ----------
    threads : of each contestant
    rounds : of each contestant
    seconds : that a round takes at least, which is a number of epochs
    limit : after which a round takes no further batch, in seconds
    interpreters : of other Pythons, by name
    """

    threads: int = 2
    rounds: int = 5
    seconds: float = 0.5
    limit: float = 2.0
    interpreters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """Figures of one contestant in one task of one workload.

    Attributes
    ----------
    workload, task, contestant : names
    threads : of this contestant
    cpu_ms : CPU milliseconds for each image, user and system, process and children; median
    least_cpu_ms, most_cpu_ms : minimum and maximum over the rounds
    per_second : images per second of wall time; median
    slowest, fastest : minimum and maximum over the rounds
    """

    workload: str
    task: str
    contestant: str
    threads: int
    cpu_ms: float
    least_cpu_ms: float
    most_cpu_ms: float
    per_second: float
    slowest: float
    fastest: float


def write_charts(workload: Workload, folder: Path) -> None:
    """Write charts in the files of a workload."""
    sizes = [chart_size(workload.size, workload.scaled, number) for number in range(2)]
    charts = [encode(chart(*size), workload.extension) for size in sizes]
    write_files(folder, charts, workload.extension, max(CHECKED, workload.batch_size))


def check(process: ContestantProcess, charts: Job, images: Job, folder: Path) -> None:
    """Check a contestant's batches, and leave `images` open.

    Raises
    ------
    LeftOutError, WrongBatchError : it failed, or made something else.
    """
    path = folder / "batches.npz"

    def batches(job: Job, images: int) -> tuple[Any, Any]:
        process.open(job)
        process.save(-(-images // job.batch_size), path)
        with np.load(path) as archive:
            return archive["data"], archive["labels"]

    check_charts(*batches(charts, CHECKED), charts)
    process.end()
    data, labels = batches(images, images.batch_size)
    check_form(data, labels, images)
    if not images.train:
        check_images(data, labels, images)


@dataclass
class Found:
    """Results of a workload: figures, reasons by the names of those left out, versions by name."""

    rows: list[Row] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


def say(message: str) -> None:
    """Tell on stderr how far it is, and when."""
    print(f"{time.strftime('%H:%M:%S')} {message}", file=sys.stderr, flush=True)


def run_workload(
    workload: Workload,
    contestants: Sequence[Contestant],
    paths: list[Path],
    folder: Path,
    settings: Settings,
) -> Found:
    """Measure contestants in all tasks of a workload.

    Parameters
    ----------
    paths : of photographs
    folder : for files, in `DATA` and `CHARTS`
    """
    say(f"{workload.title}: making {workload.images} images")
    images = list(encoded_images(workload, paths))
    write_files(folder / DATA, images, workload.extension, workload.copies)
    write_charts(workload, folder / CHARTS)
    say(f"{workload.title}: starting and checking contestants")
    found = Found()
    with ExitStack() as stack:
        processes: dict[str, ContestantProcess] = {}
        threads = {each.name: each.threads or settings.threads for each in contestants}
        for contestant in contestants:
            if contestant.scaled and not workload.scaled:
                continue
            python = contestant.python
            interpreter = settings.interpreters.get(python) if python else sys.executable
            if interpreter is None:
                found.left_out[contestant.name] = f"no Python for it was given (--{python})"
                continue
            process = ContestantProcess(contestant, interpreter)
            processes[contestant.name] = stack.enter_context(process)
        for task in TASKS:
            for each, process in list(processes.items()):
                jobs = [workload.job(folder / part, task, threads[each]) for part in FOLDERS]
                try:
                    check(process, *jobs, folder)
                except (LeftOutError, WrongBatchError) as error:
                    found.left_out[each] = str(error)
                    processes.pop(each).close()
                else:
                    found.versions |= process.versions
            say(f"{workload.title}, {task}: {len(processes)} contestants")
            epoch = len(images) * workload.copies // workload.batch_size
            measured = _measure(processes, epoch, settings, found.left_out)
            for each, figures in measured.items():
                cpu_ms = (1e3 * value for value in (figures.cpu, figures.least, figures.most))
                speed = figures.per_second, figures.slowest, figures.fastest
                found.rows.append(Row(workload.name, task, each, threads[each], *cpu_ms, *speed))
            for process in processes.values():
                process.end()
    return found


def _measure(
    processes: dict[str, ContestantProcess],
    epoch: int,
    settings: Settings,
    left_out: dict[str, str],
) -> dict[str, Figures]:
    """Measure in turns; those that fail are left out.

    Parameters
    ----------
    epoch : number of its batches
    """
    epochs: dict[str, int] = {}

    def run(name: str) -> int:
        """Run a round: whole epochs, since some contestants work in bursts of many batches, as far
        as the limit allows. The first one is one epoch, from which follows how many the others
        have.
        """
        if name in left_out:
            return 1
        begun = time.perf_counter()
        try:
            images = processes[name].run(epochs.get(name, 1) * epoch, settings.limit)
        except LeftOutError as error:
            left_out[name] = str(error)
            return 1
        epochs.setdefault(name, math.ceil(settings.seconds / (time.perf_counter() - begun)))
        return images

    found = measure({name: partial(run, name) for name in processes}, settings.rounds, processes)
    for name in left_out.keys() & processes:
        processes.pop(name).close()
    return {name: found[name] for name in processes}
