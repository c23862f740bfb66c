"""Records that are read one after another: remote ones several at once, ahead of the caller."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import RecordError
from gpuio.recordio import RecordSet

# Bytes of remote records that are read at a time, and how many such groups are read ahead.
GROUP, AHEAD = 16 << 20, 2


def read_payloads(
    records: RecordSet,
    ordinals: Sequence[int] | NDArray[np.int64],
) -> Iterator[NDArray[np.uint8] | RecordError]:
    """Read the bytes of records, header included, in a given order.

    Yields
    ------
    uint8 (bytes,) of each record, or the error of a damaged one

    Raises
    ------
    FileChangedError, RemoteError : a file cannot be read.
    """
    chosen = np.asarray(ordinals, np.int64)
    if not records.is_remote:
        for ordinal in chosen.tolist():
            yield _payload(records, ordinal)
        return
    groups = _groups(records, chosen, min(records.readahead // AHEAD, GROUP))
    for group in groups[1:AHEAD]:
        records.read_ahead(group)
    for number, group in enumerate(groups):
        for later in groups[number + AHEAD : number + AHEAD + 1]:
            records.read_ahead(later)
        for ordinal, payload in zip(group.tolist(), records.payloads(group), strict=True):
            yield _payload(records, ordinal) if payload is None else payload


def _payload(records: RecordSet, ordinal: int) -> NDArray[np.uint8] | RecordError:
    try:
        return records.payload(ordinal)
    except RecordError as error:
        return error


def _groups(records: RecordSet, ordinals: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Split records into groups of about `size` bytes, one record or more."""
    if not len(ordinals):
        return []
    lengths = np.diff(records.starts, append=records.nbytes)[ordinals]
    numbers = np.cumsum(lengths) // max(size, 1)
    return np.split(ordinals, np.flatnonzero(np.diff(numbers)) + 1)
