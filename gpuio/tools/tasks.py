"""What image loaders are mostly asked for: evaluation and training as on ImageNet."""

from __future__ import annotations

import argparse
import ast
from typing import Any

from gpuio.errors import ArgumentError

SHAPE = (3, 224, 224)

# Of ImageNet's pictures, in levels of 0 to 255, as most training programs have them.
MEAN, STD = (123.68, 116.28, 103.53), (58.395, 57.12, 57.375)
NORMALISE: dict[str, Any] = {
    f"{name}_{channel}": value
    for name, values in (("mean", MEAN), ("std", STD))
    for channel, value in zip("rgb", values, strict=True)
}

# Options of ImageRecordIter, beside data_shape, batch_size and the files.
TASKS: dict[str, dict[str, Any]] = {
    "eval": {"resize": 256, **NORMALISE},
    "train": {
        "random_resized_crop": True,
        "min_random_area": 0.08,
        "max_random_area": 1.0,
        "min_aspect_ratio": 3 / 4,
        "max_aspect_ratio": 4 / 3,
        "rand_mirror": True,
        "shuffle": True,
        **NORMALISE,
    },
}


def add_options(parser: argparse.ArgumentParser, task: str | None) -> None:
    """The words that configure an ImageRecordIter: ``--task`` and ``--with``."""
    told = f"default: {task}" if task else "default: none"
    parser.add_argument(
        "--task",
        choices=list(TASKS),
        default=task,
        help="options of ImageRecordIter as for ImageNet: eval (shorter side to 256, centre crop "
        f"224) or train (random resized crop to 224, mirror, shuffle); {told}",
    )
    parser.add_argument(
        "--with",
        dest="options",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="options of ImageRecordIter, such as data_shape=3,160,160 rand_crop=True",
    )


def options_of(task: str | None, words: list[str]) -> dict[str, Any]:
    """The options that ``--task`` and ``--with`` mean; the latter win.

    Raises
    ------
    ArgumentError : a word has no "=".
    """
    options = dict(TASKS[task]) if task else {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name.isidentifier():
            raise ArgumentError(f"options are written NAME=VALUE, such as resize=256, not {word!r}")
        options[name] = _value(text)
    return options


def _value(text: str) -> Any:
    """A number, a tuple, True, False, None; else the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
