"""CSV blocks: every spelling of a table gives the table, every fault is named at its place."""

import os
import signal
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gpuio.io.text.bad_line import BadLine
from gpuio.io.text.csv import WIDE, CsvParser, read_column

DATA = Path(__file__).parents[2] / "golden" / "data"
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)
DTYPES = [FLOAT32, FLOAT64, INT32, INT64]


def parse(text: str | bytes, columns: int, dtype: Any = FLOAT32, delimiter: str = ",") -> Any:
    block = text if isinstance(text, bytes) else text.encode()
    return CsvParser(columns, np.dtype(dtype), delimiter)(block)


def fault(text: str | bytes, columns: int, dtype: Any = FLOAT32, delimiter: str = ",") -> Any:
    with pytest.raises(BadLine) as caught:
        parse(text, columns, dtype, delimiter)
    return caught.value.line, caught.value.column, caught.value.reason


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert found.flags.c_contiguous
    assert found.flags.writeable
    np.testing.assert_array_equal(found, expected)


@st.composite
def spelled_number(draw: st.DrawFn, dtype: np.dtype) -> tuple[Any, str]:
    """A number of the dtype, and one of its spellings."""
    if dtype.kind == "i":
        limits = np.iinfo(dtype)
        value = draw(st.integers(int(limits.min), int(limits.max)))
        sign = "-" if value < 0 else draw(st.sampled_from(["", "+"]))
        digits = draw(st.sampled_from(["{}", "00{}", "0x{:x}", "0x0{:X}"])).format(abs(value))
        text = sign + digits
    else:
        value = dtype.type(draw(st.floats(width=dtype.itemsize * 8)))
        text = draw(
            st.sampled_from([str(value), f"{value:.17g}", f"{value:.17E}", f"{value!s:>9}"])
        )
        text = draw(st.sampled_from([text, text.upper(), text.replace("inf", "Infinity")]))
    quoted = draw(st.sampled_from(["{}", "{}", '"{}"', '"\r{}\r"']))
    return value, quoted.format(text.strip())


@st.composite
def spelled_table(draw: st.DrawFn) -> tuple[np.ndarray, str, list[int], list[list[str]], str]:
    """A table, its delimiter, and for each row its line in the text, its fields, and line ends."""
    dtype = draw(st.sampled_from(DTYPES))
    columns = draw(st.integers(1, 4))
    delimiter = draw(st.sampled_from([",", ";", "\t", " "]))
    rows = draw(st.lists(st.lists(spelled_number(dtype), min_size=columns, max_size=columns)))
    values = [[value for value, _ in row] for row in rows]
    table = np.array(values, dtype).reshape(len(rows), columns)
    pads = st.sampled_from(["", "", " ", "  "] if delimiter == "\t" else ["", "", " ", "\t", " \t"])
    lines, fields = [], []
    line = 0
    for row in rows:
        line += draw(st.sampled_from([0, 0, 0, 1, 2]))
        lines.append(line)
        line += 1
        fields.append([draw(pads) + text + draw(pads) for _, text in row])
    return table, delimiter, lines, fields, draw(st.sampled_from(["\n", "\r\n"]))


def written(
    fields: list[list[str]], lines: list[int], delimiter: str, line_end: str, last: str = ""
) -> str:
    text = [""] * (max(lines, default=-1) + 1)
    for line, row in zip(lines, fields, strict=True):
        text[line] = delimiter.join(row) + last
    return line_end.join(text)


@given(
    spelled_table(),
    st.sampled_from(["", "\n", "\r\n", "\n\n", "\n  \n"]),
    st.booleans(),
    st.booleans(),
)
def test_every_spelling_of_a_table_gives_the_table(
    spelled: Any, end: str, trailing: bool, again: bool
) -> None:
    table, delimiter, lines, fields, line_end = spelled
    last = delimiter if trailing else ""
    block = (written(fields, lines, delimiter, line_end, last) + end).encode()
    parser = CsvParser(table.shape[1], table.dtype, delimiter)
    if again:  # a parser may begin with tidying, after a block that needed it
        parser(b"\n".join([delimiter.join("1" * table.shape[1]).encode() + b" "] * 2))
    assert_same(parser(block), table)


@given(spelled_table(), st.data())
def test_a_fault_is_named_at_its_place(spelled: Any, data: st.DataObject) -> None:
    table, delimiter, lines, fields, line_end = spelled
    assume(len(table))
    row = data.draw(st.integers(0, len(table) - 1))
    column = data.draw(st.integers(0, table.shape[1] - 1))
    bad = data.draw(
        st.sampled_from(
            ["abc", "1abc", "1_0", "--1", "1e", ".", "0x", "\0", "1\0", "é", '"1', '1"']
        )
    )
    fields[row][column] = bad
    block = written(fields, lines, delimiter, line_end)
    kind = "an integer" if table.dtype.kind == "i" else "a number"
    line, at, reason = fault(block, table.shape[1], table.dtype, delimiter)
    assert (line, at) == (lines[row], column)
    assert reason == f"{bad!r} is not {kind}"


@given(spelled_table(), st.data())
def test_a_line_with_a_field_too_few_or_too_many_is_named(
    spelled: Any, data: st.DataObject
) -> None:
    table, delimiter, lines, fields, line_end = spelled
    columns = table.shape[1]
    assume(len(table))
    row = data.draw(st.integers(0, len(table) - 1))
    if columns > 1 and data.draw(st.booleans()):
        fields[row].pop()
    else:
        fields[row].append("1")
    count = len(fields[row])
    line, column, reason = fault(
        written(fields, lines, delimiter, line_end), columns, table.dtype, delimiter
    )
    assert (line, column) == (lines[row], None)
    assert reason == f"{count} field{'s' * (count != 1)}, expected {columns}"


@given(
    st.text(alphabet='0123456789+-.eEnaifINFty_x" \t\r\n,\0', max_size=40),
    st.integers(1, 3),
    st.sampled_from(DTYPES),
)
def test_the_syntax_does_not_depend_on_the_rest_of_the_block(
    text: str, columns: int, dtype: np.dtype
) -> None:
    """A last line that only the slow way can judge must change nothing else."""
    block = text.encode() + b"\n"
    odd = b",".join([b'"1 "'] * columns)
    try:
        expected = parse(block, columns, dtype)
    except BadLine as bad:
        assert fault(block + odd, columns, dtype)[:2] == (bad.line, bad.column)
    else:
        found = parse(block + odd, columns, dtype)
        assert_same(found, np.concatenate([expected, np.ones((1, columns), dtype)]))


@given(st.integers(0, 2**31 - 2**24), st.integers(-3, 3))
def test_a_float_is_the_nearest_one(bits: int, beside: int) -> None:
    """Also where rounding to float64 first would give another one: beside the middle of two."""
    below, above = np.array([bits, bits + 1], np.int32).view(np.float32)
    assume(np.isfinite(above))
    middle = (Fraction(float(below)) + Fraction(float(above))) / 2
    exact = middle * (1 + Fraction(beside, 10**30))
    text = exact_decimal(middle) if beside == 0 else scientific(exact)
    even = below if bits % 2 == 0 else above
    expected = even if beside == 0 else above if beside > 0 else below
    for spelling in (text, f'"{text} "'):
        assert parse(spelling, 1)[0, 0] == expected


def scientific(value: Fraction, digits: int = 60) -> str:
    """A positive number in decimal, to so many digits."""
    exponent = len(str(value.numerator)) - len(str(value.denominator))
    shift = digits - exponent
    scaled = value * 10**shift if shift >= 0 else value / 10**-shift
    return f"{round(scaled)}e{-shift}"


def exact_decimal(value: Fraction) -> str:
    """A fraction whose denominator is a power of two."""
    power = value.denominator.bit_length() - 1
    return f"{value.numerator * 5**power}e-{power}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("+1", 1),
        (".5", 0.5),
        ("5.", 5),
        ("-.5e1", -5),
        ("1E+2", 100),
        ("010", 10),
        ("1e50", np.inf),
        ("-1e50", -np.inf),
        ("1e-50", 0),
        ("9" * 400, np.inf),
        ("iNf", np.inf),
        ("-Infinity", -np.inf),
        ("+inf", np.inf),
        ("NaN", np.nan),
        ("-nan", np.nan),
        ('"1.5"', 1.5),
        ('" 1.5\t"', 1.5),
    ],
)
def test_a_float_has_many_spellings(text: str, value: float) -> None:
    assert_same(parse(f"1,{text}\n", 2), np.array([[1, value]], np.float32))
    assert_same(parse(f"1,{text} \n 0,0,", 2), np.array([[1, value], [0, 0]], np.float32))


@pytest.mark.parametrize(
    ("text", "value"),
    [("010", 10), ("-010", -10), ("0x10", 16), ("-0x1F", -31), ("+0X1f", 31), ("+5", 5), ("-0", 0)],
)
def test_an_integer_has_many_spellings(text: str, value: int) -> None:
    for dtype in (INT32, INT64):
        assert_same(parse(f"1,{text}\n", 2, dtype), np.array([[1, value]], dtype))


@pytest.mark.parametrize("dtype", [INT32, INT64], ids=str)
def test_integers_reach_to_the_limits_of_their_type(dtype: np.dtype) -> None:
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    assert_same(parse(f"{low},{high},{high:#x}", 3, dtype), np.array([[low, high, high]], dtype))
    for value in (low - 1, high + 1, 10**30, f"{high + 1:#x}", "9" * 5000):
        text = str(value)
        shown = repr(text) if len(text) <= 40 else f"{text[:40]!r}…"
        assert fault(f"1\n{text}", 1, dtype) == (
            1,
            0,
            f"{shown} is out of range for {dtype}: {low} to {high}",
        )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("1,2,3\n1,2\n", (1, None, "2 fields, expected 3")),
        ("1,2,3\n1\n", (1, None, "1 field, expected 3")),
        ("1,2\n1,2,3\n", (0, None, "2 fields, expected 3")),
        ("1,2,3\n\n1,2,3,4\n", (2, None, "4 fields, expected 3")),
        ("1,2,3\n1,2,3,,\n", (1, None, "5 fields, expected 3")),
        ("1,2,3\n1,2,", (1, 2, "an empty field, expected a number")),
        ("1,2,3\n1,,3\n", (1, 1, "an empty field, expected a number")),
        ("1,2,3\n ,2,3\n", (1, 0, "an empty field, expected a number")),
        ('1,2,3\n1,"",3\n', (1, 1, "an empty field, expected a number")),
        ("1,2,3\n,,\n", (1, 0, "an empty field, expected a number")),
        ("1,2,3\n1,NA,3\n", (1, 1, "'NA' is not a number")),
        ("a,b,c\n1,2,3\n", (0, 0, "'a' is not a number")),
        ("1,2,3\n1,2,3 4\n", (1, 2, "'3 4' is not a number")),
        ("1,2,3\n1,2,0x10\n", (1, 2, "'0x10' is not a number")),
        ("1,2,3\n1,2,3\0\n", (1, 2, r"'3\x00' is not a number")),
        ("1,2,3\n1,é,3\n", (1, 1, "'é' is not a number")),
        (b"1,2,3\n1,\xff,3\n", (1, 1, r"'\\xff' is not a number")),
        (
            "1,2,3\n1,2,\N{ARABIC-INDIC DIGIT ONE}\n",
            (1, 2, "'\N{ARABIC-INDIC DIGIT ONE}' is not a number"),
        ),
        ("1,2,3\n" + "x" * 99 + ",2,3", (1, 0, f"{'x' * 40!r}… is not a number")),
        ("1,2,3\r4,5,6\n", (0, None, "5 fields, expected 3")),
        ('1,2,3\n1,2,"3\n4,5,6\n', (1, 2, "'\"3' is not a number")),
        ('1,2,3\n1,2,"3\n4,5,6"\n', (1, 2, "'\"3' is not a number")),
        ('1,2,"\n3"\n4,5,6\n', (0, 2, "'\"' is not a number")),
        ('1,2,3\n1,2,"\n', (1, 2, "'\"' is not a number")),
        ('1,2,3\n1,"2"3,3\n', (1, 1, "'\"2\"3' is not a number")),
        ("1;2;3\n", (0, None, "1 field, expected 3; the delimiter is ',', not ';'")),
        ("1\t2\t3\n", (0, None, "1 field, expected 3; the delimiter is ',', not '\\t'")),
        ("1 2 3\n", (0, None, "1 field, expected 3; the delimiter is ',', not ' '")),
    ],
)
def test_what_is_refused_is_named(text: str, place: tuple[int, int | None, str]) -> None:
    assert fault(text, 3) == place


@pytest.mark.parametrize("text", ["1.7", "1.0", "1e3", "nan", "1abc", "0x", "0xg", "1_0"])
def test_an_integer_has_no_fraction(text: str) -> None:
    assert fault(f"1,2\n1,{text}\n", 2, INT32) == (1, 1, f"{text!r} is not an integer")


def test_a_single_delimiter_is_no_blank_line() -> None:
    empty = "an empty field, expected a number"
    assert fault("1\n,\n2\n", 1) == (1, 0, empty)
    assert fault("1\t2\n\t\n", 2, delimiter="\t") == (1, 0, empty)


@pytest.mark.parametrize("text", ["", "\n", "\r\n", " \n\t\n", "\n\n  "])
def test_a_block_without_rows_gives_none(text: str) -> None:
    assert_same(parse(text, 3), np.empty((0, 3), np.float32))


@pytest.mark.parametrize(
    "text", ["1 2\n3 4", " 1  2 \n3 4\n", "1   2\r\n3 4 \r\n", "1\t 2\n\n3  4", '"1"  "2"\n"\t3" 4']
)
def test_a_run_of_spaces_is_one_delimiter(text: str) -> None:
    assert_same(parse(text, 2, delimiter=" "), np.array([[1, 2], [3, 4]], np.float32))


def test_a_delimiter_in_quotes_delimits() -> None:
    """A quote that is never closed must not reach the next one."""
    for delimiter in ", \t":
        block = f'1{delimiter}"2{delimiter}"3"\n'
        assert fault(block, 3, delimiter=delimiter) == (0, 1, "'\"2' is not a number")
    assert fault('"1 "\n', 1, delimiter=" ")[:2] == (0, None)
    assert fault('"1,2",3\n', 2) == (0, None, "3 fields, expected 2")


def test_tabs_delimit_one_by_one() -> None:
    assert_same(parse("1\t 2 \n3\t4\t\n", 2, delimiter="\t"), np.float32([[1, 2], [3, 4]]))
    reason = "an empty field, expected a number"
    assert fault("1\t2\t3\n1\t\t3\n", 3, delimiter="\t") == (1, 1, reason)


@pytest.mark.parametrize("columns", [WIDE, WIDE + 1, 3 * WIDE])
def test_wide_tables(columns: int) -> None:
    table = np.arange(3 * columns, dtype=np.float32).reshape(3, columns) / 8
    lines = [",".join(map(str, row)) for row in table.tolist()]
    for text in ("\n".join(lines), " \r\n\n".join(lines), ",\n".join(lines) + ",\n"):
        assert_same(parse(text, columns), table)
    quoted = [line.replace(",", '","') for line in lines]
    assert_same(parse("\n".join(f'"{line}"' for line in quoted), columns), table)
    # Two lines whose counts of fields are wrong, but right together.
    short, rest = lines[1].rsplit(",", 1)
    wrong = "\n".join([lines[0], short, rest + "," + lines[2]])
    assert fault(wrong, columns) == (1, None, f"{columns - 1} fields, expected {columns}")
    assert fault("\n".join([lines[0], short + ",", lines[2]]), columns)[:2] == (1, columns - 1)


def test_an_accepted_block_does_not_change_what_the_next_one_gives() -> None:
    parser = CsvParser(2, FLOAT32)
    for text in (b"1,2\n", b"1 ,2,\n", b"1,2\n", b" 1,2\r\n\r\n", b'"1 ",2', b"1,2"):
        assert_same(parser(text), np.array([[1, 2]], np.float32))


@pytest.mark.parametrize(("name", "columns"), [("d", 6), ("l", 1), ("l2", 2)])
def test_the_files_of_the_golden_set(name: str, columns: int) -> None:
    text = (DATA / f"{name}.csv").read_bytes()
    rows = [[float(field) for field in line.split(b",")] for line in text.split()]
    assert_same(parse(text, columns), np.array(rows, np.float32))


@pytest.mark.parametrize(
    ("name", "text", "columns", "arrays"),
    [
        ("csv_False_7", "d.csv", 6, ["d0_0"]),
        ("csv_nolabel", "d.csv", 6, ["d0_0", "d0_1"]),
        ("csv_False_7", "l.csv", 1, ["l0_0"]),
        ("csv_multi", "l2.csv", 2, ["l0_0", "l0_1"]),
        ("csv_int32", "l.csv", 1, ["l0_0"]),
        ("csv_int64", "l.csv", 1, ["l0_0"]),
    ],
)
def test_the_values_are_mxnets(name: str, text: str, columns: int, arrays: list[str]) -> None:
    golden = np.load(DATA / f"{name}.npz")
    expected = np.concatenate([golden[array].reshape(-1, columns) for array in arrays])
    found = parse((DATA / text).read_bytes(), columns, expected.dtype)
    rows = min(len(found), len(expected))  # the last batch has rows more
    assert_same(found[:rows], expected[:rows])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_is_told_why_it_cannot_read(tmp_path: Path) -> None:
    """It would wait for ever for threads that it does not have."""
    (tmp_path / "x.csv").write_text("1\n2\n")
    code = f"""
import os
import gpuio as mx
def first():
    return mx.io.CSVIter(data_csv={str(tmp_path / "x.csv")!r}, data_shape=(1,), batch_size=1).next()
first()
child = os.fork()
if not child:
    try:
        first()
    except mx.MXNetError as error:
        os._exit(7 if "spawn" in str(error) else 1)
    os._exit(2)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
first()
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.returncode) == ("7\n", 0), done.stderr


def test_an_interrupt_is_raised_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polars makes other errors of what is raised while it calls Python."""
    assert read_column(b"1\n2\n", FLOAT32) is not None  # Polars has started
    may_end = threading.Event()

    def read_csv(*arguments: Any, **options: Any) -> Any:
        try:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            may_end.wait(60)
        except BaseException as error:
            raise TypeError("not a Polars data type") from error

    monkeypatch.setattr(pl, "read_csv", read_csv)
    with pytest.raises(KeyboardInterrupt):
        read_column(b"1\n2\n", FLOAT32)
    may_end.set()
