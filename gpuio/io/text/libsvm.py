"""LibSVM text to arrays, a block of whole lines at a time.

NumPy takes comments and surplus white space away, tells the lines' labels from their entries and
counts these; then Polars reads a column of labels and a table of indices and values. What it
refuses is looked at token by token, to say what is wrong.
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
    no_number,
    read_column,
    read_table,
    shown,
    spelled_float,
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
    indptr : int64 (rows + 1,), where each row begins in `indices` and `values`, and the last ends
    indices : int32 (entries,), the columns, in the order of the text
    values : float32 (entries,)
    """

    label: NDArray[np.float32]
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.float32]


def parse_libsvm(block: bytes, columns: int) -> LibSVMBlock:
    """The rows of a block of lines ``label index:value index:value …``.

    Spaces and tabs separate, indices count from 0, values are the nearest float32. Blank lines and
    what follows a "#" are passed over. The entries of a row keep the text's order, and an index may
    come twice, as in MXNet: SciPy and CuPy accept both, and add entries of the same place up.

    Parameters
    ----------
    block : lines; the last one may lack its line end
    columns : what indices must be less than

    Raises
    ------
    BadLine : a line does not have this form, or an index is out of range.
    """
    rows = _read(COMMENT.sub(b"", block) if b"#" in block else block, columns)
    if rows is None:
        tidy = "\n".join(_token_by_token(block, columns)).encode()
        rows = _read(tidy, columns)
        assert rows is not None, "a line was accepted that Polars cannot read"
    return rows


def _read(text: bytes, columns: int) -> LibSVMBlock | None:
    """The rows of a text without comments; None: it has a fault."""
    if not text.isascii():
        return None
    code, ends = _tidied(text)
    # Which ends of tokens are those of lines, and which those of the labels before them.
    last = np.flatnonzero(code[ends] == LINE_END)
    if not len(last):
        return _block(np.empty(0, np.float32), last)
    first = np.append(0, last[:-1] + 1)
    in_label = _alternating(ends[first] + 1, ends[last] + 1)
    label = read_column(_number_lines(code[in_label]), FLOAT32, quote=None)
    if label is None or len(label) != len(last):
        return None
    rows = _block(label, last - first)
    entries = rows.indptr[-1]
    if not entries:
        return rows
    table = read_table(_number_lines(code[~in_label]), [INT32, FLOAT32], ":", quote=None)
    if table is None or table.height != entries:
        return None
    indices, values = (column.to_numpy(writable=True) for column in table.iter_columns())
    if indices.min() < 0 or indices.max() >= columns:
        return None
    return rows._replace(indices=indices, values=values)


def _tidied(text: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A text with one separator after each token, and where these stand.

    A line end is one for certain; tokens within a line may be separated by other white space.
    """
    if not text.endswith(b"\n"):
        text += b"\n"
    code = np.frombuffer(text, np.uint8)
    separates = among(text, SEPARATORS)
    ends = np.flatnonzero(separates)
    if ends[0] > 0 and not (separates[1:] & separates[:-1]).any():
        return code, ends
    # Of each run of separators one remains: a line end, if there is one in the run.
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
    """Rows with their counts of entries, which are still missing."""
    indptr = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=indptr[1:])
    return LibSVMBlock(label, indptr, np.empty(0, np.int32), np.empty(0, np.float32))


def _alternating(odd: NDArray[np.int64], even: NDArray[np.int64]) -> NDArray[np.bool_]:
    """A mask that is true up to odd[0], false up to even[0], true up to odd[1], and so on."""
    stops = np.stack([odd, even], axis=1).ravel()
    return np.repeat(np.tile([True, False], len(odd)), np.diff(stops, prepend=0))


def _number_lines(code: NDArray[np.uint8]) -> bytes:
    """Tokens in a line each."""
    return code.tobytes().translate(TO_LINES)


def _token_by_token(block: bytes, columns: int) -> list[str]:
    """The lines in their tidy form.

    Raises
    ------
    BadLine : at the first fault.
    """
    lines = []
    for number, line in text_lines(block):
        tokens = re.findall(f"[^{WHITE}]+", line.partition("#")[0])
        for place, token in enumerate(tokens):
            try:
                if place:
                    _check_entry(token, columns)
                else:
                    _check_label(token)
            except ValueError as error:
                raise BadLine(number, place, str(error)) from None
        if tokens:
            lines.append(" ".join(tokens))
    return lines


def _check_label(token: str) -> None:
    if ":" in token:
        raise ValueError(f"{shown(token)} is not a label; a line begins with one number")
    spelled_float(token)


def _check_entry(token: str, columns: int) -> None:
    """Raise a ValueError that says what is wrong with an entry of a row."""
    index, *values = token.split(":")
    if len(values) != 1 or not (index and values[0]):
        raise ValueError(f"{shown(token)} is not of the form index:value")
    if not INDEX.fullmatch(index):
        raise ValueError(f"{shown(token)}: {no_number(index, 'an index')}")
    # Leading zeros go first: Python refuses to read thousands of digits.
    digits = index.lstrip("+-0")
    negative = index.startswith("-") and digits
    if negative or len(digits) > 10 or int(digits or "0") >= columns:
        raise ValueError(f"{shown(token)}: the index is out of range: 0 to {columns - 1}")
    try:
        spelled_float(values[0])
    except ValueError as error:
        raise ValueError(f"{shown(token)}: {error}") from None
