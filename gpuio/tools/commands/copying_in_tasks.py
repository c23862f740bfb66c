"""Copying records into a new record file, in tasks."""

from __future__ import annotations

import os
from contextlib import closing, suppress
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import RecordError
from gpuio.progress import Bar
from gpuio.recordio.framing import frame
from gpuio.storage.file_range import writing_at
from gpuio.storage.writing import followed, open_temporary, remove_abandoned
from gpuio.tools.payloads import read_payloads
from gpuio.tools.pieces import Tasks, cut_by_weight
from gpuio.tools.record_output import RecordOutput
from gpuio.tools.shared_files import SharedRecords

# Bytes that a task copies, if there are not fewer.
LEAST_BYTES, MOST_BYTES = 1 << 20, 1 << 28

# Pieces of less than MOST_BYTES for each CPU. All take equally long, and each ends with waiting for
# the disk.
PER_CPU = 1


class _Piece(NamedTuple):
    """Records that a task copies.

    Attributes
    ----------
    path : the file that it writes to
    offset : where, in bytes
    ordinals : int64 (n,)
    sizes : int64 (n,), of the records, framed, as the index lets expect
    """

    path: str
    offset: int
    ordinals: NDArray[np.int64]
    sizes: NDArray[np.int64]


def copy_in_tasks(
    output: RecordOutput,
    records: SharedRecords,
    chosen: NDArray[np.int64],
    keys: NDArray[np.int64],
    tasks: Tasks,
    bar: Bar,
) -> None:
    """Copy records in tasks, each of which writes a range of one file.

    The index tells where each range begins, if it lists all records and these are framed as gpuio
    does. Otherwise the tasks find out, and a second run of them writes.
    """
    sizes = records.sizes[chosen]
    copy = partial(_copy_piece, records, output.rec)
    target = followed(output.rec)
    remove_abandoned(os.path.dirname(target) or ".", os.path.basename(target))  # of a killed run
    file = open_temporary(output.rec)
    try:
        while True:
            begins = np.cumsum(sizes) - sizes
            pieces = [
                _Piece(os.fspath(file.name), int(begins[part.start]), chosen[part], sizes[part])
                for part in cut_by_weight(sizes, tasks.cpus, LEAST_BYTES, MOST_BYTES, PER_CPU)
            ]
            file.truncate(int(sizes.sum()))
            found = [np.empty(0, np.int64)]
            with closing(tasks.map(copy, pieces, "copy")) as results:
                for copied in results:
                    found.append(copied)
                    bar.update(len(copied))
            expected, sizes = sizes, np.concatenate(found)
            if np.array_equal(expected, sizes):
                break
            bar.update(-len(chosen))
        output.take_over(file, keys, sizes)
    except BaseException:
        with suppress(OSError):
            os.remove(file.name)
        file.close()
        raise


def _copy_piece(records: SharedRecords, out: str, piece: _Piece) -> NDArray[np.int64]:
    """Copy records in a task, up to the first that has another size than expected.

    Returns
    -------
    int64 (n,), the size of each record, framed
    """
    found = np.empty(len(piece.ordinals), np.int64)
    expected = True
    with records.open() as opened, writing_at(piece.path, piece.offset, out) as file:
        for number, payload in enumerate(read_payloads(opened, piece.ordinals)):
            if isinstance(payload, RecordError):
                raise payload
            framed = frame(payload)
            found[number] = size = sum(map(len, framed))
            expected &= bool(size == piece.sizes[number])
            if expected:
                file.write(framed, size)
    return found
