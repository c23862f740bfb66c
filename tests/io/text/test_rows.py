"""RowReader: rows in any number, from any position, with and without a thread."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from gpuio.errors import DataFileError, StateError
from gpuio.io.text.bad_line import BadLine
from gpuio.io.text.files import TextFiles
from gpuio.io.text.rows import Columns, RowReader, concatenate

COUNT = 50


def parse(text: bytes) -> Columns:
    numbers = [int(line) for line in text.split()]
    for index, number in enumerate(numbers):
        if number < 0:
            raise BadLine(index, 0, f"{number} is negative")
    return (np.array(numbers),)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("gpuio.io.text.files.BLOCK", 20)
    path = tmp_path / "x"
    path.write_text("".join(f"{number}\n" for number in range(COUNT)))
    return path


@pytest.fixture(params=[0, 30], ids=["no thread", "thread"])
def prefetch(request: pytest.FixtureRequest) -> int:
    return request.param


def opened(path: Path, prefetch: int = 0, skip: int = 0) -> RowReader:
    return RowReader(TextFiles(path, "data"), parse, skip, prefetch)


def pieces(reader: RowReader, *counts: int) -> Iterator[list[int]]:
    for count in counts:
        found, columns = reader.read(count)
        rows = columns[0].tolist() if columns else []
        assert len(rows) == found
        yield rows


def test_rows_come_in_any_number(path: Path, prefetch: int) -> None:
    reader = opened(path, prefetch)
    assert [row for piece in pieces(reader, 1, 0, 7, 30, 2) for row in piece] == list(range(40))
    assert not reader.at_end
    assert list(pieces(reader, 99, 1)) == [list(range(40, COUNT)), []]
    assert reader.at_end
    reader.rewind()
    assert list(pieces(reader, 3)) == [[0, 1, 2]]
    reader.close()
    reader.close()


def test_every_position_can_be_returned_to(path: Path, prefetch: int) -> None:
    reader = opened(path, prefetch, skip=3)
    marks = []
    for _ in range(COUNT - 3):
        marks.append(reader.mark())
        reader.read(1)
    for row in (46, 0, 20, 21, 1):
        reader.seek(marks[row])
        assert list(pieces(reader, 2)) == [list(range(row + 3, min(row + 5, COUNT)))]
    other = opened(path, prefetch)
    other.seek(marks[30])
    assert list(pieces(other, 1)) == [[33]]
    for wrong in ([1, 0, 0], [0, -1, 0], [-1, 0, 0], [0, 0, -1]):
        with pytest.raises(StateError, match="there is no position"):
            reader.seek(wrong)
    for each in (reader, other):
        each.close()


def test_a_malformed_line_is_located_and_not_skipped(path: Path, prefetch: int) -> None:
    lines = path.read_text().split("\n")
    lines[30] = "-5"
    path.write_text("\n".join(lines))
    reader = opened(path, prefetch)
    read = []
    for _ in range(3):
        with pytest.raises(DataFileError, match=r"x, line 31, column 1: -5 is negative"):
            while True:
                read += next(pieces(reader, 1))
    assert read == list(range(len(read))) and 20 < len(read) <= 30
    with pytest.raises(DataFileError, match="line 31"):
        _ = reader.at_end
    reader.close()


def test_a_failure_while_skipping_rows_skips_none_too_few(path: Path) -> None:
    good = path.read_text()
    path.write_text(good.replace("\n15\n", "\n-1\n"))
    reader = opened(path, skip=30)
    with pytest.raises(DataFileError, match="line 16"):
        reader.read(1)
    path.write_text(good)
    assert list(pieces(reader, 2)) == [[30, 31]]
    reader.close()


def test_a_whole_block_is_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("1\n2\n3\n")
    kept = []

    def keep(text: bytes) -> Columns:
        kept.append(parse(text))
        return kept[-1]

    reader = RowReader(TextFiles(path, "data"), keep)
    _, (rows,) = reader.read(3)
    assert rows is kept[0][0]


def test_pieces_are_concatenated_column_by_column() -> None:
    assert concatenate([]) == ()
    only = (np.arange(3),)
    assert concatenate([only]) is only
    matrix = scipy.sparse.csr_matrix(np.eye(2))
    numbers, rows = concatenate([(np.arange(2), matrix), (np.arange(2), matrix * 2)])
    assert numbers.tolist() == [0, 1, 0, 1] and rows.format == "csr"
    np.testing.assert_array_equal(rows.toarray(), [[1, 0], [0, 1], [2, 0], [0, 2]])
