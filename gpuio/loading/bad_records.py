"""What is done about records that cannot be used."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.loading.batch import BadRecord, ImageBatch, LoadedBatch
from gpuio.loading.source import ImageSource

ON_ERROR_MODES = ("raise", "skip", "substitute")


class BadRecordResolution(NamedTuple):
    """How a batch with bad records is completed.

    Attributes
    ----------
    rows : intp (B,), the sample that each row of the batch shows; None: each its own; empty: all
        samples are bad
    pad : number of rows at the end that only fill the batch
    """

    rows: NDArray[np.intp] | None
    pad: int

    @property
    def all_bad(self) -> bool:
        """Whether not one record of the batch is good."""
        return self.rows is not None and len(self.rows) == 0


def resolve_bad_records(
    batch: ImageBatch, source: ImageSource, on_error: str
) -> BadRecordResolution:
    """Decide what replaces the bad records of a batch.

    Parameters
    ----------
    on_error : "raise": raise the first bad record's error, with its location; "skip": the good
        samples move up, and `pad` counts the rows missing at the end, which repeat them;
        "substitute": the next good sample of the batch replaces a bad one

    Raises
    ------
    Error : on_error is "raise".
    """
    pad = batch.indices.pad
    if not batch.errors:
        return BadRecordResolution(None, pad)
    count = len(batch)
    good = np.array([row for row in range(count) if row not in batch.errors], np.intp)
    if on_error == "raise":
        row = min(batch.errors)
        error = batch.errors[row]
        raise type(error)(
            f"{source.location(int(batch.record[row]))}: {error}; "
            "on_error='skip' or 'substitute' continues without it"
        ) from error
    if not len(good):
        return BadRecordResolution(good, count)
    if on_error == "substitute":
        following = np.searchsorted(good, np.arange(count)) % len(good)
        return BadRecordResolution(good[following], pad)
    kept = int((good < count - pad).sum())
    return BadRecordResolution(np.resize(good, count), count - kept)


def finish_batch(
    batch: ImageBatch, data: Any | None, resolution: BadRecordResolution, source: ImageSource
) -> LoadedBatch:
    """Finish a batch whose data has been assembled.

    Parameters
    ----------
    data : the batch's array, its rows already as `resolution` says; None if all records are bad
    """
    record, labels = batch.record, batch.labels
    if resolution.rows is not None and not resolution.all_bad:
        record, labels = record[resolution.rows], labels[resolution.rows]
    bad = []
    for row, error in sorted(batch.errors.items()):
        location = source.location(int(batch.record[row]))
        bad.append(
            BadRecord(location.key, str(location), str(error), location.file, location.offset or 0)
        )
    return LoadedBatch(
        data=[] if data is None else [data],
        label=[labels],
        pad=resolution.pad,
        keys=source.keys[record].astype(np.uint64),
        bad=tuple(bad),
        any_good=not resolution.all_bad,
        carried=batch.indices.carried,
    )
