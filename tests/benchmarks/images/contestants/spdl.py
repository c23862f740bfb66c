"""An SPDL pipeline in threads, over files, with simplejpeg and OpenCV."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from spdl.pipeline import PipelineBuilder

from tests.benchmarks.images.job import Job
from tests.benchmarks.images.transforms import Transform, generator


def batches(job: Job) -> Iterator[Any]:
    """Batches of a pipeline whose source never ends, each made by one thread."""
    random, transform = generator(os.getpid()), Transform(job)

    def numbers() -> Iterator[list[int]]:
        while True:
            order = random.permutation(job.count) if job.train else np.arange(job.count)
            for first in range(0, job.count - job.batch_size + 1, job.batch_size):
                yield order[first : first + job.batch_size].tolist()

    def make(numbers: list[int]) -> Any:
        images = [transform(Path(job.path(number)).read_bytes(), random) for number in numbers]
        return np.stack(images), np.array(numbers)

    pipeline = (
        PipelineBuilder().add_source(numbers()).pipe(make, concurrency=job.threads)
        .add_sink(2).build(num_threads=job.threads)
    )  # fmt: skip
    with pipeline.auto_stop():
        yield from pipeline


def versions() -> dict[str, str]:
    return {"SPDL": importlib.metadata.version("spdl")}
