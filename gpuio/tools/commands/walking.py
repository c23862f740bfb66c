"""Where the records of a file begin, found in tasks."""

from __future__ import annotations

import os
from array import array
from contextlib import closing
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.progress import progress
from gpuio.recordio.framing import FramingError, walk
from gpuio.recordio.recovery import next_record
from gpuio.storage.remote.opening import in_sequence
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.url import shown
from gpuio.tools.pieces import Tasks, cut
from gpuio.tools.shared_files import for_workers, open_shared

# Bytes of a range that a task walks through, if the file is not smaller.
LEAST_RANGE, MOST_RANGE = 1 << 22, 1 << 30


class _Walked(NamedTuple):
    """The records that begin in a range of a file.

    Attributes
    ----------
    offsets : int64 (n,), where they begin
    end : where the one after them begins
    """

    offsets: NDArray[np.int64]
    end: int


def offsets_in_tasks(
    rec: str, size: int, remote: RemoteOptions | None, tasks: Tasks
) -> NDArray[np.int64] | None:
    """The offset of each record, int64 (n,), found in tasks; None: the file is damaged."""
    walk_range = partial(_walk_range, rec, size, for_workers(remote))
    ranges = cut(size, tasks.cpus, LEAST_RANGE, MOST_RANGE)
    found, end = [np.empty(0, np.int64)], 0
    with (
        closing(tasks.map(walk_range, ranges, "index")) as results,
        progress(f"indexing {os.path.basename(shown(rec))}", "B", size) as bar,
    ):
        for (first, last), walked in zip(ranges, results, strict=True):
            if walked is None or (len(walked.offsets) and walked.offsets[0] != end):
                return None
            if len(walked.offsets):
                end = walked.end
            elif end < last:
                return None
            found.append(walked.offsets)
            bar.update(last - first)
    return np.concatenate(found)


def _walk_range(
    rec: str, size: int, remote: RemoteOptions | None, piece: tuple[int, int]
) -> _Walked | None:
    """Find the records of a range, in a task; None: there is damage."""
    path = shown(rec)
    with closing(open_shared(rec, size, remote)) as file:
        data = in_sequence(file, remote)
        begin = next_record(data, piece[0], path)
        offsets = array("q")
        try:
            for offset in walk(data, path, begin):
                if offset >= piece[1]:
                    return _Walked(np.array(offsets, np.int64), offset)
                offsets.append(offset)
        except FramingError:
            return None
    return _Walked(np.array(offsets, np.int64), size)
