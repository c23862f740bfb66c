"""Mean and standard deviation of a record file's pixels, to normalise with."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.context import Context
from gpuio.errors import ArgumentError
from gpuio.progress import progress
from gpuio.storage.local import Path, local_path
from gpuio.tools.command import add_json, add_parser, add_record_file, print_json
from gpuio.tools.files import iterator_files
from gpuio.tools.im2rec import cpu_count
from gpuio.tools.tasks import SHAPE

# Pictures that are looked at unless the caller says otherwise: the means of photographs are then
# known to less than a level.
SAMPLE = 10_000

BATCH_SIZE = 64

CHANNELS = {1: "r", 3: "rgb", 4: "rgba"}


class Stats(NamedTuple):
    """Mean and standard deviation of the channels.

    Attributes
    ----------
    rec : the file
    images, looked_at : images in it, and those that the figures are of
    unreadable : of the images that were tried, those that could not be used
    data_shape, resize : what was cut out of each picture
    mean, std : for each channel, in levels of 0 to 255, over all pixels together
    error : standard error of each mean, because not all images were looked at
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
        """As arguments of ImageRecordIter."""
        names = CHANNELS[len(self.mean)]
        return ", ".join(
            f"{kind}_{name}={value:.2f}"
            for kind, values in (("mean", self.mean), ("std", self.std))
            for name, value in zip(names, values, strict=True)
        )

    @property
    def shares(self) -> str:
        """As torchvision's Normalize takes them, for pixels of 0 to 1."""
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
) -> Stats:
    """Mean and standard deviation of each channel, over the pixels that evaluation would see.

    Of each picture the shorter side is scaled to `resize` and the centre of `data_shape` cut out,
    so each counts the same. The standard deviation is that of all pixels together,
    ``sqrt(E[x²] - E[x]²)``, with which MXNet and torchvision normalise.

    Parameters
    ----------
    rec : the record file
    idx : its index; None: that beside the file, if there is one
    data_shape : (channels, height, width)
    resize : -1: leave the size
    sample : images to look at, drawn at random; 0: all
    seed : decides which
    threads : decoding threads; None: one for each CPU
    ctx : the device that decodes

    Raises
    ------
    RecordFileNotFoundError, RecordError : the files are missing or damaged.
    ArgumentError : sample is negative, there are no images, or data_shape or resize make no sense.
    DecodeError : no image can be read.
    """
    from gpuio.io import ImageRecordIter

    if sample < 0:
        raise ArgumentError(f"sample must be at least 0, not {sample}")
    path = local_path(rec)
    means: list[NDArray[np.float64]] = []
    squares: list[NDArray[np.float64]] = []
    with ImageRecordIter(
        **iterator_files(path, idx),
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
        verbose=False,
    ) as iterator:
        images = iterator.num_data
        wanted = min(sample or images, images)
        with progress(f"looking at {path}", "images", wanted) as bar:
            for batch in iterator:
                rows = BATCH_SIZE - (batch.pad or 0)
                for picture in batch.data[0].asnumpy()[: min(rows, wanted - len(means))]:
                    mean, std = _moments(picture)
                    means.append(mean)
                    squares.append(std**2 + mean**2)
                bar.update(rows)
                if len(means) == wanted:
                    break
        unreadable = len(iterator.bad_records)
    return _together(path, images, unreadable, data_shape, resize, np.array(means), squares)


def _together(
    rec: str,
    images: int,
    unreadable: int,
    data_shape: Sequence[int],
    resize: int,
    means: NDArray[np.float64],
    squares: list[NDArray[np.float64]],
) -> Stats:
    channels, height, width = data_shape
    mean = means.mean(0)
    std = np.sqrt(np.maximum(np.mean(squares, 0) - mean**2, 0))
    count = len(means)
    left = 1 - count / max(images - unreadable, count)  # 0 where all were looked at
    error = means.std(0, ddof=1 if count > 1 else 0) * np.sqrt(left / count)
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


def _moments(picture: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each channel of one picture."""
    import cv2

    mean, std = cv2.meanStdDev(picture)
    return np.ravel(mean), np.ravel(std)


def add_command(commands: Any) -> None:
    """Add ``stats`` to the commands of `gpuio.tools.cli`."""
    parser = add_parser(
        commands,
        "stats",
        _command,
        text="mean and standard deviation of the pixels, to normalise with",
        description="Mean and standard deviation of each channel, over the centres of the pictures "
        "of FILE.rec, ready to paste.",
        example="train.rec --sample 0",
    )
    add_record_file(parser)
    add = parser.add_argument
    add(
        "--sample",
        type=int,
        default=SAMPLE,
        metavar="N",
        help=f"images to look at, drawn at random; 0: all; default: {SAMPLE}",
    )
    add("--seed", type=int, default=0, metavar="N", help="decides which; default: 0")
    add(
        "--data-shape",
        type=_shape,
        default=SHAPE,
        metavar="C,H,W",
        help="channels, height and width that are cut out of each; default: 3,224,224",
    )
    add(
        "--resize",
        type=int,
        default=256,
        metavar="N",
        help="scale the shorter side before; -1: do not; default: 256",
    )
    add("--threads", type=int, metavar="N", help="default: one for each processor")
    add("--ctx", metavar="DEVICE", help="cpu or gpu:0; default: cpu")
    add_json(parser)


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(side) for side in text.split(","))


def _command(args: argparse.Namespace) -> int:
    found = stats(
        args.rec,
        args.idx,
        data_shape=args.data_shape,
        resize=args.resize,
        sample=args.sample,
        seed=args.seed,
        threads=args.threads,
        ctx=args.ctx,
    )
    if args.json:
        print_json(found)
        return 0
    print(found.arguments)
    print(f"torchvision, for pixels of 0 to 1: {found.shares}")
    height, width = found.data_shape[1:]
    scaled = f"shorter side {found.resize}, " if found.resize > 0 else ""
    print(f"of {found.looked_at:,} of {found.images:,} images: {scaled}centre {height} x {width}")
    if any(found.error):
        print(f"the means are good to {1.96 * max(found.error):.2g} levels (95 % confidence)")
    if found.unreadable:
        print(f"{found.unreadable:,} could not be used; look with: gpuio verify {found.rec} --deep")
    return 0
