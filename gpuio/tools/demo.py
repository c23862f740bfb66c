"""The demo: pack images, load them as for evaluation and as for training, measure, draw a batch."""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gpuio.context import Context, as_context, cpu, gpu, num_gpus, require
from gpuio.errors import ArgumentError
from gpuio.progress import progress
from gpuio.recordio import RecordSet
from gpuio.tools.command import add_parser
from gpuio.tools.files import find_index
from gpuio.tools.im2rec.lists import EXTENSIONS, BadImage, list_image, make_list
from gpuio.tools.im2rec.packing import cpu_count, write_records
from gpuio.tools.samples import SOURCES, make_samples
from gpuio.tools.sheet import contact_sheet, denormalise
from gpuio.tools.tasks import MEAN, SHAPE, STD, TASKS

if TYPE_CHECKING:
    from gpuio.io import DataBatch, ImageRecordIter

File = str | os.PathLike[str]

OUTPUT = "gpuio-demo"
BATCH_SIZE = {"cpu": 32, "gpu": 256}

# What is loaded: the task, and how it is told.
PHASES = {
    "evaluation": ("eval", "shorter side to 256, centre 224 x 224"),
    "training": (
        "train",
        "random 8 to 100 % of the picture to 224 x 224, mirrored or not, shuffled",
    ),
}

# Seconds of loading before the clock starts, and seconds measured.
WARM_UP, MEASURED = 0.5, 3.0

PICTURES_ON_SHEET, BAD_SHOWN = 32, 3


class Data(NamedTuple):
    """Record files to load.

    Attributes
    ----------
    rec, idx : the files; idx None where there is no index
    names : label to name, as far as known
    """

    rec: str
    idx: str | None
    names: dict[int, str]


class Speed(NamedTuple):
    """What was measured: images loaded, in seconds by the clock and of all CPUs together."""

    images: int
    seconds: float
    cpu_seconds: float


def demo(
    *,
    images: File | None = None,
    rec: File | None = None,
    idx: File | None = None,
    ctx: Context | str | None = None,
    batch_size: int | None = None,
    output: File = OUTPUT,
    epochs: int | None = None,
) -> str:
    """Pack images, load them in an evaluation and a training epoch, and draw a training batch.

    What is done, and how fast, is printed.

    Parameters
    ----------
    images : a folder of images, best with a folder for each class; None: sample photographs
    rec, idx : record files to load instead; the index is found beside `rec` where it is left out
    ctx : the device; None: the first GPU where there is one, else the CPU
    batch_size : None: 32 on the CPU, 256 on a GPU; never more than there are images
    output : folder for what is made
    epochs : how many to measure; None: as many, or as much of one, as take three seconds

    Returns
    -------
    path of the contact sheet, ``train-batch.png`` in `output`

    Raises
    ------
    ArgumentError : the folder has no images, or the arguments contradict each other.
    RecordFileNotFoundError : a file or folder does not exist.
    ContextError : the device is not there.
    """
    if images is not None and rec is not None:
        raise ArgumentError("name either a folder of images or a record file, not both")
    if idx is not None and rec is None:
        raise ArgumentError("an index needs its record file: add --rec FILE")
    for name, value in (("batch_size", batch_size), ("epochs", epochs)):
        if value is not None and value < 1:
            raise ArgumentError(f"{name} must be at least 1, not {value!r}")
    device = as_context(ctx) if ctx is not None else gpu(0) if num_gpus() else cpu()
    require(device)
    if rec is None:
        data = _pack(images, Path(output))
    else:
        data = Data(os.fspath(rec), find_index(rec, idx), {})
    with RecordSet([data.rec], data.idx and [data.idx]) as records:
        ordinals = records.image_ordinals()
        if not len(ordinals):
            raise ArgumentError(f"{data.rec} has no images; name a record file that has")
        label_width = max(1, records.record(int(ordinals[0]))[0].flag)
    if rec is not None:
        _say("records", f"{len(ordinals):,} images in {data.rec}")
    _say("device", f"{device}{_why(ctx)}, {cpu_count()} CPUs")
    rows = min(batch_size or BATCH_SIZE[device.device_type], len(ordinals))
    for phase in PHASES:
        first = _run(phase, data, device, rows, label_width, len(ordinals), epochs)
    os.makedirs(output, exist_ok=True)
    path = os.path.join(output, "train-batch.png")
    _draw(first, data.names, path)
    print()
    _say("contact sheet", path)
    return path


def _pack(images: File | None, output: Path) -> Data:
    """Record files of the folder, or of the sample photographs, below `output`."""
    if images is None:
        root = output / "samples"
        classes = make_samples(root)
        _say("photographs", f"{root}: {len(classes)} classes, {classes[0]} to {classes[-1]}")
        _say("", f"whose they are: {root / SOURCES}")
    else:
        root = Path(images)
    prefix = output / (root.resolve().name or "images")
    if next(list_image(root, recursive=True), None) is None:
        raise ArgumentError(
            f"no images ({' '.join(EXTENSIONS)}) in {root} or below it; name a folder that has some"
        )
    os.makedirs(output, exist_ok=True)
    start = time.perf_counter()
    (path,), names = make_list(prefix, root, recursive=True)
    packed = write_records(path, root, pass_through=True)
    seconds = time.perf_counter() - start
    if images is not None:
        folders = "1 folder" if len(names) == 1 else f"{len(names)} folders"
        _say("images", f"{packed.records:,} in {folders} of {root}")
    size = os.path.getsize(packed.rec) / 1e6
    _say("packed", f"{packed.rec}: {packed.records:,} records, {size:.1f} MB, in {seconds:.2f} s")
    _tell(packed.bad)
    if list(names.values()) == ["."]:
        names = {0: root.resolve().name}
    return Data(packed.rec, packed.idx, names)


def _run(
    phase: str,
    data: Data,
    device: Context,
    rows: int,
    label_width: int,
    count: int,
    epochs: int | None,
) -> DataBatch:
    """Load in one way, and print how fast; returns the first batch."""
    from gpuio.io import ImageRecordIter

    task, text = PHASES[phase]
    with ImageRecordIter(
        path_imgrec=[data.rec],
        path_imgidx=data.idx and [data.idx],
        data_shape=SHAPE,
        batch_size=rows,
        label_width=label_width,
        preprocess_threads=cpu_count(),
        ctx=device,
        on_error="skip",
        **TASKS[task],
    ) as iterator:
        first, speed = _measure(iterator, phase, count, epochs)
        bad = [BadImage(each.place, each.reason) for each in iterator.bad_records]
    array, label = first.data[0], first.label[0]
    print()
    _say(phase, text)
    _say("batches", f"{array.dtype} {array.shape} on {array.context}, labels {label.shape}")
    _say(
        "speed",
        f"{speed.images / speed.seconds:,.0f} images/s, "
        f"{speed.images / max(speed.cpu_seconds, 1e-6):,.0f} per CPU second",
    )
    passes = speed.images / count
    _say(
        "measured",
        f"{speed.images:,} images in {speed.seconds:.1f} s, {passes:,.{2 if passes < 10 else 0}f} "
        f"times the {count:,} there are",
    )
    _tell(bad)
    return first


def _measure(
    iterator: ImageRecordIter, phase: str, count: int, epochs: int | None
) -> tuple[DataBatch, Speed]:
    """The first batch, and the speed of those that come after a while."""
    batches = _stream(iterator)
    first = next(batches)
    with progress(phase, "images", epochs and epochs * count, delay=0) as bar:
        begin = time.perf_counter()
        while time.perf_counter() < begin + WARM_UP:
            next(batches)
        images, start, start_cpu = 0, time.perf_counter(), time.process_time()
        for batch in batches:
            rows = batch.data[0].shape[0]
            images += rows
            bar.update(rows)
            if images >= epochs * count if epochs else time.perf_counter() > start + MEASURED:
                break
        batch.data[0].wait_to_read()
        seconds = time.perf_counter() - start
        return first, Speed(images, seconds, time.process_time() - start_cpu)


def _stream(iterator: ImageRecordIter) -> Iterator[DataBatch]:
    """Epoch after epoch. Each row is an image that was loaded: an epoch's incomplete last batch is
    filled with the next one's first images, which then do not come again.
    """
    while True:
        yield from iterator
        iterator.reset()


def _draw(batch: DataBatch, names: dict[int, str], path: str) -> None:
    rows = len(batch.data[0]) - (batch.pad or 0)
    rows = min(rows or len(batch.data[0]), PICTURES_ON_SHEET)
    pixels = denormalise(batch.data[0][:rows], MEAN, STD)
    labels = batch.label[0].asnumpy()[:rows].reshape(rows, -1)
    texts = [
        names.get(int(label[0]), f"{label[0]:g}") if len(label) == 1 else f"{label.tolist()}"
        for label in labels
    ]
    contact_sheet(pixels, texts, path, title="A training batch")


def _why(ctx: Any) -> str:
    if ctx is not None:
        return ""
    return " (the first GPU)" if num_gpus() else " (no GPU found)"


def _tell(bad: list[BadImage]) -> None:
    if not bad:
        return
    _say("left out", f"{len(bad)} that cannot be used")
    for path, reason in itertools.islice(bad, BAD_SHOWN):
        _say("", f"{path}: {reason}")
    if len(bad) > BAD_SHOWN:
        _say("", f"and {len(bad) - BAD_SHOWN} more")


def _say(what: str, text: str) -> None:
    print(f"{what:>15}  {text}", flush=True)


def add_command(commands: Any) -> None:
    """Add ``demo`` to the commands of `gpuio.tools.cli`."""
    parser = add_parser(
        commands,
        "demo",
        _command,
        text="pack images, load them, measure, and draw a batch",
        description="Pack sample photographs, a folder's images, or take a record file; load them "
        "in an evaluation and a training epoch; say how fast; and draw a training batch.",
        example="--images ~/photos --ctx cpu",
    )
    add = parser.add_argument
    data = parser.add_mutually_exclusive_group()
    data.add_argument("--images", metavar="DIR", help="a folder of images, or of folders of images")
    data.add_argument("--rec", metavar="FILE", help="a record file")
    add("--idx", metavar="FILE", help="its index; default: the one beside it, if there is one")
    add("--ctx", metavar="DEVICE", help="cpu or gpu:0; default: a GPU if there is one")
    add("--batch-size", type=int, metavar="N", help="default: 32 on the CPU, 256 on a GPU")
    add("--epochs", type=int, metavar="N", help="epochs to measure; default: three seconds")
    add("--output", default=OUTPUT, metavar="DIR", help="for what is made; default: %(default)s")


def _command(args: argparse.Namespace) -> int:
    demo(
        images=args.images,
        rec=args.rec,
        idx=args.idx,
        ctx=args.ctx,
        batch_size=args.batch_size,
        output=args.output,
        epochs=args.epochs,
    )
    return 0
