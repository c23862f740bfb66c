"""A journal of the batches that a training has used, which survives its death at any moment."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """A call of `next`.

    Attributes
    ----------
    batch : digest of the batch; "end" at the end of an epoch; "interrupted"
    state : the iterator's state after it
    """

    batch: str
    state: Any


class Journal:
    """A file with a line for each entry, of which the last may be incomplete.

    Parameters
    ----------
    path : the file, which need not exist
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[Entry]:
        """All complete entries."""
        return [Entry(*json.loads(line)) for line in self._lines()]

    def resume(self) -> list[Entry]:
        """All complete entries; an incomplete one is removed."""
        lines = self._lines()
        if self._path.exists():
            os.truncate(self._path, sum(map(len, lines)))
        return [Entry(*json.loads(line)) for line in lines]

    def append(self, entry: Entry) -> None:
        """Append an entry, by a single call of the operating system."""
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(file, json.dumps(entry).encode() + b"\n")
        finally:
            os.close(file)

    def _lines(self) -> list[bytes]:
        if not self._path.exists():
            return []
        lines = self._path.read_bytes().splitlines(keepends=True)
        return [line for line in lines if line.endswith(b"\n")]


def difference(found: Sequence[str], expected: Sequence[str]) -> str:
    """Where batches differ from those of a training that was not interrupted; empty: nowhere."""
    for number, (mine, theirs) in enumerate(zip(found, expected, strict=False)):
        if mine != theirs:
            return f"call {number} gave {mine}, expected {theirs}"
    if len(found) != len(expected):
        return f"{len(found)} calls, expected {len(expected)}"
    return ""


def left_out(found: Sequence[str], expected: Sequence[str]) -> int | None:
    """Number of expected batches that are missing among those found; None: these also have others,
    or another order. Both begin with the same batch, or those before it are missing.
    """
    position = missing = 0
    for batch in found:
        while position < len(expected) and expected[position] != batch:
            position += 1
            missing += 1
        if position == len(expected):
            return None
        position += 1
    return missing
