"""Rebuild the index of a record file."""

from __future__ import annotations

import argparse
import io
import os
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError, RecordError, RecordFileNotFoundError
from gpuio.progress import progress
from gpuio.recordio import Index, unpack
from gpuio.recordio.diagnosis import check_record_file
from gpuio.recordio.framing import parse
from gpuio.recordio.header import is_face_header
from gpuio.recordio.lists import read_list
from gpuio.storage.local import ByteSequence, Path
from gpuio.storage.remote.opening import in_sequence, location, open_file
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.replacing import replacing
from gpuio.storage.remote.url import shown
from gpuio.terminal import counted, echo
from gpuio.tools.commands.common import (
    add_on,
    add_parser,
    add_remote,
    cluster_option,
    remote_options,
)
from gpuio.tools.commands.im2rec.lists import count_items
from gpuio.tools.commands.walking import offsets_in_tasks
from gpuio.tools.files import check_outputs, index_of
from gpuio.tools.on_ray import running
from gpuio.tools.pieces import Tasks, cut
from gpuio.tools.ray_cluster import RayCluster
from gpuio.tools.shared_files import for_workers, open_shared

# Keys are int64, ids in headers uint64: they are compared modulo this.
MODULUS = 1 << 64

# Bytes of two indexes that are compared at a time.
PIECE = 1 << 22

# Records whose headers are read at a time.
RECORDS = 1 << 12


def index(
    rec: Path,
    idx: Path | None = None,
    *,
    lst: Path | None = None,
    force: bool = False,
    remote: RemoteOptions | None = None,
    on: RayCluster | str | None = None,
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
    on : "ray" or a RayCluster: the file is read in tasks of a Ray cluster. The result is the same

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
    data = open_file(where, remote)
    check_record_file(data, shown(where))
    path = index_of(rec) if idx is None else location(idx)
    check_outputs([path], [rec], indexes=False, remote=remote)
    with running(on) as tasks:
        found = None if tasks is None else offsets_in_tasks(where, len(data), remote, tasks)
        if found is None:
            built = Index.build(where, remote)
        else:
            built = Index(np.arange(len(found), dtype=np.int64), found)
        if lst is not None:
            keys = _keys_of_list(where, built.offsets, lst, remote, tasks)
            built = Index(keys, built.offsets)
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
    rec: str,
    offsets: NDArray[np.int64],
    path: Path,
    remote: RemoteOptions | None,
    tasks: Tasks | None,
) -> NDArray[np.int64]:
    """The key of each record, int64 (n,), from the list from which they were packed."""
    lines = np.array([item.key % MODULUS for item in read_list(path, remote=remote)], np.uint64)
    ids, images = _ids(rec, offsets, remote, tasks)
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


class _Ids(NamedTuple):
    """Of some records: uint64 (n,), the ids in their headers; and bool (n,), whether a list should
    have them: not the header and identity records of a face dataset.
    """

    ids: NDArray[np.uint64]
    listed: NDArray[np.bool_]


def _ids(
    path: str, offsets: NDArray[np.int64], remote: RemoteOptions | None, tasks: Tasks | None
) -> _Ids:
    """The ids of all records.

    Raises
    ------
    RecordError : a record has no header.
    """
    found = [_Ids(np.empty(0, np.uint64), np.empty(0, bool))]
    rec = shown(path)
    with (
        closing(open_file(path, remote)) as file,
        progress(f"reading the headers of {os.path.basename(rec)}", "records", len(offsets)) as bar,
    ):
        face = len(offsets) > 0 and _is_face_header(file, int(offsets[0]), rec)
        if tasks is None:
            pieces = cut(len(offsets), 1, 1, RECORDS)
            read = partial(_read_ids, in_sequence(file, remote), rec, offsets, face)
            results = (read(piece) for piece in pieces)
        else:
            pieces = cut(len(offsets), tasks.cpus, RECORDS)
            there = for_workers(remote)
            read = partial(_read_ids_in_task, path, len(file), there, offsets, face)
            results = tasks.map(read, pieces, "index")
        with closing(results):
            for some in results:
                found.append(some)
                bar.update(len(some.ids))
    return _Ids(
        np.concatenate([some.ids for some in found]),
        np.concatenate([some.listed for some in found]),
    )


def _is_face_header(data: ByteSequence, offset: int, rec: str) -> bool:
    try:
        return is_face_header(*unpack(parse(data, offset, rec)[0]))
    except RecordError:
        return False


def _read_ids_in_task(
    path: str,
    size: int,
    remote: RemoteOptions | None,
    offsets: NDArray[np.int64],
    face: bool,
    piece: tuple[int, int],
) -> _Ids:
    with closing(open_shared(path, size, remote)) as file:
        return _read_ids(in_sequence(file, remote), shown(path), offsets, face, piece)


def _read_ids(
    data: ByteSequence, rec: str, offsets: NDArray[np.int64], face: bool, piece: tuple[int, int]
) -> _Ids:
    """The ids of the records whose numbers are in a range."""
    first, end = piece
    ids, listed = np.empty(end - first, np.uint64), np.ones(end - first, bool)
    for number in range(first, end):
        offset = int(offsets[number])
        try:
            header, image = unpack(parse(data, offset, rec)[0])
        except RecordError as error:
            raise RecordError(f"{rec}, record {number} at byte {offset}: {error}") from error
        ids[number - first] = header.id
        listed[number - first] = not (face and header.flag and not len(image))
    return _Ids(ids, listed)


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
    add_on(parser)


def _run(args: argparse.Namespace) -> int:
    remote, on = remote_options(args), cluster_option(args)
    path, records = index(args.rec, args.idx, lst=args.lst, force=args.force, remote=remote, on=on)
    echo(f"{path}: {counted(records, 'record')}")
    if args.lst and (more := count_items(args.lst, remote) - records) > 0:
        echo(f"{more:,} lines of {args.lst} have no record, as images that im2rec left out")
    return 0
