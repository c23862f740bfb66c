"""Reading records of a file together: how much of each, in how many steps."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from gpuio.recordio.framing import FramingError, parse
from gpuio.recordio.record_headers import RecordBatch, read_contents
from gpuio.recordio.record_headers import read_record_headers as read_headers
from gpuio.storage.data_file import DataFile
from gpuio.storage.parts import Bulk

# Bytes of a record that are read when only its header and label are wanted: up to 56 numbers.
LABEL_BYTES = 1 << 8

# Records of a batch of at most this many bytes are read at once; the beginnings of others, with the
# image's header.
MAX_WHOLE, BEGINNING = 1 << 14, (1 << 12) + LABEL_BYTES

# The same for a batch that is read into memory. Behind what is left out of an index, a record seems
# to be as large as that.
MAX_BULK = 1 << 20

# Bytes of a record of a local file that are read ahead, at most.
MAX_AHEAD = 1 << 18


def read_records(
    file: DataFile, starts: NDArray[np.int64], ends: NDArray[np.int64], bulk: Bulk | None
) -> RecordBatch:
    """Read records of one file: small ones as a whole, of others the beginning. If the file has no
    descriptor, all of them as a whole.

    Parameters
    ----------
    starts : int64 (n,), where they begin, in bytes
    ends : int64 (n,), where the next ones of the index do, or the file ends
    bulk : read larger ones, too, as a whole, in this way

    Raises
    ------
    FileChangedError, RecordError, RemoteError : see `DataFile`.
    """
    remote = file.descriptor is None
    known = _first_part(ends - starts, MAX_BULK if remote or bulk is not None else MAX_WHOLE)
    data, places = file.read_parts(starts, starts + known, bulk)
    if not remote:
        return read_contents(data, places, known, file, starts)
    headers = read_headers(data, places, known, len(file) - starts)
    batch = headers.contents(file, starts)
    left = np.flatnonzero(headers.whole & (headers.end > known))
    if len(left):  # as a whole, now that their lengths are known
        lengths = (headers.end[left] + 3) // 4 * 4
        data, places = file.read_parts(starts[left], starts[left] + lengths, bulk)
        whole = read_headers(data, places, lengths, len(file) - starts[left])
        batch.put(left, whole.contents(file, starts[left]))
    return batch


def read_payloads(
    file: DataFile, path: str, starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> list[NDArray[np.uint8] | None]:
    """Read the bytes of records of one file, headers included: uint8 (bytes,) of each; None: it is
    damaged, or so large that it must be read by itself.

    Parameters
    ----------
    starts, ends : see `read_records`

    Raises
    ------
    FileChangedError, RecordError, RemoteError : see `DataFile`.
    """
    known = ends_ahead(file, starts, ends) - starts
    data, places = file.read_parts(starts, starts + known)
    found: list[NDArray[np.uint8] | None] = [None] * len(starts)
    for row, (begin, length) in enumerate(zip(places.tolist(), known.tolist(), strict=True)):
        with suppress(FramingError):
            found[row] = parse(data[begin : begin + length], 0, path)[0]
    return found


def ends_ahead(
    file: DataFile, starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Up to where records should be read ahead, int64 (n,); see `read_records`."""
    if file.descriptor is None:
        return starts + _first_part(ends - starts, MAX_BULK)
    return ends.clip(max=starts + MAX_AHEAD)


def _first_part(lengths: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """How much of records of some lengths, int64 (n,), is read at first."""
    return np.where(lengths > most, BEGINNING, lengths)
