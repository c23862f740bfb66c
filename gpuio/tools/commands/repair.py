"""Copy the intact records of a damaged record file."""

from __future__ import annotations

import argparse
import os
from array import array
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import RecordError
from gpuio.progress import progress
from gpuio.recordio import Index, unpack
from gpuio.recordio.diagnosis import check_record_file
from gpuio.recordio.framing import parse
from gpuio.recordio.recovery import Span, scan
from gpuio.storage.local import ByteSequence, Path
from gpuio.storage.remote.opening import in_sequence, location, open_file
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.replacing import replacing
from gpuio.storage.remote.url import shown
from gpuio.terminal import counted, echo
from gpuio.tools.commands.common import (
    add_json,
    add_parser,
    add_record_file,
    print_json,
    remote_options,
)
from gpuio.tools.files import check_outputs, find_index, index_of, renamed
from gpuio.tools.record_output import open_output

# Bytes of damage that are copied at a time.
PIECE = 1 << 24


class Repair(NamedTuple):
    """Result of a repair.

    Attributes
    ----------
    rec, idx : the copy and its index
    records : number of intact records, which were copied
    lost : what was left out, as Span(begin, end, reason), in bytes of the original
    """

    rec: str
    idx: str
    records: int
    lost: list[Span]


def repair(
    rec: Path,
    out: Path | None = None,
    idx: Path | None = None,
    damaged: Path | None = None,
    remote: RemoteOptions | None = None,
) -> Repair:
    """Copy all intact records of a damaged file and index the copy; the original is not changed.

    The copy and its index get their names only when they are complete. Records keep the keys of the
    old index; any others get the ids in their headers, or else unused numbers.

    Parameters
    ----------
    rec : the record file
    out : the copy; None: FILE.repaired.rec for FILE.rec
    idx : the old index; None: FILE.idx if it exists and is readable
    damaged : a file for the bytes that were left out, concatenated; None: drop them
    remote : how remote files are reached and cached; None: by the default options

    Raises
    ------
    RecordFileNotFoundError : the file does not exist.
    RecordError : a file cannot be written, `idx` cannot be read, or the file is of another kind,
        such as an image.
    RemoteError : a remote file cannot be read or written.
    ArgumentError : the copy would overwrite the original.
    """
    path = shown(location(rec))
    target = renamed(rec, ".repaired.rec") if out is None else location(out)
    data = in_sequence(open_file(rec, remote), remote)
    check_record_file(data, path)
    rest = [] if damaged is None else [damaged]
    inputs = [rec, *([] if idx is None else [idx])]
    check_outputs([target, index_of(target), *rest], inputs, remote=remote)
    old = _old_keys(rec, idx, remote)
    begins: list[int] = []
    lost: list[Span] = []
    with (
        open_output(target, remote=remote) as output,
        progress(f"repairing {os.path.basename(path)}", "B", len(data)) as bar,
    ):
        for span in scan(data, path):
            if span.reason is None:
                begins.append(span.begin)
                output.append(0, [data[span.begin : span.end]])
            else:
                lost.append(span)
            bar.update(span.end - span.begin)
        output.keys = array("q", _keys(data, begins, old, path))
        if damaged is not None:
            with replacing(damaged, "wb", remote) as rejected:
                for span in lost:
                    for begin in range(span.begin, span.end, PIECE):
                        rejected.write(data[begin : min(begin + PIECE, span.end)])
    return Repair(output.rec, output.idx, len(begins), lost)


def _old_keys(rec: Path, idx: Path | None, remote: RemoteOptions | None) -> dict[int, int]:
    """Map offsets to the keys of the old index."""
    found = find_index(rec, idx, remote)
    if found is None:
        return {}
    try:
        index = Index.load(found, remote=remote)
    except RecordError:
        if idx is not None:
            raise
        return {}
    return dict(zip(index.offsets.tolist(), index.keys.tolist(), strict=True))


def _keys(data: ByteSequence, begins: list[int], old: dict[int, int], path: str) -> list[int]:
    """Choose a distinct key for each record."""
    keys: list[int | None] = []
    taken: set[int] = set()
    for begin in begins:
        key = old.get(begin)
        keys.append(None if key in taken else key)
        taken.update(() if key is None else (key,))
    for number, begin in enumerate(begins):
        if keys[number] is None and (key := _header_id(parse(data, begin, path)[0])) not in taken:
            keys[number] = key
            taken.update(() if key is None else (key,))
    free = 0
    for number, key in enumerate(keys):
        if key is None:
            while free in taken:
                free += 1
            taken.add(free)
            keys[number] = free
    return keys  # type: ignore[return-value]  # no element is None any more


def _header_id(payload: NDArray[np.uint8]) -> int | None:
    """The id in an image record's header, if it is a valid key."""
    try:
        number = unpack(payload)[0].id
    except RecordError:
        return None
    return number if number < 2**63 else None


def add_command(commands: Any) -> None:
    """Add ``repair`` to the command line."""
    parser = add_parser(
        commands,
        "repair",
        _run,
        summary="copy the intact records of a damaged record file",
        description="Copy all intact records of FILE.rec to OUT.rec, and write OUT.idx. FILE.rec "
        "is not changed. The exit status is 1 if something had to be left out.",
        example="train.rec good.rec --damaged train.damaged",
    )
    add_record_file(parser)
    parser.add_argument(
        "out", metavar="OUT.rec", nargs="?", help="the copy; default: FILE.repaired.rec"
    )
    parser.add_argument("--damaged", metavar="FILE", help="file for the bytes that are left out")
    add_json(parser)


def _run(args: argparse.Namespace) -> int:
    result = repair(args.rec, args.out, args.idx, args.damaged, remote_options(args))
    if args.json:
        print_json(result)
    else:
        for span in result.lost:
            echo(f"left out {span.end - span.begin:,} bytes at byte {span.begin}: {span.reason}")
        echo(f"{result.rec}: {counted(result.records, 'record')}")
    return 1 if result.lost else 0
