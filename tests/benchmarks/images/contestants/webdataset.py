"""WebDataset in processes, over tar files, with simplejpeg and OpenCV."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import webdataset as wds

from tests.benchmarks.images.job import Job
from tests.benchmarks.images.transforms import Transform, generator


def batches(job: Job) -> Iterator[Any]:
    """Batches of a process for each thread that the job has."""
    transform = Transform(job)

    def sample(pair: tuple[bytes, bytes]) -> Any:
        return transform(pair[0], generator(os.getpid())), int(pair[1])

    dataset = wds.WebDataset(job.shards, shardshuffle=len(job.shards) if job.train else False)
    if job.train:
        dataset = dataset.shuffle(1000)
    dataset = (
        dataset.repeat().to_tuple(job.extension[1:], "cls").map(sample)
        .batched(job.batch_size, partial=False)
    )  # fmt: skip
    return iter(wds.WebLoader(dataset, batch_size=None, num_workers=job.threads))


def versions() -> dict[str, str]:
    return {"WebDataset": wds.__version__}
