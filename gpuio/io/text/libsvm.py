"""LibSVM text to arrays, a block of whole lines at a time.

NumPy removes comments and surplus white space, separates the lines' labels from their entries and
counts the entries; then Polars parses a column of labels and a table of indices and values. A block
that it rejects is parsed token by token to find the error.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.io.text.bad_line import BadLine
from gpuio.io.text.csv import (
    WHITE,
    among,
    check_float,
    excerpt,
    not_a_number,
    read_column,
    read_table,
    text_lines,
)

INDEX = re.compile(r"[+-]?\d+", re.ASCII)

FLOAT32, INT32 = np.dtype(np.float32), np.dtype(np.int32)

COMMENT = re.compile(rb"#[^\n]*")

SEPARATORS = WHITE.encode() + b"\n"
TO_LINES = bytes.maketrans(SEPARATORS, b"\n" * len(SEPARATORS))
SPACE, LINE_END = b" \n"


class LibSVMBlock(NamedTuple):
    """Sparse rows.

    Attributes
    ----------
    label : float32 (rows,)
    indptr : int64 (rows + 1,), where each row begins in `indices` and `values`; the last is the end
    indices : int32 (entries,), the columns, in the order of the file
    values : float32 (entries,)
    """

    label: NDArray[np.float32]
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.float32]


def parse_libsvm(block: bytes, columns: int) -> LibSVMBlock:
    """Parse a block of lines ``label index:value index:value …``.

    Spaces and tabs separate, indices count from 0, values become the nearest float32. Blank lines
    and what follows a "#" are skipped. The entries of a row keep their order, and an index may
    occur twice, as in MXNet: SciPy and CuPy accept both, and sum duplicates.

    Parameters
    ----------
    block : lines; the last one may lack its line end
    columns : the exclusive upper bound of indices

    Raises
    ------
    BadLine : a line does not have this form, or an index is out of range.
    """
    rows = _parse(COMMENT.sub(b"", block) if b"#" in block else block, columns)
    if rows is None:
        normalized = "\n".join(_check_tokens(block, columns)).encode()
        rows = _parse(normalized, columns)
        assert rows is not None, "a line was accepted that Polars cannot parse"
    return rows


def _parse(text: bytes, columns: int) -> LibSVMBlock | None:
    """Parse text without comments; None if it has an error."""
    if not text.isascii():
        return None
    code, ends = _normalize(text)
    # Which token ends are line ends, and which are the ends of the labels before them.
    last = np.flatnonzero(code[ends] == LINE_END)
    if not len(last):
        return _block(np.empty(0, np.float32), last)
    first = np.append(0, last[:-1] + 1)
    in_label = _alternating(ends[first] + 1, ends[last] + 1)
    label = read_column(_one_per_line(code[in_label]), FLOAT32, quote=None)
    if label is None or len(label) != len(last):
        return None
    rows = _block(label, last - first)
    entries = rows.indptr[-1]
    if not entries:
        return rows
    table = read_table(_one_per_line(code[~in_label]), [INT32, FLOAT32], ":", quote=None)
    if table is None or table.height != entries:
        return None
    indices, values = (column.to_numpy(writable=True) for column in table.iter_columns())
    if indices.min() < 0 or indices.max() >= columns:
        return None
    return rows._replace(indices=indices, values=values)


def _normalize(text: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Text with one separator after each token, and the positions of the separators.

    Lines end with a line end; tokens within a line may be separated by any other white space.
    """
    if not text.endswith(b"\n"):
        text += b"\n"
    code = np.frombuffer(text, np.uint8)
    separates = among(text, SEPARATORS)
    ends = np.flatnonzero(separates)
    if ends[0] > 0 and not (separates[1:] & separates[:-1]).any():
        return code, ends
    # Reduce each run of separators to one: a line end, if the run contains one.
    first = np.append(0, np.flatnonzero(ends[1:] != ends[:-1] + 1) + 1)
    breaks = np.logical_or.reduceat(code[ends] == LINE_END, first)
    code = code.copy()
    code[ends[first]] = np.where(breaks, LINE_END, SPACE)
    separates = separates.copy()
    separates[ends[first]] = False
    if ends[0] == 0:
        separates[0] = True
    code = code[~separates]
    return code, np.flatnonzero(among(code.tobytes(), SEPARATORS))


def _block(label: NDArray[np.float32], counts: NDArray[np.int64]) -> LibSVMBlock:
    """Rows with these numbers of entries, but still without the entries."""
    indptr = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=indptr[1:])
    return LibSVMBlock(label, indptr, np.empty(0, np.int32), np.empty(0, np.float32))


def _alternating(odd: NDArray[np.int64], even: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mask that is true up to odd[0], false up to even[0], true up to odd[1], and so on."""
    stops = np.stack([odd, even], axis=1).ravel()
    return np.repeat(np.tile([True, False], len(odd)), np.diff(stops, prepend=0))


def _one_per_line(code: NDArray[np.uint8]) -> bytes:
    """Tokens with one per line."""
    return code.tobytes().translate(TO_LINES)


def _check_tokens(block: bytes, columns: int) -> list[str]:
    """The lines without comments and surplus white space.

    Raises
    ------
    BadLine : at the first error.
    """
    lines = []
    for number, line in text_lines(block):
        tokens = re.findall(f"[^{WHITE}]+", line.partition("#")[0])
        for column, token in enumerate(tokens):
            try:
                if column:
                    _check_entry(token, columns)
                else:
                    _check_label(token)
            except ValueError as error:
                raise BadLine(number, column, str(error)) from None
        if tokens:
            lines.append(" ".join(tokens))
    return lines


def _check_label(token: str) -> None:
    if ":" in token:
        raise ValueError(f"{excerpt(token)} is not a label; a line begins with one number")
    check_float(token)


def _check_entry(token: str, columns: int) -> None:
    """Raise a ValueError if an entry of a row is malformed."""
    index, *values = token.split(":")
    if len(values) != 1 or not (index and values[0]):
        raise ValueError(f"{excerpt(token)} is not of the form index:value")
    if not INDEX.fullmatch(index):
        raise ValueError(f"{excerpt(token)}: {not_a_number(index, 'an index')}")
    # Strip leading zeros first: Python refuses to parse thousands of digits.
    digits = index.lstrip("+-0")
    negative = index.startswith("-") and digits
    if negative or len(digits) > 10 or int(digits or "0") >= columns:
        raise ValueError(f"{excerpt(token)}: the index is out of range: 0 to {columns - 1}")
    try:
        check_float(values[0])
    except ValueError as error:
        raise ValueError(f"{excerpt(token)}: {error}") from None
