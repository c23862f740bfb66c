"""Grain in threads, over files, with simplejpeg and OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grain
import numpy as np

from tests.benchmarks.images.job import Job
from tests.benchmarks.images.transforms import Transform


def batches(job: Job) -> Iterator[Any]:
    """Batches of `MapDataset`, each made by one thread: the work of a sample would be less than
    Grain's own for it.
    """
    transform = Transform(job)

    def make(numbers: np.ndarray, random: np.random.Generator) -> Any:
        images = [transform(Path(job.path(number)).read_bytes(), random) for number in numbers]
        return np.stack(images), numbers

    dataset = grain.MapDataset.source(range(job.count)).seed(0)
    if job.train:
        dataset = dataset.shuffle()
    options = grain.ReadOptions(num_threads=job.threads, prefetch_buffer_size=2 * job.threads)
    return iter(dataset.repeat().batch(job.batch_size).random_map(make).to_iter_dataset(options))


def versions() -> dict[str, str]:
    return {"Grain": grain.__version__}
