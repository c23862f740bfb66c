"""LibSVM blocks: every spelling of sparse rows gives them, every fault is named at its place."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gpuio.io.text.bad_line import BadLine
from gpuio.io.text.libsvm import LibSVMBlock, parse_libsvm

DATA = Path(__file__).parents[2] / "golden" / "data"
COLUMNS = 1000

FLOATS = st.floats(width=32)
ROW = st.tuples(FLOATS, st.lists(st.tuples(st.integers(0, COLUMNS - 1), FLOATS), max_size=4))
WHITE = st.sampled_from([" ", " ", "\t", "  ", " \t "])


def fault(text: str | bytes, columns: int = 5) -> tuple[int, int | None, str]:
    with pytest.raises(BadLine) as caught:
        parse_libsvm(text if isinstance(text, bytes) else text.encode(), columns)
    return caught.value.line, caught.value.column, caught.value.reason


def assert_rows(found: LibSVMBlock, rows: list[tuple[float, list[tuple[int, float]]]]) -> None:
    entries = [entry for _, row in rows for entry in row]
    expected = LibSVMBlock(
        np.array([label for label, _ in rows], np.float32),
        np.cumsum([0, *(len(row) for _, row in rows)], dtype=np.int64),
        np.array([index for index, _ in entries], np.int32),
        np.array([value for _, value in entries], np.float32),
    )
    for name, one, other in zip(LibSVMBlock._fields, found, expected, strict=True):
        assert one.dtype == other.dtype, name
        np.testing.assert_array_equal(one, other, err_msg=name)


@st.composite
def spelled_rows(draw: st.DrawFn) -> tuple[list[Any], list[int], list[list[str]], list[str]]:
    """Rows, the line of each, each one's tokens, and the lines of the text without the rows."""
    rows = draw(st.lists(ROW, max_size=6))
    blank = st.sampled_from(["", "", " ", "\t", "# 1 2:3 é", "  #"])
    lines: list[str] = []
    places, tokens = [], []
    for label, entries in rows:
        lines += draw(st.lists(blank, max_size=1))
        places.append(len(lines))
        lines.append("")
        index = draw(st.sampled_from(["{}", "+{}", "00{}"]))
        tokens.append([str(label), *(f"{index.format(at)}:{value}" for at, value in entries)])
    return rows, places, tokens, lines


def written(draw: Any, places: list[int], tokens: list[list[str]], lines: list[str]) -> bytes:
    lines = list(lines)
    for place, row in zip(places, tokens, strict=True):
        end = draw(st.sampled_from(["", "", " ", "\t", " # 1:2 é", "#"]))
        lines[place] = draw(st.sampled_from(["", "", " ", "\t"])) + draw(WHITE).join(row) + end
    line_end = draw(st.sampled_from(["\n", "\r\n"]))
    return (line_end.join(lines) + draw(st.sampled_from(["", "\n", "\r\n", "\n\n"]))).encode()


@given(spelled_rows(), st.data())
def test_every_spelling_of_rows_gives_the_rows(spelled: Any, data: st.DataObject) -> None:
    rows, *places = spelled
    assert_rows(parse_libsvm(written(data.draw, *places), COLUMNS), rows)


@given(spelled_rows(), st.data())
def test_a_fault_is_named_at_its_place(spelled: Any, data: st.DataObject) -> None:
    rows, places, tokens, lines = spelled
    assume(rows)
    row = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(0, len(tokens[row]) - 1))
    bad = ["x", "1:x", "x:1", "1:", ":1", ":", "1:2:3", "qid:3", "1_0", "\0", "é", '"1"', "\v"]
    tokens[row][column] = data.draw(st.sampled_from(bad))
    block = written(data.draw, places, tokens, lines)
    assert fault(block, COLUMNS)[:2] == (places[row], column)


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ("1 5:1", 1, "'5:1': the index is out of range: 0 to 4"),
        ("1 1:1 99999999999:1", 2, "'99999999999:1': the index is out of range: 0 to 4"),
        ("1 -1:1", 1, "'-1:1': the index is out of range: 0 to 4"),
        ("1 1.0:1", 1, "'1.0:1': '1.0' is not an index"),
        ("1 1e0:1", 1, "'1e0:1': '1e0' is not an index"),
        ("1 a:1", 1, "'a:1': 'a' is not an index"),
        ("1 qid:4 1:1", 1, "'qid:4': 'qid' is not an index"),
        ("1 3:", 1, "'3:' is not of the form index:value"),
        ("1 3: 1", 1, "'3:' is not of the form index:value"),
        ("1 :1", 1, "':1' is not of the form index:value"),
        ("1 3", 1, "'3' is not of the form index:value"),
        ("1 1:1 text", 2, "'text' is not of the form index:value"),
        ("1 1:2:3", 1, "'1:2:3' is not of the form index:value"),
        ("1 1:x", 1, "'1:x': 'x' is not a number"),
        ("1 1:0x10", 1, "'1:0x10': '0x10' is not a number"),
        ("1,2 1:1", 0, "'1,2' is not a number"),
        ("x 1:1", 0, "'x' is not a number"),
        ("1:0.5 1:1", 0, "'1:0.5' is not a label; a line begins with one number"),
        ("1:1", 0, "'1:1' is not a label; a line begins with one number"),
        ("1 1:é", 1, "'1:é': 'é' is not a number"),
    ],
)
def test_what_is_refused_is_named(line: str, column: int, reason: str) -> None:
    for before, after in ((0, 0), (1, 0), (0, 1), (3, 2)):
        text = "\n".join(["1 1:1 # é"] * before + [line] + ["2 0:1"] * after)
        assert fault(text) == (before, column, reason)


def test_two_faults_do_not_cancel_each_other_out() -> None:
    assert fault("1 2:3:4 3\n7 1:1\n")[:2] == (0, 1)
    assert fault("1 2\n:3 1:1\n")[:2] == (0, 1)


def test_entries_keep_the_order_of_the_text() -> None:
    """As MXNet keeps it."""
    found = parse_libsvm(b"1 3:1 1:2 3:4\n", 5)
    assert_rows(found, [(1, [(3, 1), (1, 2), (3, 4)])])


def test_large_indices_and_odd_values() -> None:
    text = b"-1e-3 2147483646:nan 16777217:1e50\n+2 0:-inf -0:.5\n-0 0000000000000000001:5."
    rows = [
        (-1e-3, [(2147483646, np.nan), (16777217, np.inf)]),
        (2, [(0, -np.inf), (0, 0.5)]),
        (-0.0, [(1, 5)]),
    ]
    assert_rows(parse_libsvm(text, 2**31 - 1), rows)
    assert fault(b"1 " + b"9" * 5000 + b":1")[:2] == (0, 1)


@pytest.mark.parametrize("text", [b"", b"\n", b" \r\n\t\n", b"# 1 2:3", b"#\n\n"])
def test_a_block_without_rows_gives_none(text: bytes) -> None:
    assert_rows(parse_libsvm(text, 5), [])


def test_rows_may_all_be_empty() -> None:
    assert_rows(parse_libsvm(b"1\n2 \n\n3", 5), [(1, []), (2, []), (3, [])])


@pytest.mark.parametrize("name", ["d", "l"])
def test_the_files_of_the_golden_set(name: str) -> None:
    text = (DATA / f"{name}.svm").read_text()
    rows = []
    for label, *entries in (line.split() for line in text.splitlines()):
        pairs = (entry.split(":") for entry in entries)
        rows.append((float(label), [(int(index), float(value)) for index, value in pairs]))
    assert_rows(parse_libsvm(text.encode(), 3), rows)


def test_the_values_are_mxnets() -> None:
    golden = np.load(DATA / "svm_plain.npz")
    found = parse_libsvm((DATA / "d.svm").read_bytes(), 3)
    end = found.indptr[3]  # the first batch's rows
    np.testing.assert_array_equal(found.label[:3], golden["l0_0"])
    np.testing.assert_array_equal(found.indptr[:4], golden["csrindptr0_0"])
    np.testing.assert_array_equal(found.indices[:end], golden["csrindices0_0"])
    np.testing.assert_array_equal(found.values[:end], golden["csrdata0_0"])
