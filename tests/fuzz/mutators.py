"""Changes of files and values, each determined by a generator of random numbers."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np

from gpuio.recordio.framing import MAGIC_BYTES

Rng: TypeAlias = np.random.Generator
Mutator: TypeAlias = Callable[[Rng, bytes], bytes]
T = TypeVar("T")

# Numbers at which programs change what they do.
INTERESTING = sorted(
    {0, 3, 5, 24, 100, 1000, 65535, 10**6}
    | {(1 << n) + more for n in (0, 3, 7, 8, 15, 16, 24, 29, 31, 32, 63) for more in (-1, 0, 1)}
    | {(1 << 64) - offset for offset in (1, 2, 8)}
)  # fmt: skip

# What may stand where a number or a name is expected.
TOKENS = [
    "", "nan", "inf", "-inf", "1e400", "-1e400", "1e-400", "1e30", "0x10", "1_000", "+5", "-0", ".",
    "-", "1.", ".5", "1e", "1e+", "\u0663", "\uff15", "9" * 400, "0." + "3" * 300, "-1", "1.5",
    "2147483648", "4294967295", "9223372036854775807", "9223372036854775808",
    "-9223372036854775809", "18446744073709551615", "18446744073709551616", "true", "None", '"1"',
    '"', "'", "#", "\0", "\\",
    "\ufeff", "\u2028", "\x85", "\x1c", "../../etc/passwd", "/", "x" * 3000, "1" + " " * 3000, "=1",
]  # fmt: skip
SEPARATORS = [
    b",",
    b";",
    b"\t",
    b" ",
    b":",
    b"\n",
    b"\r",
    b"\r\n",
    b"\0",
    b"\x0b",
    b"\xff",
    b"\xe9",
]


def pick(rng: Rng, values: Sequence[T]) -> T:
    """One of some values."""
    return values[int(rng.integers(len(values)))]


def _range(rng: Rng, data: bytes, most: int = 64) -> tuple[int, int]:
    """Where a short part of some data, or at times a long one, begins and ends."""
    if not rng.integers(6):
        most = max(1, len(data))
    begin = int(rng.integers(len(data) + 1))
    return begin, min(len(data), begin + int(rng.integers(1, most + 1)))


def flip_bit(rng: Rng, data: bytes) -> bytes:
    """Flip a bit."""
    changed = bytearray(data)
    if changed:
        changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def set_byte(rng: Rng, data: bytes) -> bytes:
    """Set a byte, to an interesting value more often than to others."""
    changed = bytearray(data)
    if changed:
        value = pick(rng, [0, 1, 0x7F, 0x80, 0xFE, 0xFF, int(rng.integers(256))])
        changed[int(rng.integers(len(changed)))] = value
    return bytes(changed)


def set_number(rng: Rng, data: bytes) -> bytes:
    """Set a number of two, four or eight bytes to an interesting value."""
    size = pick(rng, [2, 4, 4, 8])
    if len(data) < size:
        return data
    at = int(rng.integers(len(data) - size + 1))
    at -= at % pick(rng, [1, size])
    value = pick(rng, INTERESTING) & ((1 << 8 * size) - 1)
    return data[:at] + value.to_bytes(size, pick(rng, ["little", "big"])) + data[at + size :]


def truncate(rng: Rng, data: bytes) -> bytes:
    """Cut off the end."""
    return data[: int(rng.integers(len(data) + 1))]


def delete(rng: Rng, data: bytes) -> bytes:
    """Leave out a part."""
    begin, end = _range(rng, data)
    return data[:begin] + data[end:]


def insert(rng: Rng, data: bytes) -> bytes:
    """Insert random bytes, zeros, or the format's magic number."""
    at, count = int(rng.integers(len(data) + 1)), int(rng.integers(1, 40))
    new = pick(rng, [rng.bytes(count), bytes(count), b"\xff" * count, MAGIC_BYTES])
    return data[:at] + new + data[at:]


def duplicate(rng: Rng, data: bytes) -> bytes:
    """Repeat a part, at times often."""
    begin, end = _range(rng, data)
    times = pick(rng, [2, 2, 3, 50])
    return data[:begin] + data[begin:end] * min(times, 1 + 4096 // (end - begin + 1)) + data[end:]


def move(rng: Rng, data: bytes) -> bytes:
    """Copy a part over another."""
    begin, end = _range(rng, data)
    at = int(rng.integers(len(data) + 1))
    return data[:at] + data[begin:end] + data[at + end - begin :]


BYTE_MUTATORS: list[Mutator] = [
    flip_bit, flip_bit, set_byte, set_byte, set_number, set_number, truncate, delete, insert,
    duplicate, move,
]  # fmt: skip


def splice(rng: Rng, one: bytes, other: bytes) -> bytes:
    """The beginning of a file and the end of another."""
    return one[: int(rng.integers(len(one) + 1))] + other[int(rng.integers(len(other) + 1)) :]


def mutate(rng: Rng, data: bytes, mutators: Sequence[Mutator] = BYTE_MUTATORS) -> bytes:
    """Change a file once, or a few times."""
    for _ in range(pick(rng, [1, 1, 1, 2, 3, 6])):
        data = pick(rng, mutators)(rng, data)
    return data


def mutate_one(
    rng: Rng, seeds: Sequence[bytes], mutators: Sequence[Mutator] = BYTE_MUTATORS
) -> bytes:
    """A changed copy of one of some files; now and then an unchanged one, or two of them joined."""
    data = pick(rng, seeds)
    kind = int(rng.integers(16))
    if kind == 0:
        return data
    if kind == 1:
        data = splice(rng, data, pick(rng, seeds))
    return mutate(rng, data, mutators)


def replace_token(rng: Rng, data: bytes) -> bytes:
    """Replace a word or number of a text."""
    words = list(re.finditer(rb"[^\s,;:#]+", data[:65536]))
    if not words:
        return insert_token(rng, data)
    word = pick(rng, words)
    return data[: word.start()] + pick(rng, TOKENS).encode() + data[word.end() :]


def replace_number(rng: Rng, data: bytes) -> bytes:
    """Replace a number of a text by another."""
    numbers = list(re.finditer(rb"[-+.\de]+", data[:65536]))
    if not numbers:
        return data
    number, value = pick(rng, numbers), rng.normal() * 10.0 ** rng.uniform(-46, 39)
    new = pick(rng, ["%g", "%.9g", "%.17g", "%.0f", "%+E"]) % value
    return data[: number.start()] + new.encode() + data[number.end() :]


def insert_token(rng: Rng, data: bytes) -> bytes:
    """Insert a word or number into a text."""
    at = int(rng.integers(len(data) + 1))
    return data[:at] + pick(rng, TOKENS).encode() + data[at:]


def replace_separator(rng: Rng, data: bytes) -> bytes:
    """Replace what separates words or lines of a text."""
    blanks = list(re.finditer(rb"[\s,;:]+", data[:65536]))
    if not blanks:
        return data
    blank = pick(rng, blanks)
    return data[: blank.start()] + pick(rng, SEPARATORS) + data[blank.end() :]


def change_lines(rng: Rng, data: bytes) -> bytes:
    """Delete, repeat or exchange lines of a text."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    at, other = int(rng.integers(len(lines))), int(rng.integers(len(lines)))
    kind = int(rng.integers(4))
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(other, lines[at])
    elif kind == 2:
        lines[at], lines[other] = lines[other], lines[at]
    else:
        lines[at] = lines[at] * 40
    return b"".join(lines)


TEXT_MUTATORS: list[Mutator] = [
    *[replace_number] * 8, *[replace_token] * 6, *[insert_token] * 2, *[replace_separator] * 3,
    *[change_lines] * 3, *BYTE_MUTATORS,
]  # fmt: skip

# What may stand in a JSON value, and in a Python call.
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 7, 1000, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 2**64,
    10**30, 0.0, 1.0, 1.5, -0.5, 1e30, 1e308, float("inf"), float("-inf"), float("nan"), "", "0",
    "8", "false", "nan", "\0", "\ud800", "x" * 1000, [], [0], [1, 2, 3], [[]], {}, {"epoch": 0},
    [None], ["a"],
]  # fmt: skip


def change_value(rng: Rng, value: Any) -> Any:
    """Change something in a JSON value: replace it or a part of it, leave a part out, add one."""
    inside = isinstance(value, (dict, list)) and len(value) and rng.integers(8)
    if not inside:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and rng.integers(3):
            return pick(
                rng, [value + 1, value - 1, -value, value * 2, value + 0.5, str(value), [value]]
            )
        return pick(rng, VALUES)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key, kind = pick(rng, keys), int(rng.integers(10))
    changed = value.copy()
    if kind == 0:
        del changed[key]
    elif kind == 1 and isinstance(changed, dict):
        changed[pick(rng, ["x", "position", "epoch", *keys])] = pick(rng, VALUES)
    elif kind == 1:
        changed.append(pick(rng, VALUES))
    elif kind == 2:
        changed[key] = value[pick(rng, keys)]
    else:
        changed[key] = change_value(rng, value[key])
    return changed


def change_json(rng: Rng, data: bytes) -> bytes:
    """Change something in a JSON text, which remains one."""
    try:
        value = json.loads(data)
    except ValueError:
        return data
    return json.dumps(change_value(rng, value)).encode()


# The records of a file: where each begins, and the bytes of its payload.
_PART = struct.Struct("<II")


def cut_records(data: bytes) -> list[bytes]:
    """A record file as its parts with their frames; what remains is the last one."""
    pieces, at = [], 0
    while at + _PART.size <= len(data) and data[at : at + 4] == MAGIC_BYTES:
        length = _PART.unpack_from(data, at)[1] & ((1 << 29) - 1)
        end = at + _PART.size + (length + 3) // 4 * 4
        pieces.append(data[at:end])
        at = end
    return [*pieces, data[at:]] if at < len(data) else pieces


def _change_record(rng: Rng, data: bytes, change: Callable[[bytearray], None]) -> bytes:
    pieces = cut_records(data)
    if not pieces:
        return data
    at = int(rng.integers(len(pieces)))
    record = bytearray(pieces[at])
    if len(record) >= 32:
        change(record)
    return b"".join([*pieces[:at], bytes(record), *pieces[at + 1 :]])


def change_frame(rng: Rng, data: bytes) -> bytes:
    """Change a magic number, a kind of part, or a length."""

    def change(record: bytearray) -> None:
        word = _PART.unpack_from(record)[1]
        kind, length = word >> 29, word & ((1 << 29) - 1)
        what = int(rng.integers(4))
        if what == 0:
            record[int(rng.integers(4))] ^= 1 << int(rng.integers(8))
        elif what == 1:
            kind = int(rng.integers(8))
        else:
            other = [length + 1, length - 1, length + 4, length - 4, length * 2, length // 2]
            length = pick(rng, [*other, pick(rng, INTERESTING)])
        struct.pack_into("<I", record, 4, kind << 29 | length & ((1 << 29) - 1))

    return _change_record(rng, data, change)


def change_header(rng: Rng, data: bytes) -> bytes:
    """Change the flag, label or ids in the header of a record, or a number of its label."""

    def change(record: bytearray) -> None:
        what = int(rng.integers(5))
        floats = [0.0, -1.0, 0.5, 1e30, -1e30, float("inf"), float("nan"), 3.0, 2.0**31]
        if what == 0:
            flags = [0, 1, 2, 3, 6, len(record), (len(record) - 32) // 4, pick(rng, INTERESTING)]
            struct.pack_into("<I", record, 8, pick(rng, flags) & 0xFFFFFFFF)
        elif what == 1:
            struct.pack_into("<f", record, 12, pick(rng, floats))
        elif what == 2:
            struct.pack_into(
                "<Q", record, pick(rng, [16, 24]), pick(rng, INTERESTING) & (2**64 - 1)
            )
        else:
            at = 32 + 4 * int(rng.integers(4))
            if at + 4 <= len(record):
                struct.pack_into("<f", record, at, pick(rng, floats))

    return _change_record(rng, data, change)


def change_records(rng: Rng, data: bytes) -> bytes:
    """Leave out, repeat or exchange records, or put something between them."""
    pieces = cut_records(data)
    if not pieces:
        return data
    at, other = int(rng.integers(len(pieces))), int(rng.integers(len(pieces)))
    kind = int(rng.integers(5))
    if kind == 0:
        del pieces[at]
    elif kind == 1:
        pieces.insert(other, pieces[at])
    elif kind == 2:
        pieces[at], pieces[other] = pieces[other], pieces[at]
    elif kind == 3:
        pieces.insert(at, pick(rng, [b"\0" * 4, rng.bytes(5), MAGIC_BYTES, MAGIC_BYTES + bytes(4)]))
    else:
        pieces[at] = pieces[at][: int(rng.integers(len(pieces[at]) + 1))]
    return b"".join(pieces)


RECORD_MUTATORS: list[Mutator] = [
    *[change_frame] * 4, *[change_header] * 6, *[change_records] * 4, *BYTE_MUTATORS,
]  # fmt: skip
