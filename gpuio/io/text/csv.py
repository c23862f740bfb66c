"""CSV text to arrays, a block of whole lines at a time.

Polars parses the numbers. It replaces missing fields by nulls, and joins lines at an open quote, so
the former are checked afterwards and the latter before. A block that it rejects is parsed again
without blank lines, white space and trailing delimiters, and then field by field, which finds the
error, and defines the accepted syntax.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.io.text.bad_line import BadLine
from gpuio.loading.fork_guard import ForkGuard
from gpuio.nd.types import DType, HostArray
from gpuio.storage.remote.calls import interruptible

if TYPE_CHECKING:
    import polars as pl

# Polars' names of the dtypes.
POLARS_NAMES = {"float32": "Float32", "float64": "Float64", "int32": "Int32", "int64": "Int64"}

# Tables with more columns are read as one long column, which Polars does faster.
WIDE = 2000

FLOAT = re.compile(
    r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf|infinity)", re.ASCII | re.IGNORECASE
)
INTEGER = re.compile(r"([+-]?)(?:0x([\da-f]+)|(\d+))", re.ASCII | re.IGNORECASE)

WHITE = " \t\r"

FORKED = (
    "text files are read with Polars, whose threads do not survive a fork: start processes with "
    "the method 'spawn' or 'forkserver', or open no text file before the fork"
)

# The longest excerpt of a file in a message, in characters.
EXCERPT = 40


class CsvParser:
    """Parses blocks of CSV text with a fixed number of columns.

    Fields are decimal numbers, optionally signed, in double quotes or surrounded by white space.
    Floats may have a fraction and an exponent, or be ``nan``, ``inf`` or ``infinity`` in any case;
    integers may be hexadecimal (``0x10``). A float becomes the nearest value of `dtype`, infinity
    on overflow. Blank lines, a trailing delimiter, CRLF and a missing last line end are accepted.
    With " " as delimiter, a run of spaces is one delimiter. A delimiter within quotes also counts.

    Parameters
    ----------
    columns : fields per line
    dtype : float32, float64, int32 or int64
    delimiter : one ASCII character
    """

    def __init__(self, columns: int, dtype: DType, delimiter: str = ",") -> None:
        self.columns = columns
        self.dtype = np.dtype(dtype)
        self.delimiter = delimiter
        # White space that may surround a field, and that a blank line may consist of.
        self._padding = WHITE.replace(delimiter, "")
        self._blank = WHITE if delimiter == " " else self._padding
        # Whether the last block had to be normalized: then the next one probably must be, too.
        self._irregular = False

    def __call__(self, block: bytes) -> HostArray:
        """Parse a block of lines.

        Returns
        -------
        dtype (rows, columns), C-contiguous

        Raises
        ------
        BadLine : a line has another number of fields, or a field is not a number of the dtype.
        """
        if block.isascii():
            bare = _without_blank_ends(block)
            rows = None if self._irregular else self._parse_regular(bare)
            if rows is not None:
                return rows
            text = self._normalize(bare)
            rows = self._parse_regular(text)
            if rows is not None:
                self._irregular = len(text) <= len(bare.rstrip(b"\r\n"))
                return rows
        return self._parse_fields(block)

    def _parse_regular(self, text: bytes) -> HostArray | None:
        """Parse text without irregularities; None if it has any."""
        if not text:
            return np.empty((0, self.columns), self.dtype)
        if b'"' in text and not _well_quoted(text, (self.delimiter + "\r\n").encode()):
            return None
        if self.columns > WIDE:
            return self._parse_wide(text)
        table = read_table(text, [self.dtype] * self.columns, self.delimiter)
        if table is None:
            return None
        rows: HostArray = table.to_numpy(order="c", writable=True)
        return rows

    def _parse_wide(self, text: bytes) -> HostArray | None:
        """The same with one field per line."""
        delimiter = self.delimiter.encode()
        lines = _lines(text)
        if any(line.count(delimiter) != self.columns - 1 for line in lines):
            return None
        fields = read_column(text.translate(bytes.maketrans(delimiter, b"\n")), self.dtype)
        if fields is None or len(fields) != len(lines) * self.columns:
            return None
        return fields.reshape(len(lines), self.columns)

    def _normalize(self, block: bytes) -> bytes:
        """Remove white space, blank lines and trailing delimiters."""
        delimiter = self.delimiter.encode()
        text = _strip_fields(block, self._padding.encode(), delimiter + b"\n")
        if delimiter == b" ":
            text = _merge_spaces(text)
        if b"\n\n" in text:
            text = re.sub(rb"\n\n+", b"\n", text)
        # Blank lines first: a line that consists of a delimiter is not blank.
        text = text.strip(b"\n")
        return (text + b"\n").replace(delimiter + b"\n", b"\n") if text else text

    def _parse_fields(self, block: bytes) -> HostArray:
        """Parse any valid block, slowly; find the error in an invalid one."""
        normalize = (
            partial(_normalize_integer, self.dtype) if self.dtype.kind == "i" else check_float
        )
        fields: list[str] = []
        for number, line in text_lines(block):
            if not line.strip(self._blank):
                continue
            count, row = self._split(line)
            if count != self.columns:
                raise BadLine(number, None, self._wrong_count(count, row))
            for column, field in enumerate(row):
                try:
                    fields.append(normalize(field))
                except ValueError as error:
                    raise BadLine(number, column, str(error)) from None
        if not fields:
            return np.empty((0, self.columns), self.dtype)
        values = read_column("\n".join(fields).encode(), self.dtype)
        assert values is not None, "a number was accepted that Polars cannot parse"
        return values.reshape(-1, self.columns)

    def _split(self, line: str) -> tuple[int, list[str]]:
        """Split a line into fields without quotes and white space.

        Returns
        -------
        The number of fields, and the fields; of too many, only the first ones
        """
        if self.delimiter == " ":
            runs = re.compile(f"[{WHITE}]+")
            line = runs.sub(lambda run: " " if " " in run[0] else run[0], line).strip(WHITE)
        count = line.count(self.delimiter) + 1
        fields = line.split(self.delimiter, self.columns + 1)
        row = [_unquote(field.strip(self._padding)) for field in fields]
        if count == self.columns + 1 and not row[-1]:
            row.pop()
            count -= 1
        return count, row

    def _wrong_count(self, count: int, row: list[str]) -> str:
        """Message for a row with too many or too few fields."""
        reason = f"{count} field{'s' * (count != 1)}, expected {self.columns}"
        if count == 1:
            for other in ",;\t| ":
                if row[0].count(other) == self.columns - 1:
                    return f"{reason}; the delimiter is {self.delimiter!r}, not {other!r}"
        return reason


def read_table(
    text: bytes, dtypes: Sequence[DType], separator: str, quote: str | None = '"'
) -> pl.DataFrame | None:
    """Parse text that has one number per column in each line, without white space; else None."""
    import polars as pl

    _polars_fork_guard().check(FORKED)
    # Polars makes a column for each field of the first line: hundreds of bytes, and of millions of
    # fields it ends the process.
    if text.count(separator.encode(), 0, _line_end(text)) != len(dtypes) - 1:
        return None
    schema = {
        str(number): getattr(pl, POLARS_NAMES[dtype.name]) for number, dtype in enumerate(dtypes)
    }
    read = partial(pl.read_csv, has_header=False, schema=schema, separator=separator)
    try:
        # What a signal handler raises while Polars calls Python becomes an error of Polars.
        table = interruptible(partial(read, text, quote_char=quote))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None
    if any(column.null_count() for column in table.iter_columns()):
        return None
    return table


@cache
def _polars_fork_guard() -> ForkGuard:
    """The process with Polars' threads, which start when it is first used.

    Raises
    ------
    ArgumentError : the system refuses them; Polars does not try again in this process.
    """
    import polars as pl

    try:
        interruptible(partial(pl.read_csv, b"0", has_header=False))  # as in `read_table`
    except pl.exceptions.PanicException as error:
        raise ArgumentError(
            "the system refused a thread of Polars, which parses text; start the process again "
            "with fewer of them (POLARS_MAX_THREADS=1) or a higher limit (ulimit -u)"
        ) from error
    return ForkGuard()


def read_column(text: bytes, dtype: DType, quote: str | None = '"') -> HostArray | None:
    """Parse text with one number per line, dtype (lines,); None if there is anything else."""
    table = read_table(text, [dtype], ",", quote)
    return None if table is None else table.to_series().to_numpy(writable=True)


def text_lines(block: bytes) -> Iterator[tuple[int, str]]:
    """The lines of a block with their indices; invalid UTF-8 is escaped."""
    for number, line in enumerate(_lines(block)):
        yield number, line.decode("utf-8", "backslashreplace")


def _line_end(text: bytes) -> int:
    """Where the first line ends."""
    end = text.find(b"\n")
    return len(text) if end < 0 else end


def _lines(text: bytes) -> list[bytes]:
    return text.removesuffix(b"\n").split(b"\n")


def _without_blank_ends(text: bytes) -> bytes:
    """Remove blank lines at the beginning and end: frequent, and cheap to remove."""
    if text.startswith((b"\n", b"\r\n")) or text.endswith((b"\n\n", b"\n\r\n")):
        return text.strip(b"\r\n")
    return text


def _strip_fields(text: bytes, padding: bytes, separators: bytes) -> bytes:
    """Remove white space next to separators and at the ends."""
    white = among(text, padding)
    if not white.any():
        return text
    code = np.frombuffer(text, np.uint8)
    # Reduce each run of white space to one character, so that only neighbors need checking.
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


def _merge_spaces(text: bytes) -> bytes:
    """Reduce runs of spaces to one, and remove those at line ends."""
    space, edge = among(text, b" "), among(text, b" \n")
    keep = ~space
    keep[1:] |= ~edge[:-1]
    return np.frombuffer(text, np.uint8)[keep].tobytes().replace(b" \n", b"\n").removesuffix(b" ")


def among(text: bytes, wanted: bytes) -> NDArray[np.bool_]:
    """Mask of the bytes that are in `wanted`: bool (bytes,), read-only."""
    table = bytes(byte in wanted for byte in range(256))
    return np.frombuffer(text.translate(table), np.bool_)


def _well_quoted(text: bytes, edges: bytes) -> bool:
    """Whether quotes enclose whole fields that contain no edge (delimiter or line end).

    With other quotes Polars joins lines or misparses; at a field that is a single quote it panics.
    """
    text = b"\n" + text + b"\n"
    edge, quote = among(text, edges), among(text, b'"')
    position = np.flatnonzero(quote)
    # The same, counting edges and quotes only.
    rank = np.flatnonzero(quote[edge | quote])
    return len(position) % 2 == 0 and bool(
        (rank[1::2] == rank[::2] + 1).all()
        and edge[position[::2] - 1].all()
        and edge[position[1::2] + 1].all()
    )


def _unquote(field: str) -> str:
    quoted = len(field) > 1 and field[0] == field[-1] == '"'
    return field[1:-1].strip(WHITE) if quoted else field


def check_float(field: str) -> str:
    """The field, if it is a number, which Polars can then parse.

    Raises
    ------
    ValueError : it is not a number.
    """
    if not FLOAT.fullmatch(field):
        raise ValueError(not_a_number(field, "a number"))
    return field


def _normalize_integer(dtype: DType, field: str) -> str:
    """An integer in the notation that Polars can parse.

    Raises
    ------
    ValueError : it is not an integer, or out of the dtype's range.
    """
    match = INTEGER.fullmatch(field)
    if not match:
        raise ValueError(not_a_number(field, "an integer"))
    sign, hexadecimal, decimal = match.groups()
    digits = (hexadecimal or decimal).lstrip("0")
    limits = np.iinfo(dtype)
    # No integer of the dtypes has 20 digits, and Python refuses to parse thousands of digits.
    value = int(digits or "0", 16 if hexadecimal else 10) if len(digits) < 20 else limits.max + 1
    value = -value if sign == "-" else value
    if len(digits) >= 20 or not limits.min <= value <= limits.max:
        raise ValueError(
            f"{excerpt(field)} is out of range for {dtype}: {limits.min} to {limits.max}"
        )
    return str(value)


def not_a_number(field: str, expected: str) -> str:
    """Message for a field that is not what was expected."""
    if not field:
        return f"an empty field, expected {expected}"
    return f"{excerpt(field)} is not {expected}"


def excerpt(field: str) -> str:
    """A part of a file for a message, shortened to EXCERPT characters."""
    return repr(field) if len(field) <= EXCERPT else f"{field[:EXCERPT]!r}…"
