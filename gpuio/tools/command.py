"""What the commands have in common: their help, the words for a record file, and JSON."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from typing import Any

Run = Callable[[argparse.Namespace], int]


def add_parser(
    commands: Any, name: str, run: Run, *, text: str, description: str, example: str
) -> argparse.ArgumentParser:
    """A new command.

    Parameters
    ----------
    commands : what argparse's ``add_subparsers`` gave
    name : the command's word
    run : does it; gives the exit status
    text : a line for the list of commands
    description : what it does, for its own help
    example : words behind ``gpuio NAME``, for its own help
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=description, epilog=f"example: gpuio {name} {example}"
    )
    parser.set_defaults(run=run)
    return parser


def add_record_file(parser: argparse.ArgumentParser) -> None:
    """The words for a record file and its index."""
    parser.add_argument("rec", metavar="FILE.rec", help="the record file")
    parser.add_argument("--idx", metavar="FILE", help="its index; default: FILE.idx, if any")


def add_json(parser: argparse.ArgumentParser) -> None:
    """The word ``--json``."""
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def print_json(value: Any) -> None:
    """Print JSON; named tuples become objects, and what is not a number in JSON becomes null."""
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
