"""DALI's own pipeline for record files, on the CPU, as its documentation builds it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gpuio.tools.commands.bench.dali_reader import reader_pipeline
from tests.benchmarks.images.job import Job


def batches(job: Job, antialias: bool = True) -> Iterator[Any]:
    """Batches of `readers.mxnet`; views of the pipeline's own buffers."""
    crop = {"random_resized_crop": True, "area": job.area, "ratio": job.ratio} if job.area else {}
    pipe = reader_pipeline(
        job.rec,
        job.idx,
        device_id=None,
        data_shape=(3, job.size, job.size),
        batch_size=job.batch_size,
        threads=job.threads,
        resize=job.resize or -1,
        rand_mirror=job.train,
        pad=job.pad,
        mean=job.mean,
        std=job.std,
        shuffle=job.train,
        antialias=antialias,
        **crop,
    )
    while True:
        images, labels = pipe.run()
        yield images.as_tensor(), labels.as_array()


def versions() -> dict[str, str]:
    import nvidia.dali

    return {"DALI": nvidia.dali.__version__}
