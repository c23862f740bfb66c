"""The file format: compatible with MXNet both ways; errors for damaged files."""

import json
import mmap
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.errors import RecordError
from gpuio.recordio import MXIndexedRecordIO, MXRecordIO
from gpuio.recordio.framing import (
    FIRST,
    HEADER,
    LAST,
    LENGTH_BITS,
    LIMIT,
    MAGIC,
    MAGIC_BYTES,
    MIDDLE,
    WHOLE,
    FramingError,
    TruncatedRecordError,
    frame,
    parse,
    part_kind,
    walk,
)

DATA = Path(__file__).parents[1] / "golden" / "data"
PAYLOADS = [
    bytes.fromhex(text) for text in json.loads((DATA / "seq.json").read_text())["payloads_hex"]
]


def file_of(payloads: list[bytes]) -> np.ndarray:
    return np.frombuffer(
        b"".join(bytes(p) for payload in payloads for p in frame(payload)), np.uint8
    )


def read_all(data: np.ndarray) -> list[bytes]:
    return [parse(data, offset, "x.rec")[0].tobytes() for offset in walk(data, "x.rec")]


def test_files_equal_mxnets_byte_for_byte(tmp_path: Path) -> None:
    with MXRecordIO(tmp_path / "seq.rec", "w") as writer:
        for payload in PAYLOADS:
            writer.write(payload)
    assert (tmp_path / "seq.rec").read_bytes() == (DATA / "seq.rec").read_bytes()


def test_mxnets_file_reads_back() -> None:
    with MXRecordIO(DATA / "seq.rec", "r") as reader:
        assert list(reader) == PAYLOADS
        assert reader.read() is None and reader.read() is None


@pytest.mark.parametrize("name", ["ind", "indstr"])
def test_indexed_files_equal_mxnets_byte_for_byte(name: str, tmp_path: Path) -> None:
    if name == "ind":
        expected = json.loads((DATA / "ind.json").read_text())
        keys, key_type = expected["keys"], int
        payloads = [bytes.fromhex(text) for text in expected["payloads_hex"]]
    else:
        keys, key_type = ["a/b.jpg", "z", "7"], str
        payloads = [key.encode() for key in keys]
    files = tmp_path / f"{name}.idx", tmp_path / f"{name}.rec"
    with MXIndexedRecordIO(*files, "w", key_type=key_type) as writer:
        tells = [writer.tell()]
        for key, payload in zip(keys, payloads, strict=True):
            writer.write_idx(key, payload)
            tells.append(writer.tell())
    for file in files:
        assert file.read_bytes() == (DATA / file.name).read_bytes()
    if name == "ind":
        assert tells == expected["tell"]
    with MXIndexedRecordIO(DATA / f"{name}.idx", DATA / f"{name}.rec", "r", key_type) as reader:
        assert reader.keys == keys
        assert [reader.read_idx(key) for key in keys] == payloads


# Pieces of payloads with many magic numbers, at all alignments.
PIECES = st.sampled_from([MAGIC_BYTES, MAGIC_BYTES[:2], b"abcd", b"x", b"", MAGIC_BYTES[::-1]])
PAYLOAD = st.one_of(st.binary(max_size=40), st.lists(PIECES, max_size=8).map(b"".join))


@given(st.lists(PAYLOAD, max_size=6))
def test_what_is_written_reads_back(payloads: list[bytes]) -> None:
    data = file_of(payloads)
    assert len(data) % 4 == 0
    assert read_all(data) == payloads


@given(st.lists(PAYLOAD, min_size=1, max_size=4))
def test_the_magic_occurs_only_where_parts_begin(payloads: list[bytes]) -> None:
    """At multiples of four, so that a reader can resynchronize."""
    data = file_of(payloads)
    magics = np.flatnonzero(data.view("<u4") == int.from_bytes(MAGIC_BYTES, "little")) * 4
    parts = []
    offset = 0
    while offset < len(data):
        parts.append(offset)
        length = int(data[offset + 4 : offset + 8].view("<u4")[0]) & (LIMIT - 1)
        offset += 8 + (length + 3) // 4 * 4
    assert magics.tolist() == parts


@given(
    PAYLOAD, st.sampled_from([bytes, bytearray, memoryview, lambda b: np.frombuffer(b, np.uint8)])
)
def test_every_kind_of_buffer_is_the_same_record(payload: bytes, kind: type) -> None:
    assert b"".join(map(bytes, frame(kind(payload)))) == b"".join(map(bytes, frame(payload)))


def read_by_the_rules(data: bytes) -> tuple[list[bytes], int]:
    """The records of a file, read by the format's rules as MXNet's reader does, and where the first
    damage begins; the file's length if there is none.
    """
    records, at, begun, first = [], 0, None, 0
    while at < len(data):
        magic, word = struct.unpack_from("<4sI", data.ljust(at + 8, b"\0"), at)
        kind, length = word >> 29, word & (1 << 29) - 1
        end = at + 8 + (length + 3) // 4 * 4
        if at + 8 > len(data) or magic != MAGIC_BYTES or end > len(data):
            break
        if (begun is None) != (kind in (WHOLE, FIRST)) or kind > LAST:
            break
        content = data[at + 8 : at + 8 + length]
        begun = content if begun is None else begun + MAGIC_BYTES + content
        at = end
        if kind in (WHOLE, LAST):
            records.append(begun)
            begun, first = None, at
    return records, first


# Whole and damaged records, one after another.
PARTS = st.one_of(
    PAYLOAD.map(lambda payload: b"".join(map(bytes, frame(payload)))),
    st.builds(
        lambda kind, length, content: struct.pack("<4sI", MAGIC_BYTES, kind << 29 | length)
        + content,
        st.integers(0, 7), st.integers(0, 12), st.binary(max_size=12),
    ),
    st.binary(max_size=9),
)  # fmt: skip


@given(st.lists(PARTS, max_size=5).map(b"".join))
def test_any_bytes_are_read_by_the_rules(content: bytes) -> None:
    data = np.frombuffer(content, np.uint8)
    expected, damage = read_by_the_rules(content)
    found, errors = [], []
    offsets = walk(data, "x.rec")
    while True:
        try:
            offset = next(offsets)
        except StopIteration:
            break
        except FramingError as error:
            errors.append(error)
            break
        found.append(parse(data, offset, "x.rec")[0].tobytes())
    assert found == expected and len(errors) == (damage < len(content))
    if errors:
        with pytest.raises(FramingError):
            parse(data, damage, "x.rec")


def test_a_record_of_one_part_is_a_view() -> None:
    data = file_of([b"some payload", b"abcd" + MAGIC_BYTES])
    first, second = walk(data, "x.rec")
    assert np.shares_memory(parse(data, first, "x.rec")[0], data)
    assert not np.shares_memory(parse(data, second, "x.rec")[0], data)


def test_the_maximum_size_of_a_record() -> None:
    with mmap.mmap(-1, LIMIT) as zeros:  # takes no memory until it is touched
        view = memoryview(zeros)
        with pytest.raises(
            RecordError, match="less than 2\\*\\*29 bytes, this one would have 536870912"
        ):
            frame(view)
        header, body, padding = frame(view[: LIMIT - 1])
        assert bytes(header) == MAGIC_BYTES + b"\xff\xff\xff\x1f"
        assert len(body) == LIMIT - 1 and padding == b"\0"
        body.release()
        view.release()


def test_strings_are_rejected() -> None:
    with pytest.raises(TypeError, match=r"encode it first: text\.encode\(\)"):
        frame("text")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not int"):
        frame(3)  # type: ignore[arg-type]


INTACT = file_of([b"first", b"abcd" + MAGIC_BYTES + b"efgh", b"last"]).copy()


@pytest.mark.parametrize(
    ("damage", "offset", "words"),
    [
        (lambda d: d[:60], 16, None),
        (
            lambda d: d,
            4,
            "byte 4: magic 0x00000005, expected 0xced7230a; .*gpuio repair x.rec",
        ),
        (lambda d: d, 28, "byte 28: this is a later part of a record"),
        (lambda d: d, 400, "byte 400: expected a record, but the file has 52 bytes"),
        (lambda d: d, -8, "byte -8: expected a record"),
        (lambda d: d[:6], 0, "it is cut off; the file is damaged: .gpuio repair x.rec"),
        (lambda d: d[:12], 0, "the record needs 8 bytes, only 4 are left"),
        (lambda d: d[:28], 16, "cut off"),
        (
            lambda d: np.concatenate([d[:28], d[40:]]),
            16,
            "expected a further part of a split record",
        ),
    ],
)
def test_errors_describe_the_damage(damage: object, offset: int, words: str | None) -> None:
    data = damage(INTACT)  # type: ignore[operator]
    if words is None:
        parse(data, offset, "x.rec")
        return
    with pytest.raises(RecordError, match=words):
        parse(data, offset, "x.rec")


def test_part_kinds() -> None:
    assert [part_kind(INTACT, offset) for offset in (0, 16, 28, 40)] == [WHOLE, FIRST, LAST, WHOLE]
    assert part_kind(INTACT, 48) is None  # the file ends
    assert part_kind(np.full(8, 255, np.uint8), 0) is None


def test_truncation_has_its_own_error() -> None:
    for data, offset in ((INTACT[:-4], 40), (INTACT[:28], 16), (INTACT[:44], 40), (INTACT, 52)):
        with pytest.raises(TruncatedRecordError):
            parse(data, offset, "x.rec")
    for offset in (4, 28):
        with pytest.raises(RecordError) as caught:
            parse(INTACT, offset, "x.rec")
        assert not isinstance(caught.value, TruncatedRecordError)


def test_walking_yields_the_records_before_the_damage() -> None:
    found = []
    with pytest.raises(RecordError, match="byte 40"):
        for offset in walk(INTACT[:-4], "x.rec"):
            found.append(offset)
    assert found == [0, 16]


@pytest.mark.parametrize(
    "case", json.loads((DATA / "truncated.json").read_text()), ids=lambda c: c["bytes_kept"]
)
def test_truncated_files_give_what_mxnet_gives(case: dict, tmp_path: Path) -> None:
    path = tmp_path / "cut.rec"
    path.write_bytes((DATA / "seq.rec").read_bytes()[: case["bytes_kept"]])
    events: list[object] = []
    with MXRecordIO(path, "r") as reader:
        for _ in case["events"]:
            try:
                record = reader.read()
            except RecordError as error:
                assert "cut.rec at byte" in str(error)
                events.append("error")
            else:
                events.append(None if record is None else record.hex())
    assert events == ["error" if isinstance(event, list) else event for event in case["events"]]


def test_a_record_of_many_parts_takes_little_more_memory_than_its_bytes() -> None:
    parts = HEADER.pack(MAGIC, MIDDLE << LENGTH_BITS) * 20_000
    first, last = (HEADER.pack(MAGIC, kind << LENGTH_BITS) for kind in (FIRST, LAST))
    data = np.frombuffer(first + parts + last, np.uint8)
    tracemalloc.start()
    try:
        payload, end = parse(data, 0, "x.rec")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert payload.tobytes() == MAGIC_BYTES * 20_001 and end == len(data)
    assert peak < 3 * len(data)
