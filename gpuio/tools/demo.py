"""The main job, shown: photographs to records, records to batches, batches to a picture."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gpuio.context import Context, as_context, cpu, gpu, num_gpus
from gpuio.errors import ArgumentError
from gpuio.io import ImageRecordIter
from gpuio.tools.im2rec import find_images, im2rec
from gpuio.tools.progress import progress
from gpuio.tools.samples import make_samples
from gpuio.tools.sheet import contact_sheet, denormalise

# ImageNet's, in levels of 0 to 255.
MEAN, STD = (123.68, 116.28, 103.53), (58.395, 57.12, 57.375)
NORMALISE = dict(
    mean_r=MEAN[0], mean_g=MEAN[1], mean_b=MEAN[2], std_r=STD[0], std_g=STD[1], std_b=STD[2]
)
EVAL: dict[str, Any] = {"resize": 256}
TRAIN: dict[str, Any] = {
    "shuffle": True,
    "random_resized_crop": True,
    "min_random_area": 0.08,
    "min_aspect_ratio": 3 / 4,
    "max_aspect_ratio": 4 / 3,
    "rand_mirror": True,
}

# Seconds that a measurement takes at least; a small set is read several times.
ENOUGH = 2.0
PICTURES_ON_THE_SHEET = 24


class Speed(NamedTuple):
    """Images, wall seconds and processor seconds of a measurement, and how many epochs it took."""

    images: int
    wall: float
    processor: float
    epochs: int

    def __str__(self) -> str:
        times = "1 epoch" if self.epochs == 1 else f"{self.epochs} epochs"
        return (
            f"{self.images / self.wall:7,.0f} images/s   {self.images / self.processor:7,.0f} per "
            "CPU-second   "
            f"({self.images} images, {times})"
        )


def demo(
    images: str | os.PathLike[str] | None = None,
    rec: str | os.PathLike[str] | None = None,
    idx: str | os.PathLike[str] | None = None,
    *,
    ctx: Context | str | None = None,
    batch_size: int = 32,
    threads: int | None = None,
    epochs: int = 1,
    output: str | os.PathLike[str] = "gpuio-demo",
    quiet: bool = False,
) -> Path:
    """Pack photographs, load them as for evaluation and for training, and draw a contact sheet of a
    train batch.

    Parameters
    ----------
    images : a folder of images, with one folder for each class; None: sample photographs
    rec, idx : a record file, and its index, to use instead
    ctx : the device; None: the first GPU where there is one, else the CPU
    batch_size : images in a batch
    threads : decoding threads; None: as many as there are processors
    epochs : how often each measurement reads the data, at least; it goes on for two seconds
    output : the folder for what is written
    quiet : print nothing

    Returns
    -------
    the path of the contact sheet

    Raises
    ------
    ArgumentError, RecordError, ContextError : what was named is not there.
    """
    say = (lambda *words: None) if quiet else print
    if images is not None and rec is not None:
        raise ArgumentError("name a folder of images or a record file, not both")
    place = as_context(ctx) if ctx is not None else gpu(0) if num_gpus() else cpu(0)
    output = Path(output)
    names: list[str] = []
    if rec is None:
        rec, idx, names = _pack(images, output, say, quiet)
    common: dict[str, Any] = dict(
        path_imgrec=rec,
        path_imgidx=idx,
        data_shape=(3, 224, 224),
        batch_size=batch_size,
        preprocess_threads=threads or os.cpu_count() or 1,
        ctx=place,
        **NORMALISE,
    )
    say(f"device    {place}" + ("" if ctx is not None else _why(place)))
    with ImageRecordIter(**common, **EVAL, round_batch=False) as iterator:
        say(
            f"batch     data {iterator.provide_data[0].shape} float32, label {iterator.provide_label[0].shape}"
        )
        say(f"eval      {_measure(iterator, epochs, 'eval', quiet)}")
    with ImageRecordIter(**common, **TRAIN, round_batch=False) as iterator:
        say(f"train     {_measure(iterator, epochs, 'train', quiet)}")
        iterator.reset()
        batch = iterator.next()
    count = min(PICTURES_ON_THE_SHEET, batch_size - batch.pad)
    labels = batch.label[0].asnumpy()[:count].astype(int).tolist()
    path = contact_sheet(
        denormalise(batch.data[0][:count], MEAN, STD),
        [names[label] if label < len(names) else str(label) for label in labels],
        output / "train-batch.png",
        columns=6,
    )
    say(f"sheet     {path}: {count} pictures of a train batch, de-normalised")
    return path


def _pack(
    images: str | os.PathLike[str] | None, output: Path, say: Any, quiet: bool
) -> tuple[Path, Path, list[str]]:
    """Pack a folder, or the sample photographs: the record file, its index, and the classes'
    names.
    """
    if images is None:
        folder = output / "photographs"
        count = len(make_samples(folder))
        say(f"images    {count} sample photographs in {folder} (their licences: SOURCES.txt there)")
    else:
        folder = Path(images)
    report = im2rec(output / "records", folder, quiet=quiet)
    for path, reason in report.bad:
        say(f"left out  {path}: {reason}")
    size = report.rec.stat().st_size / 1e6
    say(f"records   {report.records} in {report.rec} ({size:.1f} MB) and {report.idx.name}")
    names: list[str] = []
    for entry in find_images(folder, True, (".jpeg", ".jpg", ".png")):
        if int(entry.label[0]) == len(names):
            names.append(os.path.dirname(entry.path) or ".")
    return report.rec, report.idx, names


def _why(place: Context) -> str:
    return " (the first GPU)" if place.device_type == "gpu" else " (no GPU found; --ctx chooses)"


def _measure(iterator: ImageRecordIter, epochs: int, name: str, quiet: bool) -> Speed:
    """Read the data for a while; what the first batches cost to get under way is not counted."""
    stream = _endless(iterator)
    next(stream)
    images, batches = 0, 0
    length = len(iterator)
    begun, processor = time.perf_counter(), time.process_time()
    with progress(epochs * length, name, quiet, unit="batch", at_once=True) as bar:
        while batches < epochs * length or time.perf_counter() - begun < ENOUGH:
            images += next(stream)
            batches += 1
            bar.update()
    return Speed(
        images, time.perf_counter() - begun, time.process_time() - processor, -(-batches // length)
    )


def _endless(iterator: ImageRecordIter) -> Iterator[int]:
    """The number of real images in each batch, epoch after epoch."""
    while True:
        for batch in iterator:
            yield iterator.batch_size - batch.pad
        iterator.reset()


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``gpuio demo`` to the command line."""
    parser = commands.add_parser(
        "demo",
        help="see it work: pack photographs, load them, draw a contact sheet",
        description="Pack photographs into records, load them as for evaluation and for training, print how fast that "
        "goes, and draw a contact sheet of a train batch.",
        epilog="example: gpuio demo --images ~/photos --ctx gpu:0",
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--images", metavar="DIR", help="a folder with one folder of images for each class"
    )
    source.add_argument("--rec", metavar="FILE", help="a record file")
    parser.add_argument("--idx", metavar="FILE", help="its index")
    parser.add_argument("--ctx", help="cpu or gpu:0 (default: the GPU where there is one)")
    parser.add_argument("--batch-size", type=int, default=32, metavar="N")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="decoding threads (default: all processors)"
    )
    parser.add_argument(
        "--epochs", type=int, default=1, metavar="N", help="read the data so often, at least"
    )
    parser.add_argument(
        "--output",
        default="gpuio-demo",
        metavar="DIR",
        help="where to write (default: %(default)s)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    demo(
        options.images,
        options.rec,
        options.idx,
        ctx=options.ctx,
        batch_size=options.batch_size,
        threads=options.threads,
        epochs=options.epochs,
        output=options.output,
    )
    return 0
