"""Chunks of consecutive records, visited in a random order: MXNet's ``shuffle_chunk_size``."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuio.recordio import RecordSet
from gpuio.sampling import philox

# MXNet cuts a part into somewhat more chunks than fit into it.
SURPLUS = 1.1


@dataclass(frozen=True, eq=False)
class Chunks:
    """Chunks of the records of a part, in a new order each epoch. Records of a chunk stay in order.

    Attributes
    ----------
    starts : int64 (chunks + 1,), the number of the first record of each chunk, and of all records
    seed : determines the order
    """

    starts: NDArray[np.int64]
    seed: int

    def identity(self) -> list[int]:
        """Number of chunks and seed, for saved states."""
        return [len(self.starts) - 1, self.seed]

    def records(self, epoch: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.int64]:
        """The records at some places, int64 (N,), of some epochs, int64 (N,)."""
        record = np.empty_like(place)
        for each in np.unique(epoch).tolist():
            rows = epoch == each
            order, begins = self._epoch(each)
            visited = np.searchsorted(begins, place[rows], side="right") - 1
            record[rows] = self.starts[order[visited]] + place[rows] - begins[visited]
        return record

    @functools.lru_cache(maxsize=2)  # noqa: B019  # two epochs of a few iterators
    def _epoch(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The chunks in their order, and the place at which each begins."""
        count = len(self.starts) - 1
        drawn = philox.words(
            self.seed, np.full(count, epoch), np.arange(count), philox.CHUNKS, 2
        ).astype(np.int64)
        order = np.lexsort(drawn.T)
        lengths = np.diff(self.starts)[order]
        return order, np.cumsum(lengths) - lengths


def cut_chunks(
    images: range | NDArray[np.int64], records: RecordSet, parts: int, megabytes: int, seed: int
) -> Chunks | None:
    """Cut a part where MXNet does: all files are cut into ranges of bytes, and a record belongs to
    that in which it begins.

    Parameters
    ----------
    images : the indices of the part's records, ascending
    parts : number of parts
    megabytes : about the size of a chunk, in MiB
    seed : determines the order of the chunks

    Returns
    -------
    The chunks; None if there would be no more than one
    """
    all_bytes, chunk_bytes = records.nbytes * SURPLUS, parts * (megabytes << 20)
    if chunk_bytes >= all_bytes:
        return None
    count = math.ceil(all_bytes / chunk_bytes)
    step = -(-records.nbytes // (parts * count))
    step = -(-step // 4) * 4  # as records are aligned
    offsets = records.starts[np.asarray(images)]
    inner = np.searchsorted(offsets, np.arange(1, parts * count) * step)
    starts = np.unique(np.concatenate([[0], inner, [len(offsets)]])).astype(np.int64)
    return Chunks(starts, seed) if len(starts) > 2 else None
