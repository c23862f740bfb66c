"""The cache of remote files: list it, fill it, empty it, check it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from os.path import dirname
from typing import Any, NamedTuple

import numpy as np

from gpuio.errors import ArgumentError, RecordFileNotFoundError, RemoteError
from gpuio.progress import progress
from gpuio.storage.remote.checking import compare, is_outdated
from gpuio.storage.remote.file import RemoteFile
from gpuio.storage.remote.inventory import UNKNOWN, Version, remove, versions
from gpuio.storage.remote.opening import cache_of, list_folder, object_folder, open_remote
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.stream import ForwardReader
from gpuio.storage.remote.url import (
    is_folder,
    is_remote,
    is_signed,
    parse_url,
    shown,
    with_extension,
)
from gpuio.terminal import counted, echo
from gpuio.tools.commands.common import (
    Run,
    add_json,
    add_parser,
    add_remote,
    print_json,
    remote_options,
)

DAY = 24 * 3600.0


def listed(options: RemoteOptions) -> list[Version]:
    """What is in the cache, by URL."""
    return versions(cache_of(options).root)


def fill(urls: Sequence[str], options: RemoteOptions) -> list[tuple[str, int]]:
    """Fetch files into the cache as a whole, and indexes next to them.

    Parameters
    ----------
    urls : of files; of folders, which end with "/", their ``*.rec`` files

    Returns
    -------
    URL, without secrets, and size of each file

    Raises
    ------
    ArgumentError : one is no URL, together they are larger than the cache may become, or it cannot
        be written.
    RecordFileNotFoundError : one does not exist.
    RemoteError : one cannot be read.
    """
    wanted = list(_files(urls, options))
    files = [open_remote(url, options) for url in wanted]
    files += [index for url in wanted if (index := _index(url, options)) is not None]
    total = sum(map(len, files))
    if total > options.cache_limit:
        raise ArgumentError(
            f"the files have {total:,} bytes, the limit of the cache is {options.cache_limit:,}; "
            "raise it with --cache-limit"
        )
    with progress("fetching", "B", total) as bar:
        for file in files:
            reader = ForwardReader(file)
            for begin in range(0, len(file), STEP):
                bar.update(len(reader[begin : begin + STEP]))
    cache = cache_of(options)
    cache.sync()
    for file in files:
        if len(file) and not file.is_cached(np.array([0]), np.array([len(file)])):
            raise ArgumentError(
                f"{file.path} is not in the cache as a whole: {dirname(cache.root)} cannot be "
                f"written, or its limit of {cache.limit:,} bytes is too low; --cache-dir and "
                "--cache-limit change them"
            )
    return [(file.path, len(file)) for file in files]


# Bytes between two updates of a progress bar.
STEP = 1 << 20


def _index(url: str, options: RemoteOptions) -> RemoteFile | None:
    """The index next to a record file; None: there is none, or it needs a signature of its own."""
    if not parse_url(url).path.endswith(".rec"):
        return None
    try:
        return open_remote(with_extension(url, ".idx"), options)
    except RecordFileNotFoundError:
        return None
    except RemoteError:
        if is_signed(url):
            return None
        raise


def empty(
    options: RemoteOptions, urls: Sequence[str] = (), older_than: float | None = None
) -> list[Version]:
    """Remove files from the cache.

    Parameters
    ----------
    urls : which; none: all
    older_than : only those that were not used for so many days; None: all of them

    Returns
    -------
    What was removed

    Raises
    ------
    ArgumentError : one of the URLs is not in the cache.
    """
    found = [each for each, _ in _selected(options, urls)]
    if older_than is not None:
        found = [each for each in found if time.time() - each.used > older_than * DAY]
    for each in found:
        remove(each)
    return found


class Checked(NamedTuple):
    """Whether what is cached is what the store has.

    Attributes
    ----------
    url : of the file, without secrets
    compared : bytes
    differing : segments that differ; they have been removed
    outdated : whether the store has another version, or none; what was cached has been removed
    elsewhere : whether it is of another server, or another query, than the options and the URL
        name, or nothing says of which; nothing was compared
    """

    url: str
    compared: int
    differing: int
    outdated: bool = False
    elsewhere: bool = False


def verify(options: RemoteOptions, urls: Sequence[str] = ()) -> list[Checked]:
    """Fetch what is cached again, compare it, and remove what differs.

    Parameters
    ----------
    urls : which files; none: all. Those whose URL has secrets must be given

    Raises
    ------
    ArgumentError : one of the URLs is not in the cache.
    RemoteError : the store cannot be read.
    """
    found = _selected(options, urls)
    with progress("comparing", "B", sum(each.on_disk for each, _ in found)) as bar:
        return [_check(each, url, options, bar) for each, url in found]


def _check(version: Version, url: str, options: RemoteOptions, bar: Any) -> Checked:
    if url == UNKNOWN or object_folder(url, options) != dirname(version.folder):
        return Checked(version.url, 0, 0, elsewhere=True)
    compared = differing = 0
    try:
        remote = open_remote(url, options).remote
        if remote.cached.folder != version.folder:
            raise RecordFileNotFoundError(f"{version.url} has changed")
        for nbytes, differs in compare(remote, version.segments):
            compared += nbytes
            differing += differs
            bar.update(nbytes)
    except Exception as error:
        if not is_outdated(error):
            raise
        remove(version)
        return Checked(version.url, compared, differing, outdated=True)
    return Checked(version.url, compared, differing)


def _selected(options: RemoteOptions, urls: Sequence[str]) -> list[tuple[Version, str]]:
    """The versions of some objects, each with its URL as it is given here; all, if none is.

    One object has several URLs: ``s3a://`` is ``s3://``, and a host may be in capitals.
    """
    found = listed(options)
    if not urls:
        return [(each, each.url) for each in found]
    chosen: list[tuple[Version, str]] = []
    for url in dict.fromkeys(urls):
        name, folder = shown(url), object_folder(url, options)
        same = [each for each in found if name == each.url or folder == dirname(each.folder)]
        if not same:
            raise ArgumentError(f"{name} is not in the cache; 'gpuio cache ls' lists what is")
        chosen += [(each, url) for each in same if each not in [version for version, _ in chosen]]
    return chosen


def _files(urls: Sequence[str], options: RemoteOptions) -> Iterator[str]:
    for url in urls:
        if not is_remote(url):
            raise ArgumentError(f"{url} is not a URL such as s3://bucket/train.rec")
        if is_folder(url):
            yield from list_folder(url, ".rec", options)
        else:
            yield url


def add_command(commands: Any) -> None:
    """Add ``cache`` to the command line."""
    parser = add_parser(
        commands,
        "cache",
        _run_ls,
        summary="list, fill, empty or check the cache of remote files",
        description="The cache of remote files, which all processes of a user share.",
        example="fill s3://bucket/train.rec",
    )
    actions = parser.add_subparsers(
        title="actions", metavar="ACTION", required=True, help="what to do; each has its --help"
    )
    _add_action(actions, "ls", _run_ls, "list what is in the cache")
    filling = _add_action(actions, "fill", _run_fill, "fetch files as a whole, and their indexes")
    filling.add_argument(
        "url", nargs="+", metavar="URL", help="a file, or a folder: 's3://b/data/'"
    )
    removal = _add_action(actions, "rm", _run_rm, "remove files from the cache")
    removal.add_argument("url", nargs="*", metavar="URL", help="only these files")
    removal.add_argument("--all", action="store_true", help="all files")
    removal.add_argument(
        "--older-than", type=float, metavar="DAYS", help="only what was not used for so long"
    )
    summary = "compare what is cached with the store, and remove what differs"
    checking = _add_action(actions, "verify", _run_verify, summary)
    checking.add_argument("url", nargs="*", metavar="URL", help="only these files")


def _add_action(actions: Any, name: str, run: Run, summary: str) -> argparse.ArgumentParser:
    """Add one of the command's actions, with the arguments that all have."""
    description = f"{summary[0].upper()}{summary[1:]}."
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=summary, description=description
    )
    parser.set_defaults(run=run)
    add_remote(parser)
    add_json(parser)
    return parser


def _run_ls(args: argparse.Namespace) -> int:
    options = remote_options(args)
    found = listed(options)
    if args.json:
        print_json(found)
        return 0
    rows = [("file", "size", "cached", "last used")]
    for each in found:
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.used))
        rows.append((each.url, f"{each.size:,}", f"{each.on_disk:,}", used))
    _print_table(rows)
    total = sum(each.on_disk for each in found)
    echo(f"{dirname(cache_of(options).root)}: {total:,} bytes, limit {options.cache_limit:,}")
    return 0


def _run_fill(args: argparse.Namespace) -> int:
    found = fill(args.url, remote_options(args))
    if args.json:
        print_json([{"url": url, "size": size} for url, size in found])
        return 0
    for url, size in found:
        echo(f"{url}: {size:,} bytes")
    return 0


def _run_rm(args: argparse.Namespace) -> int:
    if not args.url and not args.all and args.older_than is None:
        raise ArgumentError("say what to remove: URLs, --older-than DAYS, or --all")
    found = empty(remote_options(args), args.url, args.older_than)
    if args.json:
        print_json(found)
        return 0
    echo(f"removed {counted(len(found), 'file')}, {sum(each.on_disk for each in found):,} bytes")
    return 0


def _run_verify(args: argparse.Namespace) -> int:
    found = verify(remote_options(args), args.url)
    bad = sum(each.differing for each in found)
    if args.json:
        print_json(found)
        return 1 if bad else 0
    for each in found:
        if each.outdated:
            result = "another version is there now; removed"
        elif each.url == UNKNOWN:
            result = "nothing says of which file; not compared"
        elif each.elsewhere:
            result = "of another server or query than is named here; not compared"
        elif each.differing:
            result = f"{each.differing} segments differ; removed"
        else:
            result = f"{each.compared:,} bytes, all the same"
        echo(f"{each.url}: {result}")
    return 1 if bad else 0


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows with aligned columns: names to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        name, *rest = (
            cell.ljust(width) if not number else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        echo("  ".join([name, *rest]).rstrip())
