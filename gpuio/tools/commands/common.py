"""Arguments and output that the commands share."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from typing import Any

from gpuio.decoding.limits import MAX_PIXELS, VARIABLE
from gpuio.errors import ArgumentError
from gpuio.storage.remote.options import RemoteOptions
from gpuio.terminal import echo
from gpuio.tools.commands.parser import CommandParser
from gpuio.tools.ray_cluster import RayCluster

Run = Callable[[argparse.Namespace], int]


def add_parser(
    commands: Any, name: str, run: Run, *, summary: str, description: str, example: str
) -> CommandParser:
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
    parser: CommandParser = commands.add_parser(
        name, help=summary, description=description, epilog=f"example: gpuio {name} {example}"
    )
    parser.set_defaults(run=run)
    return parser


def add_record_file(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for a record file and its index."""
    parser.add_argument("rec", metavar="FILE.rec", help="the record file: a path or a URL")
    parser.add_argument("--idx", metavar="FILE", help="its index; default: FILE.idx, if it exists")
    add_remote(parser)


def add_remote(parser: argparse.ArgumentParser) -> None:
    """Add the options of remote files, which `remote_options` reads."""
    group = parser.add_argument_group(
        "files at URLs (s3://, gs://, az://, hdfs://, for reading also http(s)://)"
    )
    add = group.add_argument
    add(
        "--cache-dir",
        metavar="FOLDER",
        help="folder of the cache; default: what GPUIO_CACHE_DIR says, else ~/.cache/gpuio",
    )
    add(
        "--cache-limit",
        metavar="SIZE",
        help="most bytes of the cache, such as 50GB; default: what GPUIO_CACHE_LIMIT says, else "
        "100GB",
    )
    add(
        "--storage-option",
        dest="storage_options",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="option of the store's client, such as region=eu-west-1; may be repeated. Secrets "
        "are better left to its environment variables, since others may see a command line",
    )
    add(
        "--retries",
        type=int,
        default=10,
        metavar="N",
        help="most repetitions of a failed request; default: 10",
    )
    add(
        "--timeout",
        type=float,
        default=60.0,
        metavar="S",
        help="seconds that one request may take; default: 60",
    )
    add(
        "--readahead",
        default="256MB",
        metavar="SIZE",
        help="bytes fetched ahead of their use; default: 256MB",
    )


def remote_options(args: argparse.Namespace) -> RemoteOptions:
    """How remote files are reached and cached, from the options of `add_remote`.

    Raises
    ------
    ArgumentError : a value is invalid. What is wrong in a storage option is not shown, as it may be
        secret.
    """
    storage: dict[str, Any] = {}
    for option in args.storage_options:
        name, equals, value = option.partition("=")
        if not equals or not name:
            raise ArgumentError("--storage-option is written KEY=VALUE, such as region=eu-west-1")
        storage[name] = {"true": True, "false": False}.get(value.lower(), value)
    return RemoteOptions.create(
        args.cache_dir,
        args.cache_limit,
        args.readahead,
        storage,
        args.retries,
        args.timeout,
    )


def add_on(parser: Any) -> None:
    """Add ``--on``, ``--address`` and ``--num-cpus``, which `cluster_option` reads."""
    group = parser.add_argument_group("where it runs")
    add = group.add_argument
    add(
        "--on",
        choices=["ray"],
        help="run on a Ray cluster, whose machines must see the files by the same paths or URLs",
    )
    add(
        "--address",
        metavar="HOST:PORT",
        help="of the Ray cluster, or auto; default: what RAY_ADDRESS says, else a local one",
    )
    add(
        "--num-cpus",
        type=int,
        metavar="N",
        help="most tasks at once on the Ray cluster; default: one for each of its CPUs",
    )


def cluster_option(args: argparse.Namespace) -> RayCluster | None:
    """The cluster that the options of `add_on` name; None: none.

    Raises
    ------
    ArgumentError : an option is invalid, or given without ``--on ray``.
    """
    if args.on is None:
        if args.address is not None or args.num_cpus is not None:
            raise ArgumentError("--address and --num-cpus are options of --on ray; add that")
        return None
    return RayCluster(args.address, args.num_cpus)


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add ``--key`` and ``--label``, which select records; without one of them it is None."""
    parser.add_argument(
        "--key", type=int, action="append", metavar="K", help="only this record; may be repeated"
    )
    parser.add_argument(
        "--label",
        type=float,
        action="append",
        metavar="L",
        help="only records whose first label is this; may be repeated",
    )


def add_max_pixels(parser: Any) -> None:
    """Add ``--max-pixels``, the limit on the pixels of an image; without it it is None."""
    parser.add_argument(
        "--max-pixels",
        type=int,
        metavar="N",
        help=f"most pixels of an image; default: what {VARIABLE} says, else {MAX_PIXELS}",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def print_json(value: Any) -> None:
    """Print one line of JSON; named tuples become objects, NaN and infinity null."""
    echo(json.dumps(_plain(value), allow_nan=False))


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
