"""The record files of ImageRecordIter and ImageDetRecordIter: opening, logging, quarantine."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from gpuio.context import Context
from gpuio.errors import ArgumentError
from gpuio.iterators.image_loader_iter import ImageLoaderIter
from gpuio.loading.batch import BadRecord
from gpuio.loading.labels import LabelTable
from gpuio.loading.source import RecordSource
from gpuio.recordio import RecordSet
from gpuio.recordio.quarantine import Entry, write_quarantine
from gpuio.sampling.sharding import Shard, contiguous_shard
from gpuio.storage.local import Path

log = logging.getLogger("gpuio")


class RecordFilesIter(ImageLoaderIter):
    """Base class of ImageRecordIter and ImageDetRecordIter."""

    def write_quarantine(self, path: Path) -> int:
        """Write the list of `bad_records`, for the `quarantine` of later runs.

        Returns
        -------
        Their number

        Raises
        ------
        RecordError : the file cannot be written.
        """
        return write_bad_records(self.bad_records, path)


def open_records(
    path_imgrec: Path | Sequence[Path],
    path_imgidx: Path | Sequence[Path] | None,
    table: LabelTable | None,
    shard: Shard,
    quarantine: Iterable[Entry] | None,
) -> tuple[RecordSource, range | NDArray[np.int64]]:
    """Open record files and select the images of a shard.

    Parameters
    ----------
    table : labels that replace those in the records; found by the id in their headers
    quarantine : records to leave out

    Returns
    -------
    The source, and the indices of the shard's images in it

    Raises
    ------
    ArgumentError : there are no records, or none in this shard.
    RecordError, RecordFileNotFoundError : the files are missing or damaged.
    """
    records = RecordSet(path_imgrec, path_imgidx or None)
    try:
        source = RecordSource(records, table, by_id=True)
        images = records.without(source.images, quarantine or ())
        images = contiguous_shard(images, records, shard)
        if not len(records):
            raise ArgumentError(f"{', '.join(records.paths)}: there are no records")
        if not len(images):
            raise ArgumentError(
                f"part {shard.index} of {shard.count} has no records; there are {len(records)} "
                "in total"
            )
    except BaseException:
        records.close()
        raise
    return source, images


def write_bad_records(bad_records: Iterable[BadRecord], path: Path) -> int:
    """Write bad records to a quarantine list; returns their number.

    Raises
    ------
    RecordError : the file cannot be written.
    """
    entries = [
        Entry(os.path.basename(bad.file), bad.offset, bad.key, bad.reason) for bad in bad_records
    ]
    write_quarantine(path, entries)
    return len(entries)


def log_opened(source: RecordSource, images: int, ctx: Context) -> None:
    """Log which files were opened, with how many images in this part, for which device."""
    log.info(
        "%s: %d records, %d in this part, on %s",
        ", ".join(source.records.paths),
        len(source),
        images,
        ctx,
    )
