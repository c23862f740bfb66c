"""CSV text to arrays, a block of whole lines at a time.

Polars reads the numbers. It fills what is missing with nulls and joins lines at an open quote, so
the one is looked for afterwards and the other before. What it refuses is read a second time with
blank lines, white space and delimiters at line ends taken away, and after that field by field: that
says what is wrong, and is what defines the accepted syntax.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gpuio.io.text.bad_line import BadLine
from gpuio.loading.stream import ForkGuard

if TYPE_CHECKING:
    import polars as pl

# The names of the dtypes in Polars.
NAMES = {"float32": "Float32", "float64": "Float64", "int32": "Int32", "int64": "Int64"}

# From so many columns on, a table with a Polars column for each is slower than one long column.
WIDE = 2000

FLOAT = re.compile(
    r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf|infinity)", re.ASCII | re.IGNORECASE
)
INTEGER = re.compile(r"([+-]?)(?:0x([\da-f]+)|(\d+))", re.ASCII | re.IGNORECASE)

WHITE = " \t\r"

FORKED = (
    "text files are read with Polars, whose threads a fork does not take along: start processes "
    "with the method 'spawn' or 'forkserver', or open no text file before the fork"
)

# The longest piece of a file that a message repeats.
SHOWN = 40


class CsvParser:
    """Parses blocks of CSV text with a fixed number of columns.

    Fields are decimal numbers, alone or in double quotes, with white space around them: with a sign
    or without, for floats also with a fraction, an exponent, or ``nan``, ``inf``, ``infinity`` in
    any case, for integers also hexadecimal (``0x10``). Each float is the nearest one of `dtype`;
    what is too large becomes infinite. Blank lines, a delimiter at the end of a line, CRLF and a
    missing last line end are accepted. With " " as delimiter, a run of spaces is one delimiter. A
    delimiter delimits in quotes, too.

    Parameters
    ----------
    columns : fields of a line
    dtype : float32, float64, int32 or int64
    delimiter : one ASCII character
    """

    def __init__(self, columns: int, dtype: np.dtype[Any], delimiter: str = ",") -> None:
        self.columns = columns
        self.dtype = np.dtype(dtype)
        self.delimiter = delimiter
        # White space that may stand beside a field, and what a blank line may consist of.
        self._padding = WHITE.replace(delimiter, "")
        self._blank = WHITE if delimiter == " " else self._padding
        # Whether the last block had to be tidied: then the next one will have to be, most likely.
        self._untidy = False

    def __call__(self, block: bytes) -> NDArray[Any]:
        """The numbers of a block of lines.

        Returns
        -------
        dtype (rows, columns), C-contiguous

        Raises
        ------
        BadLine : a line has another number of fields, or a field is no number of the dtype.
        """
        if block.isascii():
            bare = _without_blank_ends(block)
            rows = None if self._untidy else self._read(bare)
            if rows is not None:
                return rows
            text = self._tidied(bare)
            rows = self._read(text)
            if rows is not None:
                self._untidy = len(text) <= len(bare.rstrip(b"\r\n"))
                return rows
        return self._field_by_field(block)

    def _read(self, text: bytes) -> NDArray[Any] | None:
        """The numbers, if the text is tidy."""
        if not text:
            return np.empty((0, self.columns), self.dtype)
        if b'"' in text and not _well_quoted(text, (self.delimiter + "\r\n").encode()):
            return None
        if self.columns > WIDE:
            return self._read_wide(text)
        table = read_table(text, [self.dtype] * self.columns, self.delimiter)
        if table is None:
            return None
        found: NDArray[Any] = table.to_numpy(order="c", writable=True)
        return found

    def _read_wide(self, text: bytes) -> NDArray[Any] | None:
        """The same, by way of a text with one field in each line."""
        delimiter = self.delimiter.encode()
        lines = _lines(text)
        if any(line.count(delimiter) != self.columns - 1 for line in lines):
            return None
        fields = read_column(text.translate(bytes.maketrans(delimiter, b"\n")), self.dtype)
        if fields is None or len(fields) != len(lines) * self.columns:
            return None
        return fields.reshape(len(lines), self.columns)

    def _tidied(self, block: bytes) -> bytes:
        """The block without what may stand between fields and lines."""
        delimiter = self.delimiter.encode()
        text = _stripped(block, self._padding.encode(), delimiter + b"\n")
        if delimiter == b" ":
            text = _single_spaced(text)
        if b"\n\n" in text:
            text = re.sub(rb"\n\n+", b"\n", text)
        # Blank lines first: a line that is nothing but a delimiter is not blank.
        text = text.strip(b"\n")
        return (text + b"\n").replace(delimiter + b"\n", b"\n") if text else text

    def _field_by_field(self, block: bytes) -> NDArray[Any]:
        """Any block's numbers, slowly."""
        spell = partial(_spelled_integer, self.dtype) if self.dtype.kind == "i" else spelled_float
        fields: list[str] = []
        for number, line in text_lines(block):
            if not line.strip(self._blank):
                continue
            row = self._split(line)
            if len(row) != self.columns:
                raise BadLine(number, None, self._miscounted(row))
            for column, field in enumerate(row):
                try:
                    fields.append(spell(field))
                except ValueError as error:
                    raise BadLine(number, column, str(error)) from None
        if not fields:
            return np.empty((0, self.columns), self.dtype)
        found = read_column("\n".join(fields).encode(), self.dtype)
        assert found is not None, "a number was accepted that Polars cannot read"
        return found.reshape(-1, self.columns)

    def _split(self, line: str) -> list[str]:
        """A line's fields, without quotes and white space."""
        row = [field.strip(self._padding) for field in line.split(self.delimiter)]
        if self.delimiter == " ":
            row = [field for field in row if field]
        row = [_unquoted(field) for field in row]
        if len(row) == self.columns + 1 and not row[-1]:
            row.pop()
        return row

    def _miscounted(self, row: list[str]) -> str:
        """What is wrong with a row that has too many fields or too few."""
        reason = f"{len(row)} field{'s' * (len(row) != 1)}, expected {self.columns}"
        if len(row) == 1:
            for other in ",;\t| ":
                if len(row[0].split(other)) == self.columns:
                    return f"{reason}; the delimiter is {self.delimiter!r}, not {other!r}"
        return reason


def read_table(
    text: bytes, types: Sequence[np.dtype[Any]], separator: str, quote: str | None = '"'
) -> pl.DataFrame | None:
    """A text's columns, if each line has one number for each of them, and no white space."""
    import polars as pl

    _home_of_polars().check(FORKED)
    schema = {str(number): getattr(pl, NAMES[kind.name]) for number, kind in enumerate(types)}
    try:
        table = pl.read_csv(
            text, has_header=False, schema=schema, separator=separator, quote_char=quote
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None
    if any(column.null_count() for column in table.iter_columns()):
        return None
    return table


@cache
def _home_of_polars() -> ForkGuard:
    """The process that has Polars' threads, which are made when it is first used."""
    return ForkGuard()


def read_column(text: bytes, dtype: np.dtype[Any], quote: str | None = '"') -> NDArray[Any] | None:
    """The numbers of a text with one in each line, if there is nothing else: dtype (lines,)."""
    table = read_table(text, [dtype], ",", quote)
    return None if table is None else table.to_series().to_numpy(writable=True)


def text_lines(block: bytes) -> Iterator[tuple[int, str]]:
    """The lines of a block and their numbers; what is not UTF-8 is shown escaped."""
    for number, line in enumerate(_lines(block)):
        yield number, line.decode("utf-8", "backslashreplace")


def _lines(text: bytes) -> list[bytes]:
    return text.removesuffix(b"\n").split(b"\n")


def _without_blank_ends(text: bytes) -> bytes:
    """A text without blank lines at its beginning and end: frequent, and cheap to take away."""
    if text.startswith((b"\n", b"\r\n")) or text.endswith((b"\n\n", b"\n\r\n")):
        return text.strip(b"\r\n")
    return text


def _stripped(text: bytes, padding: bytes, separators: bytes) -> bytes:
    """A text without the white space beside separators and at its ends."""
    white = among(text, padding)
    if not white.any():
        return text
    code = np.frombuffer(text, np.uint8)
    # Of each run of white space one remains, so that only neighbours need be looked at.
    follows = white[1:] & white[:-1]
    if follows.any():
        keep = np.append(True, ~follows)
        code, white = code[keep], white[keep]
    edge = among(code.tobytes(), separators)
    inside = white.copy()
    inside[1:] &= ~edge[:-1]
    inside[:-1] &= ~edge[1:]
    inside[[0, -1]] = False
    return code[inside | ~white].tobytes()


def _single_spaced(text: bytes) -> bytes:
    """A text with one space for each run, and none at the ends of lines."""
    space, edge = among(text, b" "), among(text, b" \n")
    keep = ~space
    keep[1:] |= ~edge[:-1]
    return np.frombuffer(text, np.uint8)[keep].tobytes().replace(b" \n", b"\n").removesuffix(b" ")


def among(text: bytes, wanted: bytes) -> NDArray[np.bool_]:
    """Which bytes of a text are among the wanted: bool (bytes,), read-only."""
    table = bytes(byte in wanted for byte in range(256))
    return np.frombuffer(text.translate(table), np.bool_)


def _well_quoted(text: bytes, edges: bytes) -> bool:
    """Whether quotes enclose whole fields, without an edge (delimiter or line end) in them.

    With others Polars joins lines or goes astray; it even panics at a field that is a single quote.
    """
    text = b"\n" + text + b"\n"
    edge, quote = among(text, edges), among(text, b'"')
    at = np.flatnonzero(quote)
    # The same, counting edges and quotes only.
    place = np.flatnonzero(quote[edge | quote])
    return len(at) % 2 == 0 and bool(
        (place[1::2] == place[::2] + 1).all()
        and edge[at[::2] - 1].all()
        and edge[at[1::2] + 1].all()
    )


def _unquoted(field: str) -> str:
    quoted = len(field) > 1 and field[0] == field[-1] == '"'
    return field[1:-1].strip(WHITE) if quoted else field


def spelled_float(field: str) -> str:
    """A number as Polars reads it.

    Raises
    ------
    ValueError : it is none.
    """
    if not FLOAT.fullmatch(field):
        raise ValueError(no_number(field, "a number"))
    return field


def _spelled_integer(dtype: np.dtype[Any], field: str) -> str:
    """An integer as Polars reads it.

    Raises
    ------
    ValueError : it is none, or out of the dtype's range.
    """
    match = INTEGER.fullmatch(field)
    if not match:
        raise ValueError(no_number(field, "an integer"))
    sign, hexadecimal, decimal = match.groups()
    digits = (hexadecimal or decimal).lstrip("0")
    limits = np.iinfo(dtype)
    # No integer of the dtypes has 20 digits, and Python refuses to read some thousands of them.
    value = int(digits or "0", 16 if hexadecimal else 10) if len(digits) < 20 else limits.max + 1
    value = -value if sign == "-" else value
    if len(digits) >= 20 or not limits.min <= value <= limits.max:
        raise ValueError(
            f"{shown(field)} is out of range for {dtype}: {limits.min} to {limits.max}"
        )
    return str(value)


def no_number(field: str, expected: str) -> str:
    """What is wrong with a field that is not what was expected."""
    if not field:
        return f"an empty field, expected {expected}"
    return f"{shown(field)} is not {expected}"


def shown(field: str) -> str:
    """A piece of a file for a message."""
    return repr(field) if len(field) <= SHOWN else f"{field[:SHOWN]!r}…"
