"""Damaged files: every intact record is found."""

import io
import itertools
import struct
from pathlib import Path

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gpuio.recordio.framing import HEADER, MAGIC, MAGIC_BYTES, frame, parse
from gpuio.recordio.recovery import scan

# Payloads with and without the magic number, at multiples of four and elsewhere.
payloads = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.builds(
            lambda a, b, c: a + MAGIC_BYTES + b + MAGIC_BYTES * c,
            st.binary(max_size=9),
            st.binary(max_size=9),
            st.integers(0, 2),
        ),
    ),
    min_size=1,
    max_size=12,
)


def framed(records: list[bytes]) -> tuple[bytes, list[tuple[int, int]]]:
    """A record file, and where each record begins and ends."""
    file, spans = io.BytesIO(), []
    for record in records:
        begin = file.tell()
        for piece in frame(record):
            file.write(piece)
        spans.append((begin, file.tell()))
    return file.getvalue(), spans


def found(content: bytes) -> list[bytes]:
    """The intact records, after checking the spans."""
    data = np.frombuffer(content, np.uint8)
    spans = list(scan(data, "x.rec"))
    assert [span.begin for span in spans[1:]] == [span.end for span in spans[:-1]]
    if spans:
        assert (spans[0].begin, spans[-1].end) == (0, len(content))
    damaged = [span.reason is not None for span in spans]
    assert not any(one and two for one, two in itertools.pairwise(damaged))
    return [bytes(parse(data, span.begin, "x.rec")[0]) for span in spans if span.reason is None]


def in_order(wanted: list[bytes], records: list[bytes]) -> bool:
    """Whether all wanted records are among those found, in their order."""
    rest = iter(records)
    return all(any(one == other for other in rest) for one in wanted)


@given(payloads)
def test_an_intact_file_has_no_damage(records: list[bytes]) -> None:
    assert found(framed(records)[0]) == records


@given(payloads, st.data())
@settings(max_examples=300)
def test_bit_flips(records: list[bytes], data: st.DataObject) -> None:
    content, spans = framed(records)
    damaged = bytearray(content)
    flipped = data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4))
    for offset in flipped:
        damaged[offset] ^= 1 << data.draw(st.integers(0, 7))
    untouched = [
        record
        for record, (begin, end) in zip(records, spans, strict=True)
        if not any(begin <= offset < end for offset in flipped)
    ]
    assert in_order(untouched, found(bytes(damaged)))


@given(payloads, st.data())
@settings(max_examples=300)
def test_a_hole_and_a_cut(records: list[bytes], data: st.DataObject) -> None:
    content, spans = framed(records)
    low, high = sorted(data.draw(st.tuples(*[st.integers(0, len(content))] * 2)))
    before = [record for record, (_, end) in zip(records, spans, strict=True) if end <= low]
    after = [record for record, (begin, _) in zip(records, spans, strict=True) if begin >= high]
    # What remains of the others would look like a record if it had a magic number of its own.
    assume(
        not any(MAGIC_BYTES in each for each in records[len(before) : len(records) - len(after)])
    )
    zeros = content[:low] + bytes(high - low) + content[high:]
    assert in_order(before + after, found(zeros))
    assert in_order(before, found(content[:low]))


# With a magic number just where a truncated record seems to end, the file would be ambiguous.
plain_payloads = st.lists(
    st.binary(max_size=40).map(lambda payload: payload.replace(MAGIC_BYTES[:2], b"..")), min_size=1
)


@given(plain_payloads, plain_payloads, st.integers(0, 40))
@settings(max_examples=300)
def test_two_files_in_one(first: list[bytes], second: list[bytes], cut: int) -> None:
    """The first may be truncated, so that the second's records begin at any alignment."""
    content, spans = framed(first)
    kept = content[: max(0, len(content) - cut)]
    intact = [record for record, (_, end) in zip(first, spans, strict=True) if end <= len(kept)]
    assert in_order(intact + second, found(kept + framed(second)[0]))


PIECES = st.one_of(
    st.binary(max_size=12),
    st.builds(lambda word: MAGIC_BYTES + struct.pack("<I", word), st.integers(0, 2**32 - 1)),
    st.builds(
        lambda kind, length: MAGIC_BYTES + struct.pack("<I", kind << 29 | length),
        st.integers(0, 4), st.integers(0, 12),
    ),
)  # fmt: skip


@given(st.lists(PIECES, max_size=10).map(b"".join))
def test_any_bytes_are_records_and_damage(content: bytes) -> None:
    """What is kept is an intact file."""
    records = found(content)
    assert found(framed(records)[0]) == records


def test_a_length_that_includes_the_following_records() -> None:
    records = [bytes([number]) * 40 for number in range(6)]
    content, spans = framed(records)
    damaged = bytearray(content)
    struct.pack_into("<I", damaged, spans[1][0] + 4, spans[4][1] - spans[1][0] - 8)
    assert found(bytes(damaged)) == [records[0], *records[2:]]


def test_nothing_and_no_records() -> None:
    assert found(b"") == []
    assert found(b"this is no record file at all") == []
    assert found(MAGIC_BYTES) == []
    assert found(Path(__file__).read_bytes()) == []


class Counting:
    """Bytes that count how many of them are read."""

    def __init__(self, content: bytes) -> None:
        self.content = np.frombuffer(content, np.uint8)
        self.read = 0

    def __len__(self) -> int:
        return len(self.content)

    def __getitem__(self, part: slice) -> np.ndarray:
        found = self.content[part]
        self.read += len(found)
        return found


def test_damage_full_of_magic_numbers_is_not_read_again_for_each() -> None:
    """Each seems to begin a record that reaches to the end."""
    count = 2000
    data = Counting(b"".join(HEADER.pack(MAGIC, 8 * (count - n - 1)) for n in range(count)))
    (damage, last) = scan(data, "x.rec")
    assert (damage.begin, damage.end, last.end) == (0, 8 * count - 8, 8 * count)
    assert damage.reason is not None and "the beginnings of others" in damage.reason
    assert data.read < 100 * len(data)
