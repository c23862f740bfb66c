"""Check a record file, its index and its images for damage."""

from __future__ import annotations

import argparse
import os
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import Any, NamedTuple

from gpuio.decoding.limits import resolve_max_pixels
from gpuio.errors import ArgumentError, RecordError, RecordFileNotFoundError
from gpuio.loading.cpus import cpu_count
from gpuio.progress import progress
from gpuio.recordio import Index, unpack
from gpuio.recordio.diagnosis import check_record_file
from gpuio.recordio.framing import parse
from gpuio.recordio.header import is_face_header
from gpuio.recordio.quarantine import Entry, file_name, write_quarantine
from gpuio.storage.local import ByteSequence, Path
from gpuio.storage.remote.opening import exists, location, open_file
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.url import is_remote, shown
from gpuio.terminal import counted, echo
from gpuio.tools.commands.common import (
    add_json,
    add_max_pixels,
    add_on,
    add_parser,
    add_record_file,
    cluster_option,
    print_json,
    remote_options,
)
from gpuio.tools.commands.mismatches import Finding, merge_mismatches
from gpuio.tools.commands.record_checks import Checks, check_in_tasks, check_in_threads
from gpuio.tools.files import check_outputs, find_index
from gpuio.tools.on_ray import running
from gpuio.tools.ray_cluster import RayCluster

LEVELS = ("framing", "headers", "deep")


class Verification(NamedTuple):
    """Result of checking a record file.

    Attributes
    ----------
    rec : the file
    idx : the index; None: it has none
    bytes, records : size of the file, and number of intact records
    findings : the problems, by offset
    """

    rec: str
    idx: str | None
    bytes: int
    records: int
    findings: list[Finding]


def verify(
    rec: Path,
    idx: Path | None = None,
    level: str = "headers",
    threads: int | None = None,
    max_pixels: int | None = None,
    remote: RemoteOptions | None = None,
    on: RayCluster | str | None = None,
) -> Verification:
    """Check a record file, its index, its headers and its images for damage.

    Parameters
    ----------
    rec : the record file
    idx : its index; None: FILE.idx if it exists
    level : "framing": only the framing of records, and the index; "headers": also each record's
        header and its image's header; "deep": also decode each image
    threads : number of threads of this process; None: one per CPU
    max_pixels : the most pixels of an image; None: what the environment variable GPUIO_MAX_PIXELS
        says, else 2**28
    remote : how remote files are reached and cached; None: by the default options
    on : "ray" or a RayCluster: in tasks of a Ray cluster. The result is the same

    Raises
    ------
    RecordFileNotFoundError : a file does not exist.
    RecordError : the file is of another kind, such as an image.
    RemoteError : a remote file cannot be read.
    ArgumentError : the level is unknown, or threads or max_pixels is less than 1.
    """
    if level not in LEVELS:
        raise ArgumentError(f"level must be one of {', '.join(LEVELS)}, not {level!r}")
    if threads is not None and threads < 1:
        raise ArgumentError(f"threads must be at least 1, not {threads!r}")
    limit = resolve_max_pixels(max_pixels)
    path = shown(location(rec))
    data = open_file(rec, remote)
    check_record_file(data, path)
    index_path = find_index(rec, idx, remote)
    given = None if idx is None else location(idx)
    if given and not (exists(given, remote) if is_remote(given) else os.path.isfile(given)):
        raise RecordFileNotFoundError(f"the index {shown(given)} does not exist")
    findings: list[Finding] = []
    keys = _index_keys(index_path, findings, remote)
    begins, found = array("q"), []  # of intact records; problems of the others
    checks = Checks(path, level, _is_face_file(data, path), limit)
    with closing(data), running(on) as tasks:
        if tasks is None:
            results = check_in_threads(data, remote, checks, threads or cpu_count())
        else:
            results = check_in_tasks(location(rec), len(data), remote, checks, tasks)
        with (
            closing(results),
            progress(f"verifying {os.path.basename(path)}", "B", len(data)) as bar,
        ):
            for checked in results:
                begins.extend(checked.begins)
                found += checked.findings
                bar.update(checked.bytes)
    if keys is not None:
        found = [finding._replace(key=keys.get(finding.offset)) for finding in found]
        damage = [finding for finding in found if finding.kind == "framing"]
        findings += [finding for finding in found if finding.kind != "framing"]
        findings += merge_mismatches(damage, keys, begins)
    elif index_path is None:
        findings = [_with_number(finding, begins) for finding in found]
    else:
        findings += found
    findings.sort(key=lambda finding: finding.offset)
    return Verification(path, index_path and shown(index_path), len(data), len(begins), findings)


def quarantine(found: Verification, path: Path, remote: RemoteOptions | None = None) -> int:
    """Write the bad records to a quarantine list, at a path or a URL, which ImageRecordIter can
    skip; returns their number.
    """
    check_outputs([path], [found.rec, *([found.idx] if found.idx else [])], remote=remote)
    entries = [
        Entry(file_name(found.rec), offset, key, finding.reason)
        for finding in found.findings
        for offset, key in _bad_records(finding)
    ]
    write_quarantine(path, entries, remote)
    return len(entries)


def _bad_records(finding: Finding) -> Sequence[tuple[int, int]]:
    """Offset and key of each record that a finding makes unusable."""
    if finding.kind in ("header", "image", "limit"):
        return [(finding.offset, finding.key or 0)]
    return finding.lost


def _index_keys(
    path: str | None, findings: list[Finding], remote: RemoteOptions | None
) -> dict[int, int] | None:
    """Map offsets to keys of the index; None if there is none, or it cannot be read.

    Problems of the index are appended to `findings`.
    """
    if path is None:
        return None
    try:
        index = Index.load(path, remote=remote)
    except RecordError as error:
        findings.append(Finding("index", 0, None, str(error)))
        return None
    keys: dict[int, int] = {}
    known: set[int] = set()
    for offset, key in zip(index.offsets.tolist(), index.keys.tolist(), strict=True):
        if offset in keys:
            findings.append(Finding("index", offset, key, "the index lists this record again"))
        elif key in known:
            findings.append(Finding("index", offset, key, "the index has this key twice"))
        keys.setdefault(offset, key)
        known.add(key)
    return keys


def _with_number(finding: Finding, begins: array[int]) -> Finding:
    """Set the key to the record's number, as in a file without an index."""
    number = bisect_left(begins, finding.offset)
    if number < len(begins) and begins[number] == finding.offset:
        return finding._replace(key=number)
    return finding


def _is_face_file(data: ByteSequence, path: str) -> bool:
    """Whether the first record is the header of a face dataset."""
    try:
        return is_face_header(*unpack(parse(data, 0, path)[0]))
    except RecordError:
        return False


def add_command(commands: Any) -> None:
    """Add ``verify`` to the command line."""
    parser = add_parser(
        commands,
        "verify",
        _run,
        summary="check a record file, its index and its images for damage",
        description="Check the framing of FILE.rec, its index, and the headers of its records and "
        "images; with --deep, decode each image. The exit status is 1 if there are findings.",
        example="train.rec --deep --quarantine bad.tsv",
    )
    add_record_file(parser)
    levels = parser.add_mutually_exclusive_group()
    levels.add_argument("--framing", action="store_true", help="check only framing and index")
    levels.add_argument("--deep", action="store_true", help="also decode each image")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="number of threads; default: one per CPU"
    )
    parser.add_argument(
        "--quarantine", metavar="FILE", help="write a list of bad records, which iterators can skip"
    )
    parser.add_argument(
        "--most",
        type=int,
        default=20,
        metavar="N",
        help="findings to print; default: 20",
    )
    add_max_pixels(parser)
    add_json(parser)
    add_on(parser)


def _run(args: argparse.Namespace) -> int:
    level = "framing" if args.framing else "deep" if args.deep else "headers"
    remote = remote_options(args)
    on = cluster_option(args)
    found = verify(args.rec, args.idx, level, args.threads, args.max_pixels, remote, on)
    listed = quarantine(found, args.quarantine, remote) if args.quarantine else 0
    if args.json:
        print_json(found)
        return 1 if found.findings else 0
    most = max(0, args.most)
    for finding in found.findings[:most]:
        key = "" if finding.key is None else f", key {finding.key}"
        echo(f"{finding.kind} at byte {finding.offset}{key}: {finding.reason}")
    if len(found.findings) > most:
        echo(f"… and {len(found.findings) - most:,} more")
    kinds = Counter(finding.kind for finding in found.findings)
    summary = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items())) or "none"
    records = counted(found.records, "record")
    echo(f"{found.rec}: {records} in {found.bytes:,} bytes; findings: {summary}")
    if kinds["framing"]:
        echo(f"'gpuio repair {found.rec}' copies the intact records")
    elif kinds["index"]:
        echo(f"'gpuio index --force {found.rec}' makes a new index")
    if args.quarantine:
        echo(f"{args.quarantine}: {counted(listed, 'record')}")
    return 1 if found.findings else 0
