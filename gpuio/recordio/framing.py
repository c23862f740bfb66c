"""The bytes of a record file.

A record is one part, or several where its payload contains the magic number: a payload is cut at
each magic that stands at a multiple of four bytes, the magic itself is left out, and reading puts
it back. So the magic never stands inside a part where a record could begin, and a damaged file can
be read again from the next one on.

A part is (little endian): the magic, a word whose upper three bits say which part of a record it is
and whose lower 29 are the length of what follows, that many bytes, and zeros up to a multiple of
four.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import RecordError

MAGIC = 0xCED7230A
MAGIC_BYTES = struct.pack("<I", MAGIC)
LENGTH_BITS = 29
LIMIT = 1 << LENGTH_BITS  # a payload must be shorter
LENGTH_MASK = LIMIT - 1

# The upper bits: which part of a record this is.
WHOLE, FIRST, MIDDLE, LAST = range(4)

HEADER = struct.Struct("<II")
PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")  # by the length's remainder of four

# Below so many bytes a text search finds the magic faster than an array comparison.
SHORT = 4096

Payload: TypeAlias = "bytes | bytearray | memoryview | NDArray[np.uint8]"


def frame(payload: Payload) -> list[Payload]:
    """The pieces of one record, to be written one after another; the payload is not copied.

    Raises
    ------
    RecordError : the payload is too long for the format.
    TypeError : it is not made of bytes.
    """
    view = as_bytes(payload)
    if len(view) >= LIMIT:
        raise RecordError(
            f"a record holds less than 2**29 bytes, this one would have {len(view)}; split it into "
            "several records"
        )
    cuts = aligned_magics(view)
    if not cuts:
        return [HEADER.pack(MAGIC, len(view)), view, PADDING[len(view) % 4]]
    pieces: list[Payload] = []
    begin = 0
    for number, end in enumerate([*cuts, len(view)]):
        kind = FIRST if number == 0 else LAST if number == len(cuts) else MIDDLE
        pieces += [HEADER.pack(MAGIC, kind << LENGTH_BITS | end - begin), view[begin:end]]
        begin = end + len(MAGIC_BYTES)
    pieces.append(PADDING[len(view) % 4])
    return pieces


def as_bytes(payload: Payload) -> memoryview:
    """A payload as a flat run of bytes, not copied.

    Raises
    ------
    TypeError : it is text, or has no buffer of bytes.
    """
    if isinstance(payload, str):
        raise TypeError("a record holds bytes, not text; encode it first: text.encode()")
    try:
        return memoryview(payload).cast("B")
    except TypeError as error:
        raise TypeError(f"a record holds bytes, not {type(payload).__name__}: {error}") from None


def part_kind(data: NDArray[np.uint8], offset: int) -> str:
    """What the part whose header stands at an offset says it is: "whole", "first", "middle",
    "last", or "none".
    """
    if offset + HEADER.size > len(data):
        return "none"
    kind = HEADER.unpack_from(data, offset)[1] >> LENGTH_BITS
    return ("whole", "first", "middle", "last")[kind] if kind <= LAST else "none"


def aligned_magics(view: memoryview) -> list[int]:
    """Where the magic stands in a payload at a multiple of four bytes."""
    if len(view) < SHORT and MAGIC_BYTES not in bytes(view):
        return []
    words = np.frombuffer(view[: len(view) // 4 * 4], "<u4")
    return (np.flatnonzero(words == MAGIC) * 4).tolist()


def parse(data: NDArray[np.uint8], offset: int, path: str) -> tuple[NDArray[np.uint8], int]:
    """The record at an offset.

    Parameters
    ----------
    data : uint8 (bytes,), the file
    offset : where the record begins
    path : the file's name, for errors

    Returns
    -------
    payload : uint8 (bytes,); a view of `data` where the record has one part
    end : where the next record begins

    Raises
    ------
    RecordError : there is no whole record.
    """
    kind, begin, end = _part(data, offset, path)
    if kind == WHOLE:
        return data[begin:end], begin + (end - begin + 3) // 4 * 4
    if kind != FIRST:
        raise RecordError(
            f"{path} at byte {offset}: this is a later part of a record, not its beginning (part "
            f"kind {kind}); "
            f"rebuild the index with 'gpuio index {path}'"
        )
    magic = np.frombuffer(MAGIC_BYTES, np.uint8)
    pieces = [data[begin:end]]
    while kind != LAST:
        offset = begin + (end - begin + 3) // 4 * 4
        kind, begin, end = _part(data, offset, path)
        if kind not in (MIDDLE, LAST):
            raise RecordError(
                f"{path} at byte {offset}: expected a further part of a split record, found the "
                f"beginning of another (part kind {kind}); the file is damaged: 'gpuio repair "
                f"{path}' copies what is whole"
            )
        pieces += [magic, data[begin:end]]
    return np.concatenate(pieces), begin + (end - begin + 3) // 4 * 4


def _part(data: NDArray[np.uint8], offset: int, path: str) -> tuple[int, int, int]:
    """The kind of the part at an offset, and where its bytes begin and end."""
    begin = offset + HEADER.size
    if offset < 0 or begin > len(data):
        raise RecordError(
            f"{path} at byte {offset}: expected a record, but the file has {len(data)} bytes: it "
            f"is cut off ('gpuio repair {path}' copies what is whole), or an index of another file "
            f"points here (rebuild it with 'gpuio index {path}')"
        )
    magic, word = HEADER.unpack_from(data, offset)
    if magic != MAGIC:
        raise RecordError(
            f"{path} at byte {offset}: magic {magic:#010x}, expected {MAGIC:#010x}; if an index "
            f"points here, rebuild it with 'gpuio index {path}'; else the file is damaged: 'gpuio "
            f"repair {path}' copies what is whole"
        )
    length = word & LENGTH_MASK
    end = begin + length
    if begin + (length + 3) // 4 * 4 > len(data):
        raise RecordError(
            f"{path} at byte {offset}: the record needs {(length + 3) // 4 * 4} bytes, only "
            f"{len(data) - begin} are left: the file is cut off: 'gpuio repair {path}' copies what "
            "is whole"
        )
    return word >> LENGTH_BITS, begin, end


def walk(data: NDArray[np.uint8], path: str) -> Iterator[int]:
    """Where each record of a file begins, in order.

    Raises
    ------
    RecordError : something that is no whole record stands in the file; what came before is good.
    """
    unpack, size = HEADER.unpack_from, len(data)
    offset = 0
    while offset < size:
        if offset + HEADER.size <= size:
            magic, word = unpack(data, offset)
            end = offset + HEADER.size + (((word & LENGTH_MASK) + 3) & ~3)
            if (
                magic == MAGIC and word < LIMIT and end <= size
            ):  # one whole part: nearly all records
                yield offset
                offset = end
                continue
        following = parse(data, offset, path)[1]
        yield offset
        offset = following
