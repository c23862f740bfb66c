"""The index: loading, building, searching, and its errors."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.errors import IndexFormatError, RecordError, RecordFileNotFoundError
from gpuio.recordio import Index, MXIndexedRecordIO, MXRecordIO

ENTRIES = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**62)), max_size=30)


@given(ENTRIES)
def test_save_load_and_find(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.mktemp("index") / "x.idx"
    keys = np.array([key for key, _ in entries], np.int64)
    offsets = np.array([offset for _, offset in entries], np.int64)
    Index(keys, offsets).save(path)
    loaded = Index.load(path)
    np.testing.assert_array_equal(loaded.keys, keys)
    np.testing.assert_array_equal(loaded.offsets, offsets)
    expected = dict(entries)  # of several records with the same key, the last counts
    assert {key: int(loaded.offsets[loaded.find(key)]) for key in expected} == expected
    with pytest.raises(KeyError):
        loaded.find(2**70)


FIELDS = st.sampled_from(
    [b"1", b"-7", b" 5 ", b"+3", b"1_0", b"\xd9\xa3", b"x", b"", b"1.5", b"9223372036854775807",
     b"9223372036854775808", b"99999999999999999999", b"\0", b"\r", b"\xff"]
)  # fmt: skip
LINES = st.lists(st.tuples(FIELDS, st.sampled_from([b"\t", b" ", b"\t\t"]), FIELDS), max_size=5)


def read_line_by_line(content: bytes) -> list[tuple[int, int]] | None:
    """The entries of an index as Python's integers; None if a line is malformed."""
    entries = []
    for line in content.removesuffix(b"\n").split(b"\n") if content else ():
        fields = line.decode("utf-8", "replace").strip().split("\t")
        try:
            key, offset = int(fields[0]), int(fields[1])
        except (IndexError, ValueError):
            return None
        if not -(2**63) <= key < 2**63 or not 0 <= offset < 2**63:
            return None
        entries.append((key, offset))
    return entries


@given(st.one_of(st.binary(max_size=40), LINES.map(lambda lines: b"\n".join(map(b"".join, lines)))))
def test_any_bytes_are_an_index_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("index") / "x.idx"
    path.write_bytes(content)
    expected = read_line_by_line(content)
    if expected is None:
        with pytest.raises(IndexFormatError):
            Index.load(path)
    else:
        loaded = Index.load(path)
        assert [*zip(loaded.keys.tolist(), loaded.offsets.tolist(), strict=True)] == expected


@pytest.mark.parametrize(
    "text",
    ["1\t0\n2\t8", "1\t0\textra\n2\t8\n", " 1\t0 \r\n2\t8\r\n"],
    ids=["no newline", "fields", "crlf"],
)
def test_lines_that_mxnet_accepts(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.idx"
    path.write_bytes(text.encode())
    loaded = Index.load(path)
    assert loaded.keys.tolist() == [1, 2] and loaded.offsets.tolist() == [0, 8]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("1\t0\n\n2\t8\n", 2),
        ("1 0\n", 1),
        ("1\t0\n2\tx\n", 2),
        ("a\t0\n", 1),
        ("1\t0\n2\n3\t9\n", 2),
        ("1\t0\n2\t99999999999999999999999\n", 2),
        ("1.5\t0\n", 1),
        ("1\t0\n2\t8 9\n", 2),
    ],
)
def test_a_bad_line_is_named(text: str, line: int, tmp_path: Path) -> None:
    path = tmp_path / "x.idx"
    path.write_text(text)
    with pytest.raises(IndexFormatError, match=f"line {line}:"):
        Index.load(path)


def test_a_bad_line_far_into_a_large_index_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.idx"
    path.write_text("".join(f"{n}\t{n * 8}\n" for n in range(700_000)) + "oops\n")
    with pytest.raises(IndexFormatError, match="line 700001"):
        Index.load(path)


def test_a_large_index_needs_little_more_memory_than_its_arrays(tmp_path: Path) -> None:
    path, count = tmp_path / "x.idx", 300_000
    path.write_text("".join(f"{n}\t{n * 110_000}\n" for n in range(count)))
    tracemalloc.start()
    index = Index.load(path)
    index.find(17)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    arrays = 2 * 8 * count
    assert len(index) == count and index.offsets[-1] == (count - 1) * 110_000
    assert (
        peak < 3 * arrays + 40_000_000
    )  # the arrays, their concatenation, and one piece of the file


def test_a_built_index_equals_the_writers(tmp_path: Path) -> None:
    files = tmp_path / "x.idx", tmp_path / "x.rec"
    with MXIndexedRecordIO(*files, "w") as writer:
        for number in range(20):
            writer.write_idx(number, b"\x0a\x23\xd7\xce" * (number % 4) + b"x" * number)
    built, loaded = Index.build(files[1]), Index.load(files[0])
    np.testing.assert_array_equal(built.offsets, loaded.offsets)
    np.testing.assert_array_equal(built.keys, loaded.keys)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(RecordFileNotFoundError, match="gpuio index"):
        Index.load(tmp_path / "none.idx")
    with pytest.raises(FileNotFoundError):
        MXIndexedRecordIO(tmp_path / "none.idx", tmp_path / "none.rec", "r")
    MXRecordIO(tmp_path / "x.rec", "w").close()
    with pytest.raises(FileNotFoundError, match=r"none\.idx"):
        MXIndexedRecordIO(tmp_path / "none.idx", tmp_path / "x.rec", "r")
    (tmp_path / "broken.rec").write_bytes(b"\0something else here")
    with pytest.raises(RecordError, match=r"byte 0: magic.*gpuio repair"):
        Index.build(tmp_path / "broken.rec")
