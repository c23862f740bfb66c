"""Arguments and output that the commands share."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from typing import Any

Run = Callable[[argparse.Namespace], int]


def add_parser(
    commands: Any, name: str, run: Run, *, summary: str, description: str, example: str
) -> argparse.ArgumentParser:
    """Add a command.

    Parameters
    ----------
    commands : the result of argparse's ``add_subparsers``
    name : the command's name
    run : runs it and returns the exit status
    summary : one line for the list of commands
    description : what it does, for its own help
    example : arguments after ``gpuio NAME``, for its own help
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=description, epilog=f"example: gpuio {name} {example}"
    )
    parser.set_defaults(run=run)
    return parser


def add_record_file(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for a record file and its index."""
    parser.add_argument("rec", metavar="FILE.rec", help="the record file")
    parser.add_argument("--idx", metavar="FILE", help="its index; default: FILE.idx, if it exists")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def print_json(value: Any) -> None:
    """Print one line of JSON; named tuples become objects, NaN and infinity null."""
    print(json.dumps(_plain(value), allow_nan=False))


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
