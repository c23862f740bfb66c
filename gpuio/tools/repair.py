"""A good copy of a damaged record file."""

from __future__ import annotations

import argparse
import os
import struct
from array import array
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import RecordError
from gpuio.progress import progress
from gpuio.recordio import Index, unpack
from gpuio.recordio.framing import parse
from gpuio.recordio.recovery import Span, scan
from gpuio.storage.local import Path, create, local_path, map_file
from gpuio.tools.command import add_json, add_parser, add_record_file, print_json
from gpuio.tools.files import RecordOutput, check_outputs, find_index, index_of, replacing


class Repair(NamedTuple):
    """What became of a record file.

    Attributes
    ----------
    rec, idx : the copy and its index
    records : whole records that were found and copied
    lost : what was left out, as Span(begin, end, reason), in bytes of the original
    """

    rec: str
    idx: str
    records: int
    lost: list[Span]


def repair(
    rec: Path, out: Path | None = None, idx: Path | None = None, damaged: Path | None = None
) -> Repair:
    """Copy all whole records of a damaged file, and make the copy's index; the original is not
    touched.

    The copy and its index appear under their names when they are complete. Records keep their keys
    where the old index knows them; else they get the ids of their headers, else numbers that are
    free.

    Parameters
    ----------
    rec : the record file
    out : the copy; None: beside the file, with the ending .repaired.rec
    idx : the old index; None: that beside the file, if there is a good one
    damaged : a file to which the bytes that were left out are written, one stretch after another;
        None: they are dropped

    Raises
    ------
    RecordFileNotFoundError : there is no such file.
    RecordError : a file cannot be written, or `idx` cannot be read.
    ArgumentError : the copy would be the original.
    """
    path = local_path(rec)
    target = f"{os.path.splitext(path)[0]}.repaired.rec" if out is None else local_path(out)
    data = map_file(path)
    side = [] if damaged is None else [damaged]
    check_outputs([target, index_of(target), *side], [path, *([] if idx is None else [idx])])
    old = _old_keys(path, idx)
    begins: list[int] = []
    lost: list[Span] = []
    with (
        RecordOutput(target) as output,
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
            with replacing(damaged) as name, create(name, "wb") as file:
                for span in lost:
                    file.write(data[span.begin : span.end])
    return Repair(output.rec, output.idx, len(begins), lost)


def _old_keys(path: str, idx: Path | None) -> dict[int, int]:
    """The keys that the old index gives to offsets."""
    found = find_index(path, idx)
    if found is None:
        return {}
    try:
        index = Index.load(found)
    except RecordError:
        if idx is not None:
            raise
        return {}
    return dict(zip(index.offsets.tolist(), index.keys.tolist(), strict=True))


def _keys(data: NDArray[np.uint8], begins: list[int], old: dict[int, int], path: str) -> list[int]:
    """A key for each record, none twice."""
    keys: list[int | None] = []
    taken: set[int] = set()
    for begin in begins:
        key = old.get(begin)
        keys.append(None if key in taken else key)
        taken.update(() if key is None else (key,))
    for number, begin in enumerate(begins):
        if keys[number] is None and (key := _id(parse(data, begin, path)[0])) not in taken:
            keys[number] = key
            taken.update(() if key is None else (key,))
    free = 0
    for number, key in enumerate(keys):
        if key is None:
            while free in taken:
                free += 1
            taken.add(free)
            keys[number] = free
    return keys  # type: ignore[return-value]  # no None is left


def _id(payload: NDArray[np.uint8]) -> int | None:
    """The id in an image record's header, if it could be a key."""
    try:
        number = unpack(payload)[0].id
    except (ValueError, struct.error):
        return None
    return number if number < 2**63 else None


def add_command(commands: Any) -> None:
    """Add ``repair`` to the commands of `gpuio.tools.cli`."""
    parser = add_parser(
        commands,
        "repair",
        _command,
        text="make a good copy of a damaged record file",
        description="Copy all whole records of FILE.rec to OUT.rec, and make OUT.idx. FILE.rec "
        "stays as it is. The exit status is 1 where something had to be left out.",
        example="train.rec good.rec --damaged train.damaged",
    )
    add_record_file(parser)
    parser.add_argument(
        "out", metavar="OUT.rec", nargs="?", help="the copy; default: FILE.repaired.rec"
    )
    parser.add_argument("--damaged", metavar="FILE", help="keep what is left out in this file")
    add_json(parser)


def _command(args: argparse.Namespace) -> int:
    done = repair(args.rec, args.out, args.idx, args.damaged)
    if args.json:
        print_json(done)
    else:
        for span in done.lost:
            print(f"left out {span.end - span.begin:,} bytes: {span.reason}")
        print(f"{done.rec}: {done.records:,} records")
    return 1 if done.lost else 0
