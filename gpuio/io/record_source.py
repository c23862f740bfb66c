"""Opening the record files that ImageRecordIter and ImageDetRecordIter name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from gpuio.context import Context
from gpuio.errors import ArgumentError
from gpuio.loading.source import RecordSource
from gpuio.recordio import IRHeader, RecordSet
from gpuio.recordio.quarantine import Entry
from gpuio.sampling.sharding import Shard, contiguous_records
from gpuio.storage.local import Path

log = logging.getLogger("gpuio")


def open_records(
    path_imgrec: Path | Sequence[Path],
    path_imgidx: Path | Sequence[Path] | None,
    find_label: Callable[[IRHeader, int], NDArray[np.float32]] | None,
    shard: Shard,
    quarantine: Iterable[Entry],
) -> tuple[RecordSource, range | NDArray[np.int64]]:
    """Open record files and select the images of a shard.

    Parameters
    ----------
    find_label : see `RecordSource`
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
        source = RecordSource(records, find_label)
        images = records.without(source.images, quarantine)
        if shard.mode == "contiguous":
            images = contiguous_records(images, records, shard)
        if not len(records):
            raise ArgumentError(f"{', '.join(records.paths)}: there are no records")
        if not len(images):
            raise ArgumentError(
                f"part {shard.index} of {shard.count} has no records; there are {len(records)} in "
                "all"
            )
    except BaseException:
        records.close()
        raise
    return source, images


def log_opened(source: RecordSource, images: int, ctx: Context) -> None:
    """Log which files were opened, with how many images in this part, for which device."""
    log.info(
        "%s: %d records, %d in this part, on %s",
        ", ".join(source.records.paths),
        len(source),
        images,
        ctx,
    )
