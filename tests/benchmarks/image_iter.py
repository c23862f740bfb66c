"""Compare ImageIter's plan, its augmenters one by one, and MXNet's ImageIter, on the CPU.

Run it with ``make bench-parts``; with ``--mxnet PYTHON``, a Python interpreter that has MXNet
1.9.1, its ImageIter is measured too, in its own process. All read the same records in the same run.
There are three tasks, all bilinear, to float32 224 x 224: *eval* (shorter side to 256, center crop,
mean and std), *train* (a random 8 to 100 % of the area, flip, mean and std) and *colors* (train,
and all jitters of CreateAugmenter). ImageRecordIter, which runs plans only, is measured too if it
has the task. `measure` describes the method.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpuio.image import ImageIter
from gpuio.io import ImageRecordIter
from gpuio.tools.commands.bench.measure import Round, measure
from gpuio.tools.tasks import SHAPE
from gpuio.tools.tasks import TASKS as RECORD_TASKS
from tests.benchmarks.photographs import record_files

COMMON: dict[str, Any] = {"mean": True, "std": True, "inter_method": 1}
TRAIN = {**COMMON, "rand_crop": True, "rand_resize": True, "rand_mirror": True}
TASKS: dict[str, dict[str, Any]] = {
    "eval": {**COMMON, "resize": 256},
    "train": TRAIN,
    "colors": {
        **TRAIN, "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1,
        "pca_noise": 0.1,
    },
}  # fmt: skip

# For each line that it reads, runs a round of MXNet's ImageIter and writes CPU-seconds per image.
MXNET = """
import json, resource, sys
import mxnet as mx
rec, idx, batch_size, batches, shape, options = json.loads(sys.argv[1])
iterator = mx.image.ImageIter(batch_size, tuple(shape), path_imgrec=rec, path_imgidx=idx,
                              shuffle=True, **options)
def used():
    now = resource.getrusage(resource.RUSAGE_SELF)
    return now.ru_utime + now.ru_stime
for line in sys.stdin:
    begun = used()
    for _ in range(batches):
        try:
            batch = iterator.next()
        except StopIteration:
            iterator.reset()
            batch = iterator.next()
        batch.data[0].wait_to_read()
    mx.nd.waitall()
    print((used() - begun) / (batches * batch_size), flush=True)
"""


class OneByOne(ImageIter):
    """ImageIter that runs its augmenters one by one, as with an augmenter that has no `trace`."""

    def augmentation_transform(self, data: Any) -> Any:
        """Do the same; replacing the method is enough to run without a plan."""
        return super().augmentation_transform(data)


def image_iter(
    kind: type[ImageIter], files: dict[str, Path], task: str, options: argparse.Namespace
) -> ImageIter:
    """Open ImageIter, or a subclass, for a task."""
    return kind(
        options.batch_size,
        SHAPE,
        **files,
        shuffle=True,
        preprocess_threads=options.threads,
        **TASKS[task],
    )


def image_record_iter(
    files: dict[str, Path], task: str, options: argparse.Namespace
) -> ImageRecordIter:
    """Open ImageRecordIter for the same task."""
    return ImageRecordIter(
        **files,
        data_shape=SHAPE,
        batch_size=options.batch_size,
        preprocess_threads=options.threads,
        **RECORD_TASKS[task],
    )


def iterator_round(iterator: ImageIter | ImageRecordIter, images: int) -> Round:
    """A round of at least a number of images, over as many epochs as it takes."""

    def run() -> int:
        count = 0
        while count < images:
            try:
                count += len(iterator.next().data[0])
            except StopIteration:
                iterator.reset()
        return count

    return run


class MXNet:
    """MXNet's ImageIter in its own process."""

    def __init__(self, files: dict[str, Path], task: str, options: argparse.Namespace) -> None:
        paths = [str(files["path_imgrec"]), str(files["path_imgidx"])]
        request = [*paths, options.batch_size, options.batches, SHAPE, TASKS[task]]
        self._images = options.batch_size * options.batches
        self._process = subprocess.Popen(
            [options.mxnet, "-c", MXNET, json.dumps(request)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.cpu: list[float] = []

    def __call__(self) -> int:
        """Run a round; return the number of images."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        self.cpu.append(float(self._process.stdout.readline()))
        return self._images

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print tables, and return the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--batches", type=int, default=6, help="batches per round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--mxnet", metavar="PYTHON", help="a Python with MXNet 1.9.1")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(arguments)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        rec, idx, figures["data"] = record_files(Path(folder))
        files = {"path_imgrec": rec, "path_imgidx": idx}
        print(f"{figures['data']}; batches of {options.batch_size}, {options.threads} threads")
        for task in TASKS:
            iterators: dict[str, ImageIter | ImageRecordIter] = {
                "as a plan": image_iter(ImageIter, files, task, options),
                "one by one": image_iter(OneByOne, files, task, options),
            }
            if task in RECORD_TASKS:
                iterators["ImageRecordIter"] = image_record_iter(files, task, options)
            images = options.batches * options.batch_size
            contestants = {name: iterator_round(each, images) for name, each in iterators.items()}
            mxnet = MXNet(files, task, options) if options.mxnet else None
            if mxnet:
                contestants["MXNet"] = mxnet
            results = {
                name: asdict(row) for name, row in measure(contestants, options.rounds).items()
            }
            if mxnet:
                rounds = mxnet.cpu[1:]
                results["MXNet"]["cpu"] = statistics.median(rounds)
                results["MXNet"]["least"], results["MXNet"]["most"] = min(rounds), max(rounds)
                mxnet.close()
            figures[task] = results
            print(f"\n{task:24}CPU-ms per image")
            for name, row in results.items():
                spread = f"[{row['least'] * 1e3:.2f}-{row['most'] * 1e3:.2f}]"
                ratio = row["cpu"] / results["as a plan"]["cpu"]
                print(f"  {name:22}{row['cpu'] * 1e3:.2f} {spread:18}{ratio:6.2f} times the plan's")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return figures


if __name__ == "__main__":
    main()
