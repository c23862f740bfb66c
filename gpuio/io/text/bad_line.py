"""What is wrong with a line of text."""

from __future__ import annotations


class BadLine(Exception):  # noqa: N818  # never reaches the user: the reader adds file and line
    """A line of a block cannot be parsed.

    Attributes
    ----------
    line : which line of the block, from 0, blank lines included
    column : which field of it, from 0; None: the whole line
    reason : what was found, and what was expected
    """

    def __init__(self, line: int, column: int | None, reason: str) -> None:
        super().__init__(line, column, reason)
        self.line = line
        self.column = column
        self.reason = reason
