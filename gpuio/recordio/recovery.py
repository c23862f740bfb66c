"""Finding the intact records of a damaged file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gpuio.recordio.framing import (
    FIRST,
    HEADER,
    LENGTH_MASK,
    MAGIC,
    MAGIC_BYTES,
    WHOLE,
    FramingError,
    aligned_magics,
    parse,
    part_kind,
)
from gpuio.storage.local import ByteSequence

# Bytes searched at a time for the beginning of a record.
PIECE = 1 << 20
# Bytes of a record that are searched at first for the beginning of another.
FIRST_PIECE = 1 << 8

OVERLAP = "the record would contain the beginnings of others; its length is damaged"


class Span(NamedTuple):
    """A range of a record file: an intact record, or damage.

    Attributes
    ----------
    begin, end : the range, in bytes
    reason : what is wrong; None: this is an intact record
    """

    begin: int
    end: int
    reason: str | None


def scan(data: ByteSequence, path: str, begin: int = 0) -> Iterator[Span]:
    """Split a file into intact records and the damaged ranges between them; damage is no error.

    After damage, reading resumes at the next magic number at which an intact record begins. In the
    format, no magic number occurs inside a part at a multiple of four bytes from its beginning; a
    record with a damaged length would contain those of the records that it overlaps, and is
    rejected. Where bytes are missing, records no longer begin at multiples of four bytes; they are
    found nevertheless.

    Parameters
    ----------
    data : the file
    path : the file's name, for reasons that lie elsewhere in it
    begin : where to begin. From the end of an intact span on, the spans are those of the whole file

    Yields
    ------
    spans in order, without gaps; two damaged ones are never adjacent

    Raises
    ------
    FileChangedError : the file has become shorter.
    """
    offset, size = begin, len(data)
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


def next_record(data: ByteSequence, offset: int, path: str) -> int:
    """Where, from an offset on, the first record begins that looks intact; the file's end if there
    is none. In a file without damage it is the next record; in another one it may be none.

    Parameters
    ----------
    data, path : see `scan`
    offset : in bytes; 0 or more

    Raises
    ------
    FileChangedError : the file has become shorter.
    """
    first = (offset + 3) // 4 * 4
    return 0 if first == 0 else _next_record(data, first - 4, path, len(data), first)


def _record(data: ByteSequence, offset: int, path: str) -> tuple[int, str | None]:
    """End of the record at an offset, or why there is no intact record."""
    end, reason = _framed(data, offset, path)
    if reason is None and not _is_boundary(data, end):
        begun = _next_record(data, offset, path, end)
        if begun < end:
            return offset, (
                f"another record begins before the end of this one, at byte {begun}; bytes are "
                "missing"
            )
    return end, reason


def _framed(data: ByteSequence, offset: int, path: str) -> tuple[int, str | None]:
    """As `_record`, judging by the record's own bytes only."""
    if _overlaps(data, offset):
        return offset, OVERLAP
    try:
        payload, end = parse(data, offset, path)
    except FramingError as error:
        place = f"{path} at byte {offset}"
        return offset, error.fact if error.place == place else f"{error.place}: {error.fact}"
    # Each part has a header of 8 bytes, and each but the last is followed by a magic of 4 bytes in
    # the payload.
    parts = (end - offset - (len(payload) + 3) // 4 * 4 - 4) // 4
    if parts > 1 and len(aligned_magics(payload.data)) != parts - 1:
        return offset, OVERLAP
    return end, None


def _overlaps(data: ByteSequence, offset: int) -> bool:
    """Whether the first part of the record at an offset contains the beginning of another. It is
    read only up to there: of damage with many magic numbers, each would be read to its end.
    """
    if part_kind(data, offset) not in (WHOLE, FIRST):
        return False
    magic, word = HEADER.unpack(data[offset : offset + HEADER.size])
    begin, length = offset + HEADER.size, FIRST_PIECE
    end = begin + (word & LENGTH_MASK)
    if magic != MAGIC or end > len(data):
        return False
    while begin < end:
        if aligned_magics(data[begin : min(begin + length, end)].data):
            return True
        begin, length = begin + length, min(length * 4, PIECE)
    return False


def _next_record(
    data: ByteSequence, offset: int, path: str, limit: int, begin: int | None = None
) -> int:
    """Where the next intact record begins after an offset, or from `begin` on; the limit if there
    is none before it.
    """
    for place in _magics(data, offset + 1 if begin is None else begin, limit):
        if part_kind(data, place) not in (WHOLE, FIRST):
            continue
        end, reason = _framed(data, place, path)
        # An image may contain the magic number by chance, at other than multiples of four bytes.
        if reason is None and (_is_boundary(data, end) or (place - offset) % 4 == 0):
            return place
    return limit


def _is_boundary(data: ByteSequence, end: int) -> bool:
    """Whether the file ends here, or another part seems to begin."""
    if end == len(data):
        return True
    begins = bytes(data[end : end + len(MAGIC_BYTES)]) == MAGIC_BYTES
    return begins and part_kind(data, end) is not None


def _magics(data: ByteSequence, begin: int, limit: int) -> Iterator[int]:
    """Offsets of the magic number from `begin` on and before `limit`, at any alignment."""
    end = min(limit + len(MAGIC_BYTES) - 1, len(data))
    while begin < end:
        piece = bytes(data[begin : min(begin + PIECE, end)])
        found = piece.find(MAGIC_BYTES)
        while found >= 0:
            yield begin + found
            found = piece.find(MAGIC_BYTES, found + 1)
        begin += max(1, len(piece) - len(MAGIC_BYTES) + 1) if len(piece) == PIECE else len(piece)
