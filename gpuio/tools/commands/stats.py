"""Compute the channel statistics of a record file, for normalization."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.context import Context
from gpuio.decoding.limits import resolve_max_pixels
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
    add_on,
    add_parser,
    add_record_file,
    cluster_option,
    print_json,
    remote_options,
)
from gpuio.tools.commands.moments import BATCH_SIZE, Reading, measured, measured_in_tasks
from gpuio.tools.files import find_index
from gpuio.tools.on_ray import running
from gpuio.tools.ray_cluster import RayCluster, as_cluster
from gpuio.tools.tasks import SHAPE

# Default number of images: enough to know the means of photographs to within one pixel value.
SAMPLE = 10_000

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
    on: RayCluster | str | None = None,
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
    threads : decoding threads of this process; None: one per CPU
    ctx : the device that decodes
    max_pixels : the most pixels of an image, as ImageRecordIter takes it; more is unreadable
    remote : how remote files are reached and cached; None: by the default options
    on : "ray" or a RayCluster: in tasks of a Ray cluster. The result is the same

    Raises
    ------
    RecordFileNotFoundError, RecordError : the files are missing or damaged.
    RemoteError : a remote file cannot be read.
    ArgumentError : sample is negative, there are no images, or data_shape or resize is invalid.
    DecodeError : no image can be read.
    """
    if sample < 0:
        raise ArgumentError(f"sample must be at least 0, not {sample}")
    if as_cluster(on) is not None and str(ctx or "cpu").startswith("gpu"):
        raise ArgumentError(f"tasks of a Ray cluster decode on CPUs, not on {ctx}; leave out ctx")
    reading = Reading(
        location(rec),
        find_index(rec, idx, remote),
        tuple(data_shape),
        resize,
        sample > 0,
        seed,
        resolve_max_pixels(max_pixels),
    )
    path = shown(location(rec))
    with reading.iterator(remote, threads or cpu_count(), ctx) as iterator, running(on) as tasks:
        images = iterator.num_data
        wanted = min(sample or images, images)
        if tasks is None:
            results = measured(iterator)
        else:
            results = measured_in_tasks(reading, remote, iterator, wanted, tasks)
        means: list[NDArray[np.float64]] = []
        squares: list[NDArray[np.float64]] = []
        unreadable, batches = 0, 0
        with closing(results), progress(f"reading {path}", "images", wanted) as bar:
            for batch in results:
                used = wanted - len(means)
                means += list(batch.means[:used])
                squares += list(batch.squares[:used])
                # Batches without any image that can be read are left out.
                unreadable -= len(batch.means)
                batches = batch.number + 1
                bar.update(len(batch.means))
                if len(means) == wanted:
                    break
            else:
                batches = -(-images // BATCH_SIZE)
        unreadable += min(batches * BATCH_SIZE, images)
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
    add_on(parser)


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
        on=cluster_option(args),
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
