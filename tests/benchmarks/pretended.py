"""A contestant that does what tests want it to; apart from them, as its process imports it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.images.job import Job
from tests.benchmarks.images.transforms import Transform

WORK = 0.1  # CPU seconds of a child


def make(job: Job, count: int = 64) -> tuple[Any, Any]:
    """Images and labels as a job asks for."""
    random, transform = np.random.default_rng(0), Transform(job)
    labels = random.permutation(job.count)[:count] if job.train else np.arange(count)
    data = [transform(Path(job.path(number)).read_bytes(), random) for number in labels.tolist()]
    return np.stack(data), labels.astype(np.float32)


def batches(job: Job, kind: str) -> Iterator[Any]:
    """Batches, with what `kind` says."""
    if kind == "missing":
        raise ImportError("it is not installed")
    while True:
        if kind == "forks":
            child_works()
        if kind == "prints":
            print("between the replies")
        yield make(replace(job, mean=(0, 0, 0)) if kind == "wrong" else job, job.batch_size)
        if kind == "dies":
            raise SystemExit(3)


def child_works() -> None:
    """Start a child, wait until it has worked, and leave it to wait for the end of this process."""
    reading, writing = os.pipe()
    if not os.fork():
        while time.process_time() < WORK:
            pass
        os.write(writing, b"x")
        signal.pause()
    os.read(reading, 1)


def versions() -> dict[str, str]:
    return {"test": "1"}
