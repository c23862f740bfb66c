"""List files: what separates fields, what a key and a label may be, and which line is wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.errors import ArgumentError, RecordFileNotFoundError
from gpuio.recordio.lists import ListItem, items_of, numbered_lines, parse_line, read_list

CAT = ListItem(3, (1.0,), "cat.jpg")


@pytest.mark.parametrize(
    ("line", "item"),
    [
        ("3\t1\tcat.jpg\n", CAT),
        ("3\t1\tcat.jpg\r\n", CAT),
        ("  3 \t 1.0 \t cat.jpg  ", CAT),
        ("3.0\t1\tcat.jpg", CAT),
        ("+3\t1e0\tcat.jpg", CAT),
        ("-3\t-1\tcat.jpg", ListItem(-3, (-1.0,), "cat.jpg")),
        ("3\t1\ta folder/the cat.jpg", ListItem(3, (1.0,), "a folder/the cat.jpg")),
        ("3\t1\ta\u00a0b\u3000", ListItem(3, (1.0,), "a\u00a0b\u3000")),
        ("3\t1\t2.5\t-4\tcat.jpg", ListItem(3, (1.0, 2.5, -4.0), "cat.jpg")),
        ("12345678901234567\t0\tx", ListItem(12345678901234567, (0.0,), "x")),
    ],
)
def test_tab_separated_lines(line: str, item: ListItem) -> None:
    assert parse_line(line) == item
    assert parse_line(line, len(item.labels)) == item


@pytest.mark.parametrize(
    ("line", "width", "item"),
    [
        ("3 1 cat.jpg", None, CAT),
        ("3   1\v cat.jpg\n", 1, CAT),
        ("3 1 2 cat.jpg", None, ListItem(3, (1.0, 2.0), "cat.jpg")),
        ("3 1 the black cat.jpg", 1, ListItem(3, (1.0,), "the black cat.jpg")),
        ("3 1\tcat.jpg", 1, CAT),
        ("3\t1 the black cat.jpg", 1, ListItem(3, (1.0,), "the black cat.jpg")),
        ("3\t1\tthe black cat.jpg", 1, ListItem(3, (1.0,), "the black cat.jpg")),
        ("3\t1\tthe black cat.jpg", None, ListItem(3, (1.0,), "the black cat.jpg")),
        ("3\t1\t2\tcat.jpg", 1, CAT),
        ("3 1 a\u00a0b", None, ListItem(3, (1.0,), "a\u00a0b")),
    ],
)
def test_white_space_separates_if_allowed(line: str, width: int | None, item: ListItem) -> None:
    assert parse_line(line, width, whitespace=True) == item


def test_white_space_does_not_separate_by_default() -> None:
    with pytest.raises(ValueError, match=r"found 1 field\(s\)"):
        parse_line("3 1 cat.jpg")


def test_a_label_width_selects_the_first_labels() -> None:
    assert parse_line("3\t1\t2\tcat.jpg", 1) == CAT
    with pytest.raises(ValueError, match=r"expected a key, 3 label\(s\) and a path, found 4"):
        parse_line("3\t1\t2\tcat.jpg", 3)


BAD = {
    "": r"at least one label and a path, found 1 field\(s\)",
    "3\t1": r"found 2 field\(s\)",
    "3\t1\t": r"found 2 field\(s\)",
    "x\t1\tcat.jpg": "could not convert string to float: 'x'",
    "3\tx\tcat.jpg": "could not convert string to float: 'x'",
    "3\t\tcat.jpg": "could not convert string to float: ''",
    "3.5\t1\tcat.jpg": r"the key '3\.5' is not an integer",
    "inf\t1\tcat.jpg": "the key 'inf' is not an integer",
    "nan\t1\tcat.jpg": "the key 'nan' is not an integer",
    "\u00b2\t1\tcat.jpg": "could not convert string to float",
    "--3\t1\tcat.jpg": "could not convert string to float: '--3'",
}


@pytest.mark.parametrize("line", BAD)
def test_a_malformed_line_is_a_value_error(line: str) -> None:
    with pytest.raises(ValueError, match=BAD[line]):
        parse_line(line)


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r\v\f"), min_size=1).filter(
    lambda name: name == name.strip(" ")
)


@given(
    st.lists(
        st.tuples(st.integers(0, 2**63), st.lists(st.floats(allow_nan=False), min_size=1), NAMES),
        max_size=5,
    )
)
def test_what_is_written_reads_back(
    tmp_path_factory: pytest.TempPathFactory, items: list[tuple[int, list[float], str]]
) -> None:
    path = tmp_path_factory.mktemp("lists") / "x.lst"
    path.write_text(
        "".join("\t".join([str(k), *map(repr, ls), name]) + "\n" for k, ls, name in items),
        encoding="utf-8",
        newline="\n",
    )
    assert list(read_list(path)) == [ListItem(k, tuple(ls), name) for k, ls, name in items]


def test_latin_1_names_are_file_names(tmp_path: Path) -> None:
    image = tmp_path / "x.lst"
    image.write_bytes(b"3\t1\tS\xe3o Jos\xe9.jpg\n")
    (item,) = read_list(image)
    assert item.path.encode("utf-8", "surrogateescape") == b"S\xe3o Jos\xe9.jpg"


def test_blank_lines_are_skipped_but_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.lst"
    path.write_text("\n3\t1\tcat.jpg\n \t \n4\t1\tdog.jpg")
    assert list(numbered_lines(path)) == [(2, "3\t1\tcat.jpg\n"), (4, "4\t1\tdog.jpg")]
    assert [item.key for item in read_list(f"file://{path}")] == [3, 4]


def test_errors_name_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "x.lst"
    path.write_text("3\t1\tcat.jpg\n\n4\tdog.jpg\n")
    items = read_list(path)
    assert next(items) == CAT
    with pytest.raises(ArgumentError, match=r"x\.lst, line 3: .* found 2 .*: '4\\tdog\.jpg'"):
        next(items)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RecordFileNotFoundError, match=r"none\.lst does not exist; 'gpuio im2rec"):
        list(numbered_lines(tmp_path / "none.lst"))
    with pytest.raises(ArgumentError, match=r"none\.lst cannot be read: it does not exist"):
        list(read_list(tmp_path / "none.lst"))
    with pytest.raises(ArgumentError, match="cannot be read: Is a directory"):
        list(read_list(tmp_path))


@pytest.mark.parametrize(
    ("item", "labels"),
    [
        ([1, "x"], (1.0,)),
        ((1.5, Path("x")), (1.5,)),
        ([[1, 2], "x"], (1.0, 2.0)),
        ([1, 2, 3, "x"], (1.0, 2.0, 3.0)),
        ([np.float32(0.5), "x"], (0.5,)),
        ([np.array(4), "x"], (4.0,)),
        ([np.arange(4.0).reshape(2, 2), "x"], (0.0, 1.0, 2.0, 3.0)),
        ([[[1, 2], [3, 4]], "x"], (1.0, 2.0, 3.0, 4.0)),
    ],
)
def test_imglist_items(item: Any, labels: tuple[float, ...]) -> None:
    first, second = items_of([item, item])
    assert first == ListItem(1, labels, "x") and second == ListItem(2, labels, "x")


@pytest.mark.parametrize("item", ["x", ["x"], [[], "x"], [1, 2], [None, "x"], [1, b"x"], 3, []])
def test_malformed_imglist_items(item: Any) -> None:
    items = items_of([[1, "x"], item])
    assert next(items).key == 1
    with pytest.raises(ArgumentError, match=r"imglist's items are \[label, path\].* item 2 is"):
        next(items)


@given(
    st.text(st.sampled_from("0123456789.-+e_ \t\r\n\v\x1c\x85\u0663nifa/\0\udce9"), max_size=30),
    st.sampled_from([None, 1, 2]),
    st.booleans(),
)
def test_any_line_is_an_item_or_an_error(line: str, width: int | None, whitespace: bool) -> None:
    try:
        item = parse_line(line, width, whitespace)
    except ValueError:
        return
    assert len(item.labels) >= 1 and (width is None or len(item.labels) == width)
    assert -(2**63) <= item.key < 2**64 and "\t" not in item.path
    written = "\t".join([str(item.key), *map(repr, item.labels), item.path])
    again = parse_line(written, len(item.labels))
    assert (again.key, again.path) == (item.key, item.path)
    np.testing.assert_array_equal(again.labels, item.labels)
