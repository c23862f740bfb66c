"""Compare ImageRecordIter with DALI's own `readers.mxnet` pipeline, on the CPU.

Run it with ``make bench``. Both read the same records in the same run, in two tasks that are usual
for ImageNet: *eval* (shorter side to 256, center crop 224, mean and std, float32) and *train* (a
random 8 to 100 % of the area, aspect ratio 3/4 to 4/3, to 224, flip, mean and std). `measure`
describes the method. The images are those of ``../shared/photos`` if it exists, else the sample
photographs of ``gpuio demo``.

DALI's own pipeline resizes with antialiasing, its default; `antialias=False`, which gives the
pixels that MXNet and gpuio give, is measured too.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from gpuio.io import ImageRecordIter
from gpuio.recordio import IRHeader, MXIndexedRecordIO, pack
from gpuio.tools.commands.bench.dali_reader import reader_pipeline
from gpuio.tools.commands.bench.measure import measure
from gpuio.tools.tasks import MEAN, SHAPE, STD, TASKS

PHOTOS = Path(__file__).resolve().parents[3] / "shared" / "photos"

# Target images per CPU-second, as a multiple of DALI's own pipeline.
TARGETS = {"eval": 1.6, "train": 1.25}

Run = Callable[[int], int]  # runs a number of batches, returns the number of images


def record_files(folder: Path, copies: int = 1) -> tuple[Path, Path, str]:
    """Pack the photographs, each several times; return record file, index and a description."""
    paths = sorted(PHOTOS.glob("*.JPEG"))
    name = f"{len(paths)} ImageNet photographs"
    if not paths:
        from gpuio.tools.samples import make_samples

        make_samples(folder / "samples")
        paths = sorted((folder / "samples").glob("**/*.jpg"))
        name = f"{len(paths)} sample photographs"
    rec, idx = folder / "bench.rec", folder / "bench.idx"
    with MXIndexedRecordIO(idx, rec, "w") as writer:
        for number, path in enumerate(paths * copies):
            writer.write_idx(
                number, pack(IRHeader(0, float(number % 10), number, 0), path.read_bytes())
            )
    mean = sum(path.stat().st_size for path in paths) / len(paths)
    return rec, idx, f"{name}, {mean / 1e3:.0f} kB on average"


def gpuio_run(rec: Path, idx: Path, task: str, batch_size: int, threads: int) -> Run:
    """Batches of ImageRecordIter, over as many epochs as it takes."""
    iterator = ImageRecordIter(
        path_imgrec=rec,
        path_imgidx=idx,
        data_shape=SHAPE,
        batch_size=batch_size,
        preprocess_threads=threads,
        **TASKS[task],
    )

    def endless() -> Iterator[Any]:
        while True:
            yield from iterator
            iterator.reset()

    stream = endless()

    def run(batches: int) -> int:
        return sum(len(next(stream).data[0]) for _ in range(batches))

    return run


def dali_run(
    rec: Path, idx: Path, task: str, batch_size: int, threads: int, antialias: bool
) -> Run:
    """Batches of the pipeline that DALI's documentation builds on `readers.mxnet`."""
    train = task == "train"
    pipe = reader_pipeline(
        str(rec),
        str(idx),
        device_id=None,
        data_shape=SHAPE,
        batch_size=batch_size,
        threads=threads,
        resize=-1 if train else 256,
        random_resized_crop=train,
        area=(0.08, 1.0),
        ratio=(3 / 4, 4 / 3),
        rand_mirror=train,
        mean=MEAN,
        std=STD,
        shuffle=train,
        antialias=antialias,
    )

    def run(batches: int) -> int:
        for _ in range(batches):
            pipe.run()
        return batches * batch_size

    return run


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print tables, and return the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=10, help="batches per round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(arguments)
    figures: dict[str, Any] = {"machine": platform.processor() or platform.machine()}
    with tempfile.TemporaryDirectory() as folder:
        rec, idx, figures["data"] = record_files(Path(folder))
        print(f"{figures['data']}; batches of {options.batch_size}, {options.threads} threads")
        for task, target in TARGETS.items():
            task_arguments = (rec, idx, task, options.batch_size, options.threads)
            results = measure(
                {
                    name: partial(run, options.batches)
                    for name, run in (
                        ("gpuio", gpuio_run(*task_arguments)),
                        ("DALI readers.mxnet", dali_run(*task_arguments, antialias=True)),
                        ("DALI, antialias=False", dali_run(*task_arguments, antialias=False)),
                    )
                },
                options.rounds,
            )
            ratio = results["DALI readers.mxnet"].cpu / results["gpuio"].cpu
            rows = {name: asdict(row) for name, row in results.items()}
            figures[task] = {**rows, "ratio": ratio, "target": target}
            print(f"\n{task:24}CPU-ms per image        images/s (wall)")
            for name, row in results.items():
                spread = f"[{row.least * 1e3:.2f}-{row.most * 1e3:.2f}]"
                print(f"  {name:22}{row.cpu * 1e3:.2f} {spread:18}{row.per_second:8.0f}")
            print(f"  {ratio:.2f} times DALI's images per CPU-second (target: {target})")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return figures


if __name__ == "__main__":
    main()
