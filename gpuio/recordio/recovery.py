"""What can still be read of a damaged record file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import RecordError
from gpuio.recordio.framing import MAGIC_BYTES, aligned_magics, parse, part_kind

# Bytes searched at once for the beginning of a record.
PIECE = 1 << 20


class Span(NamedTuple):
    """A stretch of a record file: a whole record, or something that is none.

    Attributes
    ----------
    begin, end : its bytes
    reason : what is wrong; None: it is a whole record
    """

    begin: int
    end: int
    reason: str | None


def scan(data: NDArray[np.uint8], path: str) -> Iterator[Span]:
    """Cut a file into whole records and what lies between them; never fails.

    After damage, reading goes on at the next magic number at which a whole record begins. The
    format sees to it that no magic stands inside a part, at a multiple of four bytes from its
    beginning; a record over a damaged length would contain those of the records that it swallows,
    and is not taken for one. Where bytes are missing, records no longer begin at multiples of four
    bytes; they are found nevertheless.

    Parameters
    ----------
    data : uint8 (bytes,), the file
    path : its name, for the reasons

    Yields
    ------
    spans in order, without gaps; two damaged ones never follow each other
    """
    offset, size = 0, len(data)
    damage: Span | None = None
    while offset < size:
        end, reason = _record(data, offset, path)
        if reason is None:
            if damage is not None:
                yield damage
            damage = None
            yield Span(offset, end, None)
        else:
            end = _next_record(data, offset, path, size)
            damage = Span(offset, end, reason) if damage is None else damage._replace(end=end)
        offset = end
    if damage is not None:
        yield damage


def _record(data: NDArray[np.uint8], offset: int, path: str) -> tuple[int, str | None]:
    """Where the record at an offset ends; or why there is none."""
    end, reason = _framed(data, offset, path)
    if reason is None and not _goes_on(data, end):
        begun = _next_record(data, offset, path, end)
        if begun < end:
            return offset, (
                f"{path} at byte {offset}: another record begins before the end of this one, at "
                f"byte {begun}; bytes are missing"
            )
    return end, reason


def _framed(data: NDArray[np.uint8], offset: int, path: str) -> tuple[int, str | None]:
    """Where the record at an offset ends, as far as its own bytes tell; or why there is none."""
    try:
        payload, end = parse(data, offset, path)
    except RecordError as error:
        return offset, str(error)
    # Each part has eight bytes before it, and each but the last the magic of four behind it.
    parts = (end - offset - (len(payload) + 3) // 4 * 4 - 4) // 4
    if len(aligned_magics(payload.data)) != parts - 1:
        return offset, (
            f"{path} at byte {offset}: the record would contain the beginnings of others; its "
            "length is damaged"
        )
    return end, None


def _next_record(data: NDArray[np.uint8], offset: int, path: str, limit: int) -> int:
    """Where the next whole record begins after an offset; the limit if there is none before it."""
    for place in _magics(data[: limit + len(MAGIC_BYTES) - 1], offset + 1):
        if part_kind(data, place) not in ("whole", "first"):
            continue
        end, reason = _framed(data, place, path)
        # By chance a magic may stand in a picture, away from multiples of four.
        if reason is None and (_goes_on(data, end) or (place - offset) % 4 == 0):
            return place
    return limit


def _goes_on(data: NDArray[np.uint8], end: int) -> bool:
    """Whether the file ends here, or what looks like another part begins."""
    if end == len(data):
        return True
    begins = bytes(data[end : end + len(MAGIC_BYTES)]) == MAGIC_BYTES
    return begins and part_kind(data, end) != "none"


def _magics(data: NDArray[np.uint8], begin: int) -> Iterator[int]:
    """Where the magic number stands from `begin` on, at any byte."""
    while begin < len(data):
        piece = bytes(data[begin : begin + PIECE])
        found = piece.find(MAGIC_BYTES)
        while found >= 0:
            yield begin + found
            found = piece.find(MAGIC_BYTES, found + 1)
        begin += max(1, len(piece) - len(MAGIC_BYTES) + 1) if len(piece) == PIECE else len(piece)
