"""What `gpuio verify` checks of records: in threads, or in tasks."""

from __future__ import annotations

from array import array
from collections.abc import Generator, Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.decoding.header import import_pillow, read_header
from gpuio.decoding.limits import check_image
from gpuio.errors import DecodeError, RecordError
from gpuio.recordio import unpack
from gpuio.recordio.framing import parse
from gpuio.recordio.recovery import Span, next_record, scan
from gpuio.storage.local import LocalFile
from gpuio.storage.remote.file import RemoteFile
from gpuio.storage.remote.opening import in_sequence
from gpuio.storage.remote.options import RemoteOptions
from gpuio.tools.commands.mismatches import Finding
from gpuio.tools.parallel import map_ordered
from gpuio.tools.pieces import Tasks, cut
from gpuio.tools.shared_files import for_workers, open_shared

# Options for reading a file forwards without reading ahead.
NOTHING_AHEAD = RemoteOptions(readahead=0)

# Records per task, and tasks that may be queued or finished before their turn.
CHUNK, AHEAD = 256, 64

# Bytes of a range that a task checks, if the file is not smaller.
LEAST_RANGE, MOST_RANGE = 1 << 20, 1 << 28


class Checks(NamedTuple):
    """What is checked.

    Attributes
    ----------
    path : the record file, in reasons
    level : framing, headers or deep
    face : it is a face dataset
    limit : the most pixels of an image
    """

    path: str
    level: str
    face: bool
    limit: int


class Checked(NamedTuple):
    """What was found in consecutive spans.

    Attributes
    ----------
    begins : where intact records begin
    bytes : of the spans
    findings : the problems, without keys
    """

    begins: array[int]
    bytes: int
    findings: list[Finding]


def check_in_threads(
    file: LocalFile | RemoteFile, remote: RemoteOptions | None, checks: Checks, threads: int
) -> Generator[Checked, None, None]:
    """Check a file in threads of this process."""
    _import_packages(checks)
    spans = scan(in_sequence(file, remote), checks.path)
    return map_ordered(
        threads,
        partial(_check_chunk, file, checks),
        iter(lambda: list(islice(spans, CHUNK)), []),
        AHEAD,
        waits=file.descriptor is None,
    )


class _Range(NamedTuple):
    """A range of a record file to check: from the first record at or after `cut`, or, if given,
    from `begin`, to the end of the first intact record that ends at or after `end`.
    """

    cut: int
    end: int
    begin: int | None = None


class _CheckedRange(NamedTuple):
    """What a task has checked, from `begin` to `end`."""

    begin: int
    end: int
    checked: Checked


def check_in_tasks(
    rec: str, size: int, remote: RemoteOptions | None, checks: Checks, tasks: Tasks
) -> Generator[Checked, None, None]:
    """Check a file in tasks, each a range of it. The results are those of a scan from the file's
    beginning: where damage has misled a task about where a record begins, its range is checked
    again from where the one before has ended.
    """
    function = partial(_check_range, rec, size, for_workers(remote), checks)
    ranges = [_Range(*piece) for piece in cut(size, tasks.cpus, LEAST_RANGE, MOST_RANGE)]
    position = 0
    with closing(tasks.map(function, ranges, "verify")) as results:
        for each, found in zip(ranges, results, strict=True):
            if position >= each.end:
                continue  # the record before it covers it
            usable = found
            if found.begin != position:
                again = [each._replace(begin=position)]
                (usable,) = tasks.map(function, again, "verify")
            yield usable.checked
            position = usable.end


def _check_range(
    rec: str, size: int, remote: RemoteOptions | None, checks: Checks, piece: _Range
) -> _CheckedRange:
    """Check a range, in a task."""
    _import_packages(checks)
    begins, findings = array("q"), []
    with closing(open_shared(rec, size, remote)) as file:
        data = in_sequence(file, remote)
        begin = piece.begin
        if begin is None:
            begin = next_record(data, piece.cut, checks.path)
        end = begin
        spans = _spans_until(scan(data, checks.path, begin), piece.end)
        while begin < piece.end and (chunk := list(islice(spans, CHUNK))):
            checked = _check_chunk(file, checks, chunk)
            begins.extend(checked.begins)
            findings += checked.findings
            end = chunk[-1].end
    return _CheckedRange(begin, end, Checked(begins, end - begin, findings))


def _spans_until(spans: Iterator[Span], end: int) -> Iterator[Span]:
    """Spans up to the first intact record that ends at an offset or after it."""
    for span in spans:
        yield span
        if span.reason is None and span.end >= end:
            return


def _import_packages(checks: Checks) -> None:
    """Import what the checks need, which is not to be first in a thread; see `import_pillow`."""
    import_pillow()
    if checks.level == "deep":
        import gpuio.decoding.host  # noqa: F401


def _check_chunk(file: LocalFile | RemoteFile, checks: Checks, chunk: list[Span]) -> Checked:
    """Check consecutive spans."""
    found = []
    data = in_sequence(file, NOTHING_AHEAD)  # what was just scanned is cached
    for span in chunk:
        if span.reason is not None:
            found.append(Finding("framing", span.begin, None, span.reason))
        elif checks.level != "framing":
            payload = parse(data, span.begin, checks.path)[0]
            found += [
                Finding(kind, span.begin, None, reason)
                for kind, reason in _check_payload(payload, checks)
            ]
    begins = array("q", [span.begin for span in chunk if span.reason is None])
    return Checked(begins, chunk[-1].end - chunk[0].begin, found)


def _check_payload(payload: NDArray[np.uint8], checks: Checks) -> Iterator[tuple[str, str]]:
    """Find the problems of one record, as (kind, reason)."""
    try:
        header, image = unpack(payload)
    except RecordError as error:
        yield "header", str(error)
        return
    if checks.face and header.flag and not len(image):
        return  # a header or identity record of a face dataset
    try:
        info = read_header(image)
    except DecodeError as error:
        yield "image", str(error)
        return
    try:
        check_image(info, image, checks.limit)
    except DecodeError as error:
        yield "limit", str(error)
        return
    try:
        if checks.level == "deep":
            from gpuio.decoding.host import decode, jpeg_warning

            decode(image, info, 4 if info.channels == 4 and info.format == "png" else 3)
            if info.format == "jpeg" and info.channels != 4 and (warning := jpeg_warning(image)):
                yield "partial", warning
    except DecodeError as error:
        yield "image", str(error)
