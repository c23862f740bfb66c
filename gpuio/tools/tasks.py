"""Options of ImageRecordIter and ImageDetRecordIter: for tasks, and from the command line."""

from __future__ import annotations

import argparse
import ast
from typing import TYPE_CHECKING, Any

from gpuio.context import Context
from gpuio.errors import ArgumentError
from gpuio.storage.local import Path
from gpuio.storage.remote.options import RemoteOptions
from gpuio.tools.files import iterator_files
from gpuio.tools.layouts import DETECTION, Layout, layout_of_file

if TYPE_CHECKING:
    from gpuio.io import ImageDetRecordIter, ImageRecordIter

SHAPE = (3, 224, 224)

# ImageNet's channel statistics, in pixel values of 0 to 255, as most training programs use them.
MEAN, STD = (123.68, 116.28, 103.53), (58.395, 57.12, 57.375)
NORMALIZE: dict[str, Any] = {
    f"{name}_{channel}": value
    for name, values in (("mean", MEAN), ("std", STD))
    for channel, value in zip("rgb", values, strict=True)
}

# Options of ImageRecordIter, without data_shape, batch_size and the files.
TASKS: dict[str, dict[str, Any]] = {
    "eval": {"resize": 256, **NORMALIZE},
    "train": {
        "random_resized_crop": True,
        "min_random_area": 0.08,
        "max_random_area": 1.0,
        "min_aspect_ratio": 3 / 4,
        "max_aspect_ratio": 4 / 3,
        "rand_mirror": True,
        "shuffle": True,
        **NORMALIZE,
    },
}


# The same of ImageDetRecordIter, for files with boxes.
DETECTION_TASKS: dict[str, dict[str, Any]] = {
    "eval": NORMALIZE,
    "train": {
        "rand_mirror_prob": 0.5,
        "rand_pad_prob": 0.5,
        "max_pad_scale": 3.0,
        "rand_crop_prob": 0.8,
        "num_crop_sampler": 5,
        "min_crop_scales": 0.3,
        "min_crop_aspect_ratios": 0.5,
        "max_crop_aspect_ratios": 2.0,
        "min_crop_overlaps": (0.1, 0.3, 0.5, 0.7, 0.9),
        "shuffle": True,
        **NORMALIZE,
    },
}


def add_options(parser: argparse.ArgumentParser, task: str | None) -> None:
    """Add ``--task`` and ``--with``, which configure an ImageRecordIter."""
    parser.add_argument(
        "--task",
        choices=list(TASKS),
        default=task,
        help="options as for ImageNet: eval (shorter side to 256, center crop 224) or train "
        "(random resized crop to 224, mirror, shuffle). For files with boxes: eval (to 224 x 224) "
        f"or train (SSD's crops and padding, mirror, shuffle); default: {task or 'none'}",
    )
    parser.add_argument(
        "--with",
        dest="options",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="options of ImageRecordIter, or for files with boxes ImageDetRecordIter, such as "
        "data_shape=3,160,160 rand_crop=True",
    )


def task_options(task: str, layout: Layout) -> dict[str, Any]:
    """Options for a task, of the iterator for a file's labels."""
    return (DETECTION_TASKS if layout.name == DETECTION else TASKS)[task]


def options_of(
    task: str | None,
    arguments: list[str],
    rec: Path,
    idx: Path | None = None,
    remote: RemoteOptions | None = None,
) -> dict[str, Any]:
    """Options of an iterator from ``--task`` and ``--with``; the latter take precedence.

    Raises
    ------
    ArgumentError : an argument of ``--with`` is not NAME=VALUE.
    RecordFileNotFoundError, RecordError : a file is missing or damaged.
    RemoteError : a remote file cannot be read.
    """
    options = dict(task_options(task, layout_of_file(rec, idx, remote))) if task else {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or not name.isidentifier():
            raise ArgumentError(
                f"options are written NAME=VALUE, such as resize=256, not {argument!r}"
            )
        options[name] = _parse_value(value)
    return options


def open_iterator(
    rec: Path,
    idx: Path | None,
    ctx: Context | str | None,
    options: dict[str, Any],
    layout: Layout | None = None,
    remote: RemoteOptions | None = None,
) -> ImageRecordIter | ImageDetRecordIter:
    """Make the iterator for a file's labels, with a user's options: an ImageDetRecordIter if they
    are boxes.

    Raises
    ------
    ArgumentError : there is no such option, or a value is invalid.
    """
    from gpuio.io import ImageDetRecordIter, ImageRecordIter

    layout = layout or layout_of_file(rec, idx, remote)
    files = iterator_files(rec, idx, remote)
    try:
        if layout.name == DETECTION:
            return ImageDetRecordIter(**files, ctx=ctx, **options)
        return ImageRecordIter(**files, ctx=ctx, **layout.iterator_options(options), **options)
    except TypeError as error:  # unknown, or given already
        raise ArgumentError(str(error)) from error


def _parse_value(value: str) -> Any:
    """A number, tuple, True, False or None; otherwise the string itself."""
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
