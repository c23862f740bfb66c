"""The demo: pack images, load them for evaluation and training, measure, draw a batch."""

from __future__ import annotations

import argparse
import itertools
import os
import pathlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from gpuio import native
from gpuio.context import Context, as_context, cpu, gpu, num_gpus, require
from gpuio.errors import ArgumentError
from gpuio.loading.cpus import cpu_count
from gpuio.progress import progress
from gpuio.recordio import RecordSet
from gpuio.storage.local import Path, local_path
from gpuio.terminal import counted, echo
from gpuio.tools.commands.common import add_parser
from gpuio.tools.commands.im2rec.lists import EXTENSIONS, BadImage, list_image, make_list
from gpuio.tools.commands.im2rec.packing import write_records
from gpuio.tools.files import find_index
from gpuio.tools.samples import SOURCES, make_samples
from gpuio.tools.sheet import contact_sheet, denormalize
from gpuio.tools.tasks import MEAN, SHAPE, STD, TASKS

if TYPE_CHECKING:
    from gpuio.io import DataBatch, ImageRecordIter

OUTPUT = "gpuio-demo"
BATCH_SIZE = {"cpu": 32, "gpu": 256}

# Task and description by phase.
PHASES = {
    "evaluation": ("eval", "shorter side to 256, center crop 224 x 224"),
    "training": (
        "train",
        "random crop of 8 to 100 % of the area to 224 x 224, random mirror, shuffled",
    ),
}

# Duration of the warm-up and of the measurement, in seconds.
WARM_UP, MEASURED = 0.5, 3.0

MAX_ON_SHEET, MAX_BAD = 32, 3


class Data(NamedTuple):
    """Record files to load.

    Attributes
    ----------
    rec, idx : the files; idx is None if there is no index
    names : class names by label, if known
    """

    rec: str
    idx: str | None
    names: dict[int, str]


class Speed(NamedTuple):
    """Number of images loaded, wall time, and CPU time of all threads."""

    images: int
    seconds: float
    cpu_seconds: float


def demo(
    *,
    images: Path | None = None,
    rec: Path | None = None,
    idx: Path | None = None,
    ctx: Context | str | None = None,
    batch_size: int | None = None,
    output: Path = OUTPUT,
    epochs: int | None = None,
) -> str:
    """Pack images, load them for evaluation and for training, and draw a training batch.

    Prints each step, and the speed.

    Parameters
    ----------
    images : a local folder of images, preferably with one subfolder per class; None: sample
        photographs
    rec, idx : record files to load instead, or their URLs; idx None: FILE.idx if it exists
    ctx : the device; None: the first GPU if there is one, else the CPU
    batch_size : None: 32 on the CPU, 256 on a GPU; limited to the number of images
    output : local folder for the results
    epochs : number of epochs to measure; None: three seconds

    Returns
    -------
    path of the contact sheet, ``train-batch.png`` in `output`

    Raises
    ------
    ArgumentError : the folder has no images, or the arguments contradict each other.
    RecordFileNotFoundError : a file or folder does not exist.
    ContextError : the device is not available.
    UnsupportedError : a folder is given by a URL.
    """
    if images is not None and rec is not None:
        raise ArgumentError("give either a folder of images or a record file, not both")
    if idx is not None and rec is None:
        raise ArgumentError("an index needs its record file: add --rec FILE")
    for name, value in (("batch_size", batch_size), ("epochs", epochs)):
        if value is not None and value < 1:
            raise ArgumentError(f"{name} must be at least 1, not {value!r}")
    output = local_path(output, "the folder of the results")
    images = None if images is None else local_path(images, "the folder of images")
    device = as_context(ctx) if ctx is not None else gpu(0) if num_gpus() else cpu()
    require(device)
    if rec is None:
        data = _pack(images, pathlib.Path(output))
    else:
        data = Data(os.fspath(rec), find_index(rec, idx), {})
    with RecordSet([data.rec], data.idx and [data.idx]) as records:
        ordinals = records.image_ordinals()
        if not len(ordinals):
            raise ArgumentError(f"{data.rec} has no images; give a record file that has")
        label_width = max(1, records.header(int(ordinals[0])).flag)
    if rec is not None:
        _print("records", f"{counted(len(ordinals), 'image')} in {data.rec}")
    default = "" if ctx is not None else " (the first GPU)" if num_gpus() else " (no GPU found)"
    _print("device", f"{device}{default}, {cpu_count()} CPUs")
    if device.device_type == "cpu":
        _print_decoder()
    rows = min(batch_size or BATCH_SIZE[device.device_type], len(ordinals))
    for phase in PHASES:
        first = _load(phase, data, device, rows, label_width, len(ordinals), epochs)
    os.makedirs(output, exist_ok=True)
    path = os.path.join(output, "train-batch.png")
    _draw(first, data.names, path)
    echo()
    _print("contact sheet", path)
    return path


def _pack(images: Path | None, output: pathlib.Path) -> Data:
    """Pack the folder, or the sample photographs, into record files in `output`."""
    if images is None:
        root = output / "samples"
        classes = make_samples(root)
        _print("photographs", f"{root}: {len(classes)} classes, {classes[0]} to {classes[-1]}")
        _print("", f"authors and licenses: {root / SOURCES}")
    else:
        root = pathlib.Path(images)
    prefix = output / (root.resolve().name or "images")
    if next(list_image(root, recursive=True), None) is None:
        raise ArgumentError(
            f"no images ({' '.join(EXTENSIONS)}) in {root} or its subfolders; give one with images"
        )
    os.makedirs(output, exist_ok=True)
    start = time.perf_counter()
    (path,), names = make_list(prefix, root, recursive=True)
    packed = write_records(path, root, pass_through=True)
    seconds = time.perf_counter() - start
    if images is not None:
        folders = "1 folder" if len(names) == 1 else f"{len(names)} folders"
        _print("images", f"{packed.records:,} in {folders} of {root}")
    size = os.path.getsize(packed.rec) / 1e6
    _print(
        "packed",
        f"{packed.rec}: {counted(packed.records, 'record')}, {size:.1f} MB, in {seconds:.2f} s",
    )
    _print_bad(packed.bad)
    if list(names.values()) == ["."]:
        names = {0: root.resolve().name}
    return Data(packed.rec, packed.idx, names)


def _print_decoder() -> None:
    """What decodes JPEGs on the CPU."""
    in_use, about = native.state()
    if in_use:
        _print("JPEGs", f"decoded by the native module, {about}")
    else:
        _print("JPEGs", "decoded by simplejpeg and OpenCV, without the native module:")
        _print("", about)


def _load(
    phase: str,
    data: Data,
    device: Context,
    rows: int,
    label_width: int,
    count: int,
    epochs: int | None,
) -> DataBatch:
    """Load the data for one phase and print the speed; returns the first batch."""
    from gpuio.io import ImageRecordIter

    task, description = PHASES[phase]
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
    echo()
    _print(phase, description)
    _print("batches", f"{array.dtype} {array.shape} on {array.context}, labels {label.shape}")
    _print(
        "speed",
        f"{speed.images / speed.seconds:,.0f} images/s, "
        f"{speed.images / max(speed.cpu_seconds, 1e-6):,.0f} per CPU second",
    )
    passed = speed.images / count
    _print(
        "measured",
        f"{speed.images:,} images in {speed.seconds:.1f} s, {passed:,.{2 if passed < 10 else 0}f} "
        f"epochs of {count:,}",
    )
    _print_bad(bad)
    return first


def _measure(
    iterator: ImageRecordIter, phase: str, count: int, epochs: int | None
) -> tuple[DataBatch, Speed]:
    """The first batch, and the speed after warming up."""
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
    """Batches, epoch after epoch.

    All rows count: the iterator fills an incomplete last batch with the next epoch's first images,
    and does not repeat these.
    """
    while True:
        yield from iterator
        iterator.reset()


def _draw(batch: DataBatch, names: dict[int, str], path: str) -> None:
    rows = len(batch.data[0]) - batch.padding
    rows = min(rows or len(batch.data[0]), MAX_ON_SHEET)
    pixels = denormalize(batch.data[0][:rows], MEAN, STD)
    labels = batch.label[0].asnumpy()[:rows].reshape(rows, -1)
    captions = [
        names.get(int(label[0]), f"{label[0]:g}") if len(label) == 1 else f"{label.tolist()}"
        for label in labels
    ]
    contact_sheet(pixels, captions, path, title="A training batch")


def _print_bad(bad: list[BadImage]) -> None:
    if not bad:
        return
    _print("left out", f"{len(bad)} unreadable")
    for path, reason in itertools.islice(bad, MAX_BAD):
        _print("", f"{path}: {reason}")
    if len(bad) > MAX_BAD:
        _print("", f"and {len(bad) - MAX_BAD} more")


def _print(heading: str, message: str) -> None:
    echo(f"{heading:>15}  {message}", flush=True)


def add_command(commands: Any) -> None:
    """Add ``demo`` to the command line."""
    parser = add_parser(
        commands,
        "demo",
        _run,
        summary="pack images, load them, measure, and draw a batch",
        description="Pack sample photographs or the images of a folder, or take a record file; "
        "load them for evaluation and for training; print the speed; and draw a training batch.",
        example="--images ~/photos --ctx cpu",
    )
    add = parser.add_argument
    data = parser.add_mutually_exclusive_group()
    data.add_argument("--images", metavar="DIR", help="a folder of images, or of class folders")
    data.add_argument("--rec", metavar="FILE", help="a record file")
    add("--idx", metavar="FILE", help="its index; default: FILE.idx, if it exists")
    add("--ctx", metavar="DEVICE", help="cpu or gpu:0; default: the first GPU, if any")
    add(
        "--batch-size",
        type=int,
        metavar="N",
        help="images in a batch; default: 32 on the CPU, 256 on a GPU",
    )
    add("--epochs", type=int, metavar="N", help="epochs to measure; default: three seconds")
    add(
        "--output",
        default=OUTPUT,
        metavar="DIR",
        help="folder for the results; default: %(default)s",
    )


def _run(args: argparse.Namespace) -> int:
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
