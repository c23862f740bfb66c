"""Arguments of ImageRecordIter, which gpuio has from MXNet."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.images.job import Job


def record_options(job: Job) -> dict[str, Any]:
    """Arguments of ImageRecordIter for a job."""
    found: dict[str, Any] = {
        "path_imgrec": job.rec,
        "path_imgidx": job.idx,
        "data_shape": (3, job.size, job.size),
        "batch_size": job.batch_size,
        "preprocess_threads": job.threads,
        "shuffle": job.train,
        "rand_mirror": job.train,
        "resize": job.resize or -1,
        "pad": job.pad,
        "rand_crop": bool(job.pad),
        "fill_value": 0,
        "verbose": False,
    }
    for channel in range(3):
        found[f"mean_{'rgb'[channel]}"] = job.mean[channel]
        found[f"std_{'rgb'[channel]}"] = job.std[channel]
    if job.area:
        found["random_resized_crop"] = True
        found["min_random_area"], found["max_random_area"] = job.area
        found["min_aspect_ratio"], found["max_aspect_ratio"] = job.ratio
    return found
