"""Which records meet conditions, for ``gpuio filter``."""

from __future__ import annotations

from collections.abc import Set
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.decoding.header import read_header
from gpuio.errors import DecodeError, RecordError
from gpuio.recordio import RecordSet, unpack
from gpuio.tools.labels import starts_with_label
from gpuio.tools.payloads import read_payloads
from gpuio.tools.pieces import Tasks, cut
from gpuio.tools.shared_files import SharedRecords

# Records that a task looks at, if there are not fewer.
LEAST_RECORDS, MOST_RECORDS = 256, 1 << 16


@dataclass(frozen=True)
class Conditions:
    """What records must meet.

    Attributes
    ----------
    labels : their first label is one of these, see `label_strings`; None: any
    least, most : limits of an image's shorter side, in pixels; 0 and None: any
    """

    labels: Set[str] | None
    least: int
    most: int | None


class Selected(NamedTuple):
    """Records that meet the conditions.

    Attributes
    ----------
    ordinals : int64 (n,)
    unreadable : number of records whose header or image cannot be read
    """

    ordinals: NDArray[np.int64]
    unreadable: int


def select(records: RecordSet, ordinals: NDArray[np.int64], conditions: Conditions) -> Selected:
    """Select those of some records, ascending, that meet conditions.

    Raises
    ------
    FileChangedError, RemoteError : a file cannot be read.
    """
    labels, least, most = conditions.labels, conditions.least, conditions.most
    chosen, unreadable = ordinals, 0
    if labels is not None:
        chosen, unreadable = _with_labels(records, chosen, labels)
    if least > 0 or most is not None:
        matches = [_has_size(payload, least, most) for payload in read_payloads(records, chosen)]
        unreadable += matches.count(None)
        chosen = chosen[np.array([bool(match) for match in matches], bool)]
    return Selected(chosen, unreadable)


def select_in_tasks(
    records: SharedRecords,
    ordinals: NDArray[np.int64],
    conditions: Conditions,
    tasks: Tasks,
) -> Selected:
    """As `select`, in tasks."""
    pieces = [
        ordinals[begin:end]
        for begin, end in cut(len(ordinals), tasks.cpus, LEAST_RECORDS, MOST_RECORDS)
    ]
    with closing(tasks.map(partial(_select, records, conditions), pieces, "filter")) as results:
        found = list(results)
    return Selected(
        np.concatenate([ordinals[:0], *(each.ordinals for each in found)]),
        sum(each.unreadable for each in found),
    )


def _select(
    records: SharedRecords, conditions: Conditions, ordinals: NDArray[np.int64]
) -> Selected:
    with records.open() as opened:
        return select(opened, ordinals, conditions)


def _with_labels(
    records: RecordSet, ordinals: NDArray[np.int64], labels: Set[str]
) -> tuple[NDArray[np.int64], int]:
    """Those of some records, ascending, whose first label is one of these, and how many cannot be
    read.
    """
    matching: list[int] = []
    read = 0
    for inside, rows in records.label_blocks(ordinals, skip_damaged=True):
        read += len(inside)
        matching += [
            ordinal
            for ordinal, row in zip(inside.tolist(), rows, strict=True)
            if starts_with_label(row, labels)
        ]
    return np.array(sorted(matching), np.int64), len(ordinals) - read


def _has_size(
    payload: NDArray[np.uint8] | RecordError, least: int, most: int | None
) -> bool | None:
    """Whether the shorter side of a record's image is within limits; None: it cannot be read."""
    if isinstance(payload, RecordError):
        return None
    try:
        found = read_header(unpack(payload)[1])
    except (RecordError, DecodeError):
        return None
    shorter = min(found.width, found.height)
    return shorter >= least and (most is None or shorter <= most)
