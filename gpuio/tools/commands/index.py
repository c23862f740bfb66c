"""Rebuild the index of a record file."""

from __future__ import annotations

import argparse
import io
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError, RecordError, RecordFileNotFoundError
from gpuio.progress import progress
from gpuio.recordio import Index, unpack
from gpuio.recordio.diagnosis import check_record_file
from gpuio.recordio.framing import parse
from gpuio.recordio.header import is_face_header
from gpuio.recordio.lists import read_list
from gpuio.storage.local import Path
from gpuio.storage.remote.opening import in_sequence, location, open_file
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.replacing import replacing
from gpuio.storage.remote.url import shown
from gpuio.terminal import counted, echo
from gpuio.tools.commands.common import add_parser, add_remote, remote_options
from gpuio.tools.commands.im2rec.lists import count_items
from gpuio.tools.files import check_outputs, index_of

# Keys are int64, ids in headers uint64: they are compared modulo this.
MODULUS = 1 << 64

# Bytes of two indexes that are compared at a time.
PIECE = 1 << 22


def index(
    rec: Path,
    idx: Path | None = None,
    *,
    lst: Path | None = None,
    force: bool = False,
    remote: RemoteOptions | None = None,
) -> tuple[str, int]:
    """Write the index of a record file by walking through its records.

    Parameters
    ----------
    rec : the record file
    idx : the index; None: next to the file, with the extension .idx
    lst : the im2rec list from which the file was packed: the records get its keys, which are the
        ids in their headers. If all of these are the same, records and lines are matched in order.
        None: the keys are 0, 1, 2, …
    force : replace an existing index that has other keys or offsets. A new index appears under its
        name only when it is complete
    remote : how remote files are reached and cached; None: by the default options

    Returns
    -------
    path or URL of the index, and the number of records it lists

    Raises
    ------
    RecordFileNotFoundError : the file does not exist.
    RecordError : it is damaged; the message says where.
    RemoteError : a remote file cannot be read or written.
    ArgumentError : there is another index and `force` is False, or the list does not belong to the
        file or cannot be read.
    """
    where = location(rec)
    check_record_file(open_file(where, remote), shown(where))
    path = index_of(rec) if idx is None else location(idx)
    check_outputs([path], [rec], indexes=False)
    built = Index.build(where, remote)
    if lst is not None:
        built = Index(_keys_of_list(where, built.offsets, lst, remote), built.offsets)
    with replacing(path, "wb", remote) as file:
        built.write(file)
        if not force and not _replaces_nothing(path, built, remote):
            raise ArgumentError(
                f"{shown(path)} {_difference(path, built, remote)}; --force replaces it"
                + ("" if lst else ", --list FILE writes the keys of a list")
                + ", --idx FILE writes another file"
            )
    return shown(path), len(built)


def _replaces_nothing(path: str, built: Index, remote: RemoteOptions | None) -> bool:
    """Whether there is no index at a path, or the same one, byte by byte."""
    try:
        old = open_file(path, remote)
    except RecordFileNotFoundError:
        return True
    same = io.BytesIO()
    built.write(same)
    new = np.frombuffer(same.getbuffer(), np.uint8)
    return len(old) == len(new) and all(
        np.array_equal(old[begin : begin + PIECE], new[begin : begin + PIECE])
        for begin in range(0, len(new), PIECE)
    )


def _difference(path: str, built: Index, remote: RemoteOptions | None) -> str:
    """How an existing index differs from the new one."""
    try:
        old = Index.load(path, remote=remote)
    except RecordError:
        return "exists, and is not an index that can be read"
    if not np.array_equal(old.offsets, built.offsets):
        return "is another index: records do not begin, or not all, where it says"
    first = np.flatnonzero(old.keys != built.keys)[:1]
    if not len(first):
        return "is another index: its lines are written differently"
    number = int(first[0])
    return (
        f"is another index: record {number} has the key {old.keys[number]}, not "
        f"{built.keys[number]}"
    )


def _keys_of_list(
    rec: str, offsets: NDArray[np.int64], path: Path, remote: RemoteOptions | None
) -> NDArray[np.int64]:
    """The key of each record, int64 (n,), from the list from which they were packed."""
    lines = np.array([item.key % MODULUS for item in read_list(path, remote=remote)], np.uint64)
    ids, images = _ids(rec, offsets, remote)
    rec, lst = shown(rec), shown(location(path))
    counts = f"{lst} has {len(lines):,} lines, {rec} has {len(ids):,} records"
    same = len(ids) > 1 and len(np.unique(ids)) == 1
    if same and len(ids) == len(lines):
        return lines.view(np.int64)
    if same:
        raise ArgumentError(
            f"all records have the id {ids[0]}, so that only their order could tell which line of "
            f"the list each is of, but {counts}"
        )
    strange = np.flatnonzero(images & ~np.isin(ids, lines))
    if len(strange):
        number = int(strange[0])
        raise ArgumentError(
            f"{lst} is not the list of {rec}: it has no line for record {number}, which has the "
            f"id {ids[number]} in its header ({counts})"
        )
    found, repeated = np.unique(ids[images], return_counts=True)
    listed, lines_of = np.unique(lines, return_counts=True)
    more = np.flatnonzero(repeated > lines_of[np.searchsorted(listed, found)])
    if len(more):
        raise ArgumentError(
            f"{lst} is not the list of {rec}: {repeated[more[0]]} records have the id "
            f"{found[more[0]]}, for which it has fewer lines ({counts})"
        )
    return ids.view(np.int64)


def _ids(
    path: str, offsets: NDArray[np.int64], remote: RemoteOptions | None
) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """The id in each record's header, and whether a list should have it: not the header and
    identity records of a face dataset.

    Raises
    ------
    RecordError : a record has no header.
    """
    data, rec = in_sequence(open_file(path, remote), remote), shown(path)
    ids = np.empty(len(offsets), np.uint64)
    listed = np.ones(len(offsets), bool)
    face = False
    with progress(f"reading the headers of {os.path.basename(rec)}", "records", len(ids)) as bar:
        for number, offset in enumerate(offsets.tolist()):
            try:
                header, image = unpack(parse(data, offset, rec)[0])
            except RecordError as error:
                raise RecordError(f"{rec}, record {number} at byte {offset}: {error}") from error
            face |= number == 0 and is_face_header(header, image)
            ids[number] = header.id
            listed[number] = not (face and header.flag and not len(image))
            bar.update()
    return ids, listed


def add_command(commands: Any) -> None:
    """Add ``index`` to the command line."""
    parser = add_parser(
        commands,
        "index",
        _run,
        summary="rebuild the index of a record file",
        description="Walk through the records of FILE.rec and write FILE.idx. The keys are 0, 1, "
        "2, …, or those of the list from which the file was packed. An index that has other keys "
        "is not replaced unless --force is given.",
        example="train.rec --list train.lst",
    )
    add = parser.add_argument
    add("rec", metavar="FILE.rec", help="the record file: a path or a URL")
    add("--idx", metavar="FILE", help="the index; default: FILE.idx")
    add("--list", dest="lst", metavar="FILE.lst", help="the list whose keys the records get")
    add("--force", action="store_true", help="replace an existing index that is different")
    add_remote(parser)


def _run(args: argparse.Namespace) -> int:
    remote = remote_options(args)
    path, records = index(args.rec, args.idx, lst=args.lst, force=args.force, remote=remote)
    echo(f"{path}: {counted(records, 'record')}")
    if args.lst and (more := count_items(args.lst, remote) - records) > 0:
        echo(f"{more:,} lines of {args.lst} have no record, as images that im2rec left out")
    return 0
