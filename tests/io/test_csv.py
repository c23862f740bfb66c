"""CSVIter: MXNet's results, files of all kinds, mistakes."""

import bz2
import gzip
import lzma
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import (
    ArgumentError,
    ContextError,
    DataFileError,
    DataFileNotFoundError,
    UnsupportedError,
)
from tests.io.conformance import trace
from tests.io.golden import CASES, DATA, arrays, assert_described, assert_epoch

DATA_CSV, LABEL_CSV, LABELS2_CSV = (str(DATA / name) for name in ("d.csv", "l.csv", "l2.csv"))


def rows_of(path: Path, columns: int = 3, **options: Any) -> list[list[float]]:
    """All rows of a file, read in batches of two."""
    found = []
    with mx.io.CSVIter(
        data_csv=path, data_shape=columns, batch_size=2, round_batch=False, **options
    ) as iterator:
        for batch in iterator:
            found += batch.data[0].asnumpy()[: 2 - batch.pad].tolist()
    return found


@pytest.mark.parametrize("round_batch", [True, False])
@pytest.mark.parametrize("batch_size", [7, 3, 2])
def test_golden(round_batch: bool, batch_size: int, ctx: mx.Context) -> None:
    expected = arrays(f"csv_{round_batch}_{batch_size}")
    with mx.io.CSVIter(
        data_csv=DATA_CSV,
        data_shape=(6,),
        label_csv=LABEL_CSV,
        batch_size=batch_size,
        round_batch=round_batch,
        ctx=ctx,
    ) as iterator:
        assert_described(iterator, f"CSVIter_round{round_batch}_bs{batch_size}")
        for epoch in range(3):
            batches = list(iterator)
            # What MXNet fills with under round_batch=False is left over in its memory.
            assert_epoch(batches, expected, epoch, proper_rows_only=not round_batch)
            for number, batch in enumerate(batches):
                rows = batch_size - (0 if round_batch else batch.pad)
                index = expected[f"i{epoch}_{number}"]
                np.testing.assert_array_equal(batch.index[:rows], index[:rows])
                if not round_batch and batch.pad:
                    first = list(range(batch.pad))
                    assert batch.index[rows:].tolist() == first
            iterator.reset()


def test_golden_shapes_and_types(ctx: mx.Context) -> None:
    shaped = dict(data_csv=DATA_CSV, data_shape=(2, 3, 1), label_csv=LABELS2_CSV, label_shape=(2,))
    whole = dict(data_csv=LABELS2_CSV, data_shape=(2,), label_csv=LABEL_CSV, batch_size=7)
    for case, name, options in (
        ("multidim", "multi", {**shaped, "batch_size": 3}),
        ("nolabel", "nolabel", dict(data_csv=DATA_CSV, data_shape=(6,), batch_size=4)),
        ("int32", "int32", {**whole, "dtype": "int32"}),
        ("int64", "int64", {**whole, "dtype": "int64"}),
    ):
        with mx.io.CSVIter(**options, ctx=ctx) as iterator:
            assert_described(iterator, f"CSVIter_{case}")
            batches = list(iterator)
            assert_epoch(batches, arrays(f"csv_{name}"), 0)
            kind = options.get("dtype", "float32")
            assert batches[0].data[0].dtype == batches[0].label[0].dtype == kind


def test_every_golden_case_is_looked_at() -> None:
    looked_at = {f"CSVIter_round{r}_bs{b}" for r in (True, False) for b in (7, 3, 2)}
    looked_at |= {f"CSVIter_{name}" for name in ("multidim", "nolabel", "int32", "int64")}
    assert {name for name in CASES if name.startswith("CSVIter")} == looked_at


@pytest.mark.parametrize(
    "text",
    [
        b"1,2,3\n4,5,6\n",
        b"1,2,3\n4,5,6",
        b"1,2,3\r\n4,5,6\r\n",
        b"\xef\xbb\xbf1,2,3\n4,5,6\n",
        b"\n\n1,2,3\n\n  \n4,5,6\n\n\n",
        b" 1, 2 ,3\t\n4 ,\t5,6 \n",
        b"1,2,3,\n4,5,6,\n",
        b'"1","2.0",3\n4,"5",6\n',
        b"+1,2.,3e0\n4E0,.5e1,600e-2\n",
    ],
    ids=str,
)
def test_spellings(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(text)
    assert rows_of(path) == [[1, 2, 3], [4, 5, 6]]


def test_numbers_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("nan,inf,-inf\nNaN,Infinity,-INF\n")
    np.testing.assert_array_equal(rows_of(path), [[np.nan, np.inf, -np.inf]] * 2)


def test_delimiters_and_headers(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    for delimiter in ";\t| ":
        lines = [delimiter.join("abc"), delimiter.join("123"), delimiter.join("456")]
        path.write_text("\n".join(lines))
        found = rows_of(path, delimiter=delimiter, skip_header=1)
        assert (
            found == rows_of(path, delimiter=delimiter, skip_header=True) == [[1, 2, 3], [4, 5, 6]]
        )
    path.write_text("a\nb\n1,2,3\n")
    assert rows_of(path, skip_header=2) == [[1, 2, 3]]
    with pytest.raises(DataFileError, match="no rows"):
        rows_of(path, skip_header=3)
    with pytest.raises(DataFileError, match=r"line 2.*1 fields?, expected 3"):
        rows_of(path, skip_header=1)


@pytest.mark.parametrize(
    ("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
def test_packed_files(ending: str, pack: Any, tmp_path: Path) -> None:
    path = tmp_path / f"x.csv.{ending}"
    path.write_bytes(pack(b"\xef\xbb\xbfa,b,c\n1,2,3\n4,5,6"))
    assert rows_of(path, skip_header=1) == [[1, 2, 3], [4, 5, 6]]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataFileError, match=f"x.csv.{ending} cannot be read"):
        rows_of(path, skip_header=1)


def test_several_files_are_read_one_after_another(tmp_path: Path) -> None:
    for name, text in (("b.csv", "4,5,6\n7,8,9"), ("a.csv", "1,2,3"), ("c.csv", "")):
        (tmp_path / name).write_text(text)
    rows = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert rows_of(tmp_path) == rows
    names = [str(tmp_path / name) for name in ("a.csv", "b.csv")]
    assert rows_of(";".join(names)) == rows_of(names) == rows  # type: ignore[arg-type]
    assert rows_of(f"file://{names[0]}") == rows[:1]  # type: ignore[arg-type]
    assert rows_of(names[::-1]) == [*rows[1:], rows[0]]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        (b"1,2,3\n4,5\n", "line 2", "2 fields, expected 3"),
        (b"1,2,3\n\n4,5,6,7\n", "line 3", "4 fields, expected 3"),
        (b"1,2,3\n4,x,6\n", "line 2, column 2", "'x'"),
        (b"1,2,3\n4,,6\n", "line 2, column 2", "empty"),
        (b"1,2,3\r\n4,5,1abc\r\n", "line 2, column 3", "'1abc'"),
        (b"a,b,c\n1,2,3\n", "line 1, column 1", "'a'"),
        (b"1;2;3\n", "line 1", "expected 3"),
        (b"1,2,3\n\x00\x00\n", "line 2", ""),
    ],
    ids=str,
)
def test_broken_lines_are_named(text: bytes, where: str, what: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(text)
    with pytest.raises(DataFileError, match=rf"x\.csv, {where}: .*{what}"):
        rows_of(path)
    with pytest.raises(mx.MXNetError):
        rows_of(path)


def test_a_broken_line_deep_in_a_file_is_named_at_its_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpuio.io.text.files.BLOCK", 64)
    path = tmp_path / "x.csv"
    lines = [f"{number},{number},{number}" for number in range(200)]
    lines[150] = "150,oops,150"
    path.write_text("# header\n" + "\n".join(lines))
    for ahead in (0, 4):
        with mx.io.CSVIter(
            data_csv=path, data_shape=(3,), batch_size=10, skip_header=1, prefetch_buffer=ahead
        ) as iterator:
            good = 0
            with pytest.raises(DataFileError, match=r"line 152, column 2: .*'oops'"):
                for batch in iterator:
                    assert batch.data[0].asnumpy()[0, 0] == 10 * good
                    good += 1
            assert 13 <= good <= 15  # the block with the bad line may begin before its batch
            with pytest.raises(DataFileError, match="line 152"):
                iterator.next()  # asking again does not skip it
            iterator.reset()
            assert iterator.next().data[0].asnumpy()[0, 0] == 0


def test_labels_must_be_as_many_as_rows(tmp_path: Path) -> None:
    data, label = tmp_path / "d.csv", tmp_path / "l.csv"
    data.write_text("1,2\n" * 6)
    for count, text in ((5, "ends after 5 rows"), (7, "more than the 6 rows")):
        label.write_text("1\n" * count)
        with mx.io.CSVIter(
            data_csv=data, data_shape=(2,), label_csv=label, batch_size=4
        ) as iterator:
            iterator.next()
            with pytest.raises(DataFileError, match=f"label_csv: .*l.csv .*{text}"):
                iterator.next()


def test_files_that_are_not_there(tmp_path: Path) -> None:
    missing, empty = tmp_path / "no.csv", tmp_path / "empty.csv"
    empty.write_text("")
    call = dict(data_shape=(2,), batch_size=1)
    with pytest.raises(DataFileNotFoundError, match=r"data_csv: .*no\.csv does not exist"):
        mx.io.CSVIter(data_csv=missing, **call)
    with pytest.raises(FileNotFoundError, match="label_csv"):
        mx.io.CSVIter(data_csv=DATA_CSV, label_csv=missing, data_shape=(6,), batch_size=1)
    for text in ("", "\n\n \n"):
        empty.write_text(text)
        with pytest.raises(DataFileError, match=r"empty\.csv has no rows"):
            mx.io.CSVIter(data_csv=empty, **call)
    with pytest.raises(ArgumentError, match="names no file"):
        mx.io.CSVIter(data_csv=";", **call)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"data_shape": ()}, "data_shape must have at least one axis"),
        ({"data_shape": (0,)}, "data_shape must be at least 1"),
        ({"data_shape": "6x"}, "data_shape must be an integer"),
        ({"label_shape": (2, -1)}, "label_shape must be at least 1"),
        ({"dtype": "float64"}, "dtype must be one of float32, int32, int64, not 'float64'"),
        ({"dtype": "nonsense"}, "dtype must be one of"),
        ({"delimiter": ",,"}, "one ASCII character"),
        ({"delimiter": "\u00e9"}, "one ASCII character"),
        ({"delimiter": "."}, "one ASCII character that numbers"),
        ({"delimiter": "e"}, "one ASCII character that numbers"),
        ({"delimiter": "\n"}, "one ASCII character that numbers"),
        ({"delimiter": '"'}, "one ASCII character that numbers"),
        ({"skip_header": -1}, "skip_header must be at least 0"),
        ({"prefetch_buffer": -1}, "prefetch_buffer"),
        ({"last_batch_handle": "drop"}, "'pad', 'discard' or 'roll_over'"),
        ({"round_batch": 2}, "round_batch must be True or False"),
    ],
    ids=str,
)
def test_options_that_cannot_be(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        mx.io.CSVIter(**{"data_csv": DATA_CSV, "data_shape": (6,), "batch_size": 2, **options})


def test_calls_that_cannot_be() -> None:
    with pytest.raises(TypeError, match=r"CSVIter can only accept keyword arguments.*data_csv="):
        mx.io.CSVIter(DATA_CSV, (6,), 2)  # type: ignore[misc]
    with pytest.raises(TypeError, match="no argument 'data_cvs'; did you mean data_csv"):
        mx.io.CSVIter(data_cvs=DATA_CSV, data_shape=(6,), batch_size=2)  # type: ignore[call-arg]
    if not mx.num_gpus():
        with pytest.raises(ContextError):
            mx.io.CSVIter(data_csv=DATA_CSV, data_shape=(6,), batch_size=2, ctx="gpu")


def test_batches_too_large_for_the_file() -> None:
    call = dict(data_csv=DATA_CSV, data_shape=(6,))  # 7 rows
    for size, handle, text in (
        (8, "discard", "never full with 7 rows"),
        (8, "roll_over", "never full with 7 rows"),
        (15, None, "there are 7"),
    ):
        with (
            mx.io.CSVIter(**call, batch_size=size, last_batch_handle=handle) as iterator,
            pytest.raises(ArgumentError, match=text),
        ):
            iterator.next()
    with mx.io.CSVIter(**call, batch_size=14) as iterator:
        assert iterator.next().pad == 7
    with mx.io.CSVIter(**call, batch_size=17, round_batch=False) as iterator:
        batch = iterator.next()
        assert batch.pad == 10 and batch.index.tolist() == [*range(7), *range(7), *range(3)]


@pytest.mark.parametrize("block", [16, 40, 1000])
def test_blocks_do_not_show(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpuio.io.text.files.BLOCK", block)
    path = tmp_path / "x.csv"
    table = np.arange(90).reshape(30, 3)
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in table.tolist()))
    assert rows_of(path) == table.tolist()
    with mx.io.CSVIter(data_csv=path, data_shape=(3,), batch_size=7) as iterator:
        states, seen = [], []
        for _ in range(12):
            states.append(iterator.state_dict())
            seen += trace(iterator, 1)
        for number in (3, 9, 0, 5):
            iterator.load_state_dict(states[number])
            assert trace(iterator, 3) == seen[number : number + 3]


MEMORY = """
import resource, sys
import numpy as np
import gpuio as mx
with mx.io.CSVIter(data_csv=sys.argv[1], data_shape=(50,), batch_size=256) as iterator:
    iterator.next()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = sum(256 - batch.pad for batch in iterator) + 256
    print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    row = ",".join(["0.123456789"] * 50) + "\n"
    grown = {}
    for copies in (60_000, 240_000):  # 36 and 144 MB
        path = tmp_path / "x.csv"
        path.write_text(row * copies)
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(path)],
            capture_output=True,
            text=True,
            timeout=100,
            env={**os.environ, "POLARS_MAX_THREADS": "2"},
        )
        rows, grown[copies] = map(int, done.stdout.split())
        assert rows == copies, done.stderr
        path.unlink()
    # kilobytes; the larger file has 108 MB more of text and 36 MB more of numbers
    assert grown[240_000] - grown[60_000] < 30_000, grown


# Prints how many bytes of memory the error of a file takes.
MEASURED = """
import resource, sys
import polars  # so much that any CSV file takes
import gpuio as mx
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, -1))
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    mx.io.CSVIter(data_csv=sys.argv[1], data_shape=(1,), batch_size=1)
except mx.errors.DataFileError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used, error)
"""


def test_a_long_line_takes_little_memory(tmp_path: Path) -> None:
    """Polars makes a column for each field of the first line; of 30 million it aborts."""
    path = tmp_path / "long.csv"
    path.write_bytes(b"1," * 10**7 + b"1\n")
    script = [sys.executable, "-c", MEASURED, str(path)]
    child = subprocess.run(script, capture_output=True, text=True)
    assert "line 1: the line has more than 1048640 bytes" in child.stdout, child.stderr
    assert int(child.stdout.split()[0]) < 200_000  # KiB


def test_a_very_wide_file(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    values = np.arange(2 * 10**5, dtype=np.int64) * 10**12
    path.write_text(",".join(map(str, values.tolist())) + "\n")
    options = {"data_csv": path, "batch_size": 1, "dtype": "int64"}
    with mx.io.CSVIter(data_shape=len(values), **options) as iterator:
        np.testing.assert_array_equal(iterator.next().data[0].asnumpy(), [values])
    with pytest.raises(DataFileError, match="line 1: 200000 fields, expected 199998"):
        mx.io.CSVIter(data_shape=len(values) - 2, **options)


def test_options_without_effect(caplog: pytest.LogCaptureFixture) -> None:
    call = dict(data_csv=DATA_CSV, data_shape=(6,), batch_size=2)
    with caplog.at_level("INFO", "gpuio"):
        mx.io.CSVIter(**call).close()
        assert not caplog.records
        mx.io.CSVIter(
            **call, silent=True, verbose=0, preprocess_threads=4, shuffle=False, seed=3,
            num_parts=1, part_index=0,
        ).close()  # fmt: skip
    (record,) = caplog.records
    assert record.getMessage().count("has no effect because") == 7
    for options, text in (
        ({"shuffle": True}, "NDArrayIter shuffles"),
        ({"num_parts": 2}, "each process reads the files"),
        ({"part_index": 1}, "each process reads the files"),
    ):
        with pytest.raises(UnsupportedError, match=text):
            mx.io.CSVIter(**call, **options)
