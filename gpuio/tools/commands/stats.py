"""Compute the channel statistics of a record file, for normalization."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.context import Context
from gpuio.errors import ArgumentError
from gpuio.loading.cpus import cpu_count
from gpuio.progress import progress
from gpuio.storage.local import Path
from gpuio.storage.remote.opening import location
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.url import shown
from gpuio.terminal import echo
from gpuio.tools.commands.common import (
    add_json,
    add_max_pixels,
    add_parser,
    add_record_file,
    print_json,
    remote_options,
)
from gpuio.tools.files import iterator_files
from gpuio.tools.tasks import SHAPE

# Default number of images: enough to know the means of photographs to within one pixel value.
SAMPLE = 10_000

BATCH_SIZE = 64

CHANNELS = {1: "r", 3: "rgb", 4: "rgba"}


class Stats(NamedTuple):
    """Channel statistics of a record file.

    Attributes
    ----------
    rec : the file
    images, looked_at : number of images in the file, and of those the statistics are based on
    unreadable : images that were tried but could not be read
    data_shape, resize : the region used of each image
    mean, std : per channel, in pixel values of 0 to 255, over all pixels
    error : standard error of each mean due to sampling; 0 if all images were used
    """

    rec: str
    images: int
    looked_at: int
    unreadable: int
    data_shape: tuple[int, int, int]
    resize: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    error: tuple[float, ...]

    @property
    def arguments(self) -> str:
        """Mean and std as arguments of ImageRecordIter."""
        names = CHANNELS[len(self.mean)]
        return ", ".join(
            f"{kind}_{name}={value:.2f}"
            for kind, values in (("mean", self.mean), ("std", self.std))
            for name, value in zip(names, values, strict=True)
        )

    @property
    def shares(self) -> str:
        """Mean and std as arguments of torchvision's Normalize, for pixel values of 0 to 1."""
        mean, std = (
            ", ".join(f"{value / 255:.4f}" for value in values) for values in (self.mean, self.std)
        )
        return f"mean=[{mean}], std=[{std}]"


def stats(
    rec: Path,
    idx: Path | None = None,
    *,
    data_shape: Sequence[int] = SHAPE,
    resize: int = 256,
    sample: int = SAMPLE,
    seed: int = 0,
    threads: int | None = None,
    ctx: Context | str | None = None,
    max_pixels: int | None = None,
    remote: RemoteOptions | None = None,
) -> Stats:
    """Compute each channel's mean and standard deviation, over the pixels that evaluation sees.

    Each image's shorter side is scaled to `resize` and its center cropped to `data_shape`, so that
    all images weigh the same; labels of any kind do not matter. The standard deviation is over all
    pixels, ``sqrt(E[x²] - E[x]²)``, which is what MXNet and torchvision normalize with.

    Parameters
    ----------
    rec : the record file
    idx : its index; None: FILE.idx if it exists
    data_shape : (channels, height, width)
    resize : length of the shorter side in pixels; -1: do not resize
    sample : number of images, drawn at random; 0: all
    seed : of the random sample
    threads : decoding threads; None: one per CPU
    ctx : the device that decodes
    max_pixels : the most pixels of an image, as ImageRecordIter takes it; more is unreadable
    remote : how remote files are reached and cached; None: by the default options

    Raises
    ------
    RecordFileNotFoundError, RecordError : the files are missing or damaged.
    RemoteError : a remote file cannot be read.
    ArgumentError : sample is negative, there are no images, or data_shape or resize is invalid.
    DecodeError : no image can be read.
    """
    from gpuio.tools.unlabelled import UnlabelledImageIter

    if sample < 0:
        raise ArgumentError(f"sample must be at least 0, not {sample}")
    path = shown(location(rec))
    means: list[NDArray[np.float64]] = []
    squares: list[NDArray[np.float64]] = []
    with UnlabelledImageIter(
        **iterator_files(rec, idx, remote),
        data_shape=data_shape,
        batch_size=BATCH_SIZE,
        resize=resize,
        shuffle=sample > 0,
        seed=seed,
        dtype="uint8",
        layout="NHWC",
        on_error="skip",
        last_batch_handle="pad",
        preprocess_threads=threads or cpu_count(),
        ctx=ctx,
        max_pixels=max_pixels,
        verbose=False,
    ) as iterator:
        images = iterator.num_data
        wanted = min(sample or images, images)
        with progress(f"reading {path}", "images", wanted) as bar:
            for batch in iterator:
                rows = BATCH_SIZE - batch.padding
                for image in batch.data[0].asnumpy()[: min(rows, wanted - len(means))]:
                    mean, std = _moments(image)
                    means.append(mean)
                    squares.append(std**2 + mean**2)
                bar.update(rows)
                if len(means) == wanted:
                    break
        unreadable = len(iterator.bad_records)
    return _combine(path, images, unreadable, data_shape, resize, np.array(means), squares)


def _combine(
    rec: str,
    images: int,
    unreadable: int,
    data_shape: Sequence[int],
    resize: int,
    means: NDArray[np.float64],
    squares: list[NDArray[np.float64]],
) -> Stats:
    """Combine each image's mean and mean of squares."""
    channels, height, width = data_shape
    mean = means.mean(0)
    std = np.sqrt(np.maximum(np.mean(squares, 0) - mean**2, 0))
    count = len(means)
    unseen = 1 - count / max(images - unreadable, count)  # finite population correction
    error = means.std(0, ddof=1 if count > 1 else 0) * np.sqrt(unseen / count)
    return Stats(
        rec,
        images,
        count,
        unreadable,
        (channels, height, width),
        resize,
        tuple(mean.tolist()),
        tuple(std.tolist()),
        tuple(error.tolist()),
    )


def _moments(image: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each channel of one image."""
    import cv2

    mean, std = cv2.meanStdDev(image)
    return np.ravel(mean), np.ravel(std)


def add_command(commands: Any) -> None:
    """Add ``stats`` to the command line."""
    parser = add_parser(
        commands,
        "stats",
        _run,
        summary="compute mean and standard deviation of the pixels, for normalization",
        description="Print mean and standard deviation of each channel, over center crops of the "
        "images of FILE.rec, ready to paste.",
        example="train.rec --sample 0",
    )
    add_record_file(parser)
    add = parser.add_argument
    add(
        "--sample",
        type=int,
        default=SAMPLE,
        metavar="N",
        help=f"number of images, drawn at random; 0: all; default: {SAMPLE}",
    )
    add("--seed", type=int, default=0, metavar="N", help="of the random sample; default: 0")
    add(
        "--data-shape",
        type=_shape,
        default=SHAPE,
        metavar="C,H,W",
        help="channels, height and width of the center crop; default: 3,224,224",
    )
    add(
        "--resize",
        type=int,
        default=256,
        metavar="N",
        help="scale the shorter side first; -1: do not; default: 256",
    )
    add("--threads", type=int, metavar="N", help="decoding threads; default: one per CPU")
    add("--ctx", metavar="DEVICE", help="cpu or gpu:0; default: cpu")
    add_max_pixels(parser)
    add_json(parser)


def _shape(argument: str) -> tuple[int, ...]:
    return tuple(map(int, argument.split(",")))


def _run(args: argparse.Namespace) -> int:
    found = stats(
        args.rec,
        args.idx,
        data_shape=args.data_shape,
        resize=args.resize,
        sample=args.sample,
        seed=args.seed,
        threads=args.threads,
        ctx=args.ctx,
        max_pixels=args.max_pixels,
        remote=remote_options(args),
    )
    if args.json:
        print_json(found)
        return 0
    echo(found.arguments)
    echo(f"torchvision, for pixel values of 0 to 1: {found.shares}")
    height, width = found.data_shape[1:]
    scaled = f"shorter side {found.resize}, " if found.resize > 0 else ""
    echo(f"from {found.looked_at:,} of {found.images:,} images: {scaled}center {height} x {width}")
    if any(found.error):
        echo(f"the means are accurate to ±{1.96 * max(found.error):.2g} (95 % confidence)")
    if found.unreadable:
        echo(
            f"{found.unreadable:,} could not be read; list them with: gpuio verify {found.rec} "
            "--deep"
        )
    return 0
