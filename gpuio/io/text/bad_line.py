"""The parsers' exception for a malformed line."""

from __future__ import annotations


class BadLine(Exception):  # noqa: N818  # internal: RowReader adds file and line number
    """A line of a block cannot be parsed.

    Attributes
    ----------
    line : index of the line in the block, from 0, blank lines included
    column : index of the field, from 0; None: the whole line
    reason : what was found, and what was expected
    """

    def __init__(self, line: int, column: int | None, reason: str) -> None:
        super().__init__(line, column, reason)
        self.line = line
        self.column = column
        self.reason = reason
