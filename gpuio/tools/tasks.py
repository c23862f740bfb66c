"""Options of ImageRecordIter: for ImageNet, from the command line, and how they are applied."""

from __future__ import annotations

import argparse
import ast
from typing import TYPE_CHECKING, Any

from gpuio.context import Context
from gpuio.errors import ArgumentError
from gpuio.storage.local import Path
from gpuio.tools.files import iterator_files

if TYPE_CHECKING:
    from gpuio.io import ImageRecordIter

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


def add_options(parser: argparse.ArgumentParser, task: str | None) -> None:
    """Add ``--task`` and ``--with``, which configure an ImageRecordIter."""
    parser.add_argument(
        "--task",
        choices=list(TASKS),
        default=task,
        help="options of ImageRecordIter as for ImageNet: eval (shorter side to 256, center crop "
        f"224) or train (random resized crop to 224, mirror, shuffle); default: {task or 'none'}",
    )
    parser.add_argument(
        "--with",
        dest="options",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="options of ImageRecordIter, such as data_shape=3,160,160 rand_crop=True",
    )


def options_of(task: str | None, arguments: list[str]) -> dict[str, Any]:
    """Options of ImageRecordIter from ``--task`` and ``--with``; the latter take precedence.

    Raises
    ------
    ArgumentError : an argument of ``--with`` is not NAME=VALUE.
    """
    options = dict(TASKS[task]) if task else {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or not name.isidentifier():
            raise ArgumentError(
                f"options are written NAME=VALUE, such as resize=256, not {argument!r}"
            )
        options[name] = _parse_value(value)
    return options


def open_iterator(
    rec: Path, idx: Path | None, ctx: Context | str | None, options: dict[str, Any]
) -> ImageRecordIter:
    """Make an ImageRecordIter with a user's options.

    Raises
    ------
    ArgumentError : there is no such option, or a value is invalid.
    """
    from gpuio.io import ImageRecordIter

    try:
        return ImageRecordIter(**iterator_files(rec, idx), ctx=ctx, **options)
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
