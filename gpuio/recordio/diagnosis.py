"""Why there is no record where one is expected, and what to do about it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import RecordError
from gpuio.recordio.file_kind import foreign_kind
from gpuio.recordio.framing import (
    MAGIC_BYTES,
    FramingError,
    parse,
    repair_advice,
)
from gpuio.storage.local import ByteSequence

# Records to walk from one whose place is certain, and offsets of an index to try.
WALKED, SAMPLED = 1024, 64


def explain(
    error: FramingError,
    data: ByteSequence,
    path: str,
    offset: int = 0,
    starts: NDArray[np.int64] | None = None,
) -> RecordError:
    """Replace a framing error's advice by the right one for its file.

    Parameters
    ----------
    error : what `parse` raised
    data : the file
    path : its name
    offset : where the record was expected
    starts : int64 (n,), offsets of all records in the index that has this offset, ascending; None:
        the offset is not from an index

    Returns
    -------
    An error of the same type; a RecordError if the file is of another kind
    """
    kind = foreign_kind(data)
    if kind is not None:
        return RecordError(kind.instead_of_records(path))
    if starts is None:
        return error
    wrong = index_is_wrong(data, path, offset, starts)
    if wrong is None:
        advice = f"{repair_advice(path)}, or {index_advice(path)}"
    else:
        advice = index_advice(path) if wrong else repair_advice(path)
    return error.with_advice(advice)


def mismatch(
    data: ByteSequence,
    path: str,
    index_path: str,
    key: int,
    offset: int,
    starts: NDArray[np.int64],
) -> RecordError:
    """The error of an index with an offset at which no record can begin.

    Parameters
    ----------
    data, path : the record file
    index_path : the index
    key, offset : the line that is wrong
    starts : int64 (n,), all offsets of the index, ascending
    """
    kind = foreign_kind(data)
    if kind is not None:
        return RecordError(kind.instead_of_records(path))
    cut_off = offset >= len(data) and offset % 4 == 0 and _is_cut_off(data, path, starts)
    return RecordError(
        f"{index_path}: key {key} points at byte {offset}, where no record of {path} "
        f"({len(data)} bytes) can begin; "
        + (f"it is cut off; {repair_advice(path)}" if cut_off else index_advice(path))
    )


def check_record_file(data: ByteSequence, path: str) -> None:
    """Check that a file is not of another kind; damage is not noticed.

    Raises
    ------
    RecordError : it is; the message says of which.
    """
    kind = foreign_kind(data)
    if kind is not None:
        raise RecordError(kind.instead_of_records(path))


def index_advice(path: str) -> str:
    """What to do about an index that does not match its file."""
    return f"the index belongs to another file: 'gpuio index --force {path}' makes a new one"


def index_is_wrong(
    data: ByteSequence, path: str, offset: int, starts: NDArray[np.int64]
) -> bool | None:
    """Whether the index is to blame for an offset at which no record begins; False: the file is
    damaged; None: unknown.

    From an earlier record of the index that does begin where it should, the file is walked up to
    the offset: if it is intact all the way and leads elsewhere, the index is wrong.
    """
    if offset >= len(data):
        return not _is_cut_off(data, path, starts)
    position = _earlier_record(data, offset, starts)
    first, passed = position, set()
    for _ in range(WALKED):
        if position >= offset:
            return position != offset
        passed.add(position)
        try:
            position = parse(data, position, path)[1]
        except FramingError:
            return False
    listed = starts[(starts >= first) & (starts < position)]
    return None if passed.issuperset(listed.tolist()) else True


def _is_cut_off(data: ByteSequence, path: str, starts: NDArray[np.int64]) -> bool:
    """Whether a file has all records of an index up to its end, where it lacks some."""
    inside = starts[starts + len(MAGIC_BYTES) <= len(data)]
    if not len(inside):
        return True
    sample = inside[np.linspace(0, len(inside) - 1, min(len(inside), SAMPLED)).astype(np.int64)]
    if not all(_begins(data, start) for start in sample.tolist()):
        return False
    try:
        end = parse(data, int(inside[-1]), path)[1]
    except FramingError:
        return True
    return end == int(starts[len(inside)])


def _earlier_record(data: ByteSequence, offset: int, starts: NDArray[np.int64]) -> int:
    """An offset of the index, not far before the given one, at which a record begins; else 0."""
    number, step = int(np.searchsorted(starts, offset)) - 1, 1
    while number >= 0:
        if _begins(data, int(starts[number])):
            return int(starts[number])
        number -= step
        step *= 2
    return 0


def _begins(data: ByteSequence, offset: int) -> bool:
    return offset >= 0 and data[offset : offset + len(MAGIC_BYTES)].tobytes() == MAGIC_BYTES
