"""Where the index of a record file does not match the file, by cause, for ``gpuio verify``."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Keys that a reason names.
NAMED_KEYS = 4


class Finding(NamedTuple):
    """One problem.

    Attributes
    ----------
    kind : "framing": bytes that belong to no record; "index": the index does not match the file;
        "header": a record has no image header; "image": its image cannot be read; "limit": its
        image is over a limit; "partial": a JPEG decodes only in part, or with warnings
    offset : position in the record file, in bytes
    key : the record's key, or without an index its number; None if unknown
    reason : what is wrong
    lost : (offset, key) of the records of the index that cannot be read for this reason, since no
        record begins at the offset
    """

    kind: str
    offset: int
    key: int | None
    reason: str
    lost: Sequence[tuple[int, int]] = ()


def merge_mismatches(
    damage: list[Finding], keys: dict[int, int], begins: array[int]
) -> list[Finding]:
    """Compare an index with where intact records begin, and merge what has one cause.

    Damaged bytes make the index wrong for the records in them, and, if bytes are missing, for all
    records after them. So what does not match belongs to the damage before it, up to the next
    record that matches; without damage, it is one finding of its own.

    Parameters
    ----------
    damage : findings about framing, by offset
    keys : the index, as a map of offsets to keys
    begins : where intact records begin, ascending
    """
    records = np.frombuffer(begins, np.int64) if len(begins) else np.empty(0, np.int64)
    listed = np.fromiter(keys, np.int64, len(keys))
    matching = np.intersect1d(records, listed)
    events = [(finding.offset, 0, number) for number, finding in enumerate(damage)]
    events += [(offset, 1, keys[offset]) for offset in np.setdiff1d(listed, matching).tolist()]
    unlisted = np.flatnonzero(~np.isin(records, matching, assume_unique=True))
    events += [(begins[number], 2, number) for number in unlisted.tolist()]
    events.sort()
    return [_finding(group, damage) for group in _groups(events, matching)]


Event = tuple[int, int, int]  # offset; 0: damage, 1: a lost record, 2: one not in the index; which


def _groups(events: list[Event], matching: NDArray[np.int64]) -> Iterator[list[Event]]:
    """Split events at damage, and where a record matches."""
    if not events:
        return
    before = np.searchsorted(matching, [offset for offset, _, _ in events])
    cuts = [
        number
        for number in range(1, len(events))
        if events[number][1] == 0 or before[number] > before[number - 1]
    ]
    for first, end in pairwise([0, *cuts, len(events)]):
        yield events[first:end]


def _finding(group: list[Event], damage: list[Finding]) -> Finding:
    """The finding for events of one cause."""
    lost = [(offset, key) for offset, kind, key in group if kind == 1]
    unlisted = [number for _, kind, number in group if kind == 2]
    offset, kind, number = group[0]
    if kind == 0:
        found = damage[number]
        others = [key for at, key in lost if at != offset]
        reason = f"{found.reason}; {_lost_text(others)}" if others else found.reason
        return found._replace(reason=reason, lost=lost)
    reasons = []
    if len(lost) == 1:
        reasons.append(f"no intact record begins at byte {lost[0][0]}")
    elif lost:
        reasons.append(_lost_text([key for _, key in lost]))
    if len(unlisted) == 1:
        reasons.append(f"record {unlisted[0]} is not in the index")
    elif unlisted:
        reasons.append(
            f"{len(unlisted):,} records, the first of them number {unlisted[0]}, are not in the "
            "index"
        )
    return Finding("index", offset, lost[0][1] if lost else None, "; ".join(reasons), lost)


def _lost_text(keys: list[int]) -> str:
    """Say which records no longer begin where the index says."""
    named = ", ".join(map(str, keys[:NAMED_KEYS]))
    if len(keys) > NAMED_KEYS:
        named += f", … {keys[-1]}"
    if len(keys) == 1:
        return f"the record with key {named} does not begin where the index says"
    return f"{len(keys):,} records, with keys {named}, do not begin where the index says"
