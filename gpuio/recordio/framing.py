"""The record framing: how payloads are laid out in a record file.

A record is one part, or several where its payload contains the magic number: the payload is split
at each magic number at a multiple of four bytes, the magic number itself is left out, and reading
restores it. So the magic number never occurs inside a part where a record could begin, and reading
a damaged file can resume at the next one.

A part consists of (little endian): the magic number; a word whose upper three bits are the part
kind and whose lower 29 bits are the length of the content; the content; zeros up to a multiple of
four bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import RecordError
from gpuio.storage.local import ByteSequence

MAGIC = 0xCED7230A
MAGIC_BYTES = struct.pack("<I", MAGIC)
LENGTH_BITS = 29
LIMIT = 1 << LENGTH_BITS  # payloads must be shorter
LENGTH_MASK = LIMIT - 1

# Part kinds: the upper three bits of the second word.
WHOLE, FIRST, MIDDLE, LAST = range(4)

HEADER = struct.Struct("<II")
PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")  # by length modulo four

# Bytes of a file that are read at a time when its records are walked over: few if each of them has
# the beginning of one record only.
MIN_WALKED, MAX_WALKED = 1 << 9, 1 << 18

# Below this many bytes a substring search finds the magic number faster than an array comparison.
SHORT = 4096

Payload: TypeAlias = "bytes | bytearray | memoryview | NDArray[np.uint8]"


class FramingError(RecordError):
    """No complete record begins at an offset.

    Attributes
    ----------
    place : the file and the byte at which something is wrong
    fact : what is wrong there
    """

    place = fact = ""

    def with_advice(self, advice: str) -> FramingError:
        """The same error with an advice on what to do."""
        error = type(self)(f"{self.place}: {self.fact}; {advice}")
        error.place, error.fact = self.place, self.fact
        return error


class TruncatedRecordError(FramingError):
    """The file ends before the record does, so nothing after this offset can be read."""


def frame(payload: Payload) -> list[Payload]:
    """The pieces of one record, to be written one after another; the payload is not copied.

    Raises
    ------
    RecordError : the payload is too long for the format.
    TypeError : the payload is not bytes-like.
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
    """View a payload as one-dimensional bytes, without copying.

    Raises
    ------
    TypeError : the payload is a string, or not bytes-like.
    """
    if isinstance(payload, str):
        raise TypeError("a record holds bytes, not str; encode it first: text.encode()")
    try:
        return memoryview(payload).cast("B")
    except TypeError as error:
        raise TypeError(f"a record holds bytes, not {type(payload).__name__}: {error}") from None


def repair_advice(path: str) -> str:
    """What to do about a damaged file."""
    return f"the file is damaged: 'gpuio repair {path}' copies the intact records"


def _error(kind: type[FramingError], path: str, offset: int, fact: str) -> FramingError:
    error = kind()
    error.place, error.fact = f"{path} at byte {offset}", fact
    return error.with_advice(repair_advice(path))


def part_kind(data: ByteSequence, offset: int) -> int | None:
    """The kind in the part header at an offset: WHOLE, FIRST, MIDDLE or LAST; None if there is no
    valid kind. The magic number is not checked.
    """
    if offset + HEADER.size > len(data):
        return None
    kind: int = HEADER.unpack(data[offset : offset + HEADER.size])[1] >> LENGTH_BITS
    return kind if kind <= LAST else None


def aligned_magics(view: memoryview) -> list[int]:
    """Offsets of the magic number in a payload at multiples of four bytes."""
    if len(view) < SHORT and MAGIC_BYTES not in bytes(view):
        return []
    words = np.frombuffer(view[: len(view) // 4 * 4], "<u4")
    return (np.flatnonzero(words == MAGIC) * 4).tolist()


def parse(data: ByteSequence, offset: int, path: str) -> tuple[NDArray[np.uint8], int]:
    """Read the record at an offset.

    Parameters
    ----------
    data : the file; or its content, uint8 (bytes,)
    offset : where the record begins, in bytes
    path : the file's name, for error messages

    Returns
    -------
    payload : uint8 (bytes,); if the record has one part, a slice of `data`
    end : where the next record begins, in bytes

    Raises
    ------
    TruncatedRecordError : the file ends before the record does.
    FramingError : there is no complete record at the offset.
    FileChangedError : the file has become shorter.
    """
    kind, begin, end = _part(data, offset, path)
    if kind == WHOLE:
        return data[begin:end], begin + (end - begin + 3) // 4 * 4
    if kind != FIRST:
        raise _error(
            FramingError,
            path,
            offset,
            f"this is a later part of a record, not its beginning (part kind {kind})",
        )
    joined = bytearray(data[begin:end])  # a list of parts would take 30 times the memory
    while kind != LAST:
        offset = begin + (end - begin + 3) // 4 * 4
        kind, begin, end = _part(data, offset, path)
        if kind not in (MIDDLE, LAST):
            raise _error(
                FramingError,
                path,
                offset,
                "expected a further part of a split record, found the beginning of another (part "
                f"kind {kind})",
            )
        joined += MAGIC_BYTES
        joined.extend(data[begin:end].data)
    return np.frombuffer(joined, np.uint8), begin + (end - begin + 3) // 4 * 4


def _part(data: ByteSequence, offset: int, path: str) -> tuple[int, int, int]:
    """Kind of the part at an offset, and the begin and end of its content in bytes."""
    begin = offset + HEADER.size
    if offset < 0 or begin > len(data):
        raise _error(
            TruncatedRecordError,
            path,
            offset,
            f"expected a record, but the file has {len(data)} bytes: it is cut off",
        )
    magic, word = HEADER.unpack(data[offset:begin])
    if magic != MAGIC:
        raise _error(FramingError, path, offset, f"magic {magic:#010x}, expected {MAGIC:#010x}")
    length = word & LENGTH_MASK
    end = begin + length
    if begin + (length + 3) // 4 * 4 > len(data):
        raise _error(
            TruncatedRecordError,
            path,
            offset,
            f"the record needs {(length + 3) // 4 * 4} bytes, only {len(data) - begin} are left: "
            "the file is cut off",
        )
    return word >> LENGTH_BITS, begin, end


def walk(data: ByteSequence, path: str, begin: int = 0) -> Iterator[int]:
    """Offset of each record of a file, in order.

    Parameters
    ----------
    data, path : see `parse`
    begin : where the first record begins

    Raises
    ------
    FramingError : the file is damaged; the offsets yielded before are valid.
    FileChangedError : it has become shorter.
    """
    unpack, size = HEADER.unpack_from, len(data)
    offset, length = begin, MAX_WALKED
    while offset < size:
        piece, first, count = data[offset : offset + length], offset, 0
        last = first + len(piece) - HEADER.size
        while offset <= last:
            magic, word = unpack(piece, offset - first)
            end = offset + HEADER.size + (((word & LENGTH_MASK) + 3) & ~3)
            # A single part, as nearly all records are.
            if magic != MAGIC or word >= LIMIT or end > size:
                break
            yield offset
            offset = end
            count += 1
        if not count:
            following = parse(data, offset, path)[1]
            yield offset
            offset = following
        length = min(length * 2, MAX_WALKED) if count > 2 else max(length // 2, MIN_WALKED)
