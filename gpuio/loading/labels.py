"""Labels of a list file that replace those in the records."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import RecordError
from gpuio.recordio.lists import ListItem, read_list
from gpuio.storage.local import Path
from gpuio.storage.remote.opening import location
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.url import shown

# Keys are stored modulo this: those of records are int64, the ids in their headers uint64.
MODULUS = 2**64


class LabelTable:
    """The labels of a list, found by key; of several lines with one key, the last counts.

    Parameters
    ----------
    items : the lines of the list
    name : of the list, for errors
    """

    def __init__(self, items: Iterable[ListItem], name: str) -> None:
        self._name = name
        keys, numbers, ends = array("Q"), array("f"), array("q", [0])
        for item in items:
            keys.append(item.key % MODULUS)
            numbers.extend(item.labels)
            ends.append(len(numbers))
        unsorted = np.array(keys, np.uint64)
        self._line = np.argsort(unsorted, kind="stable")
        self._keys = unsorted[self._line]
        self._numbers = np.array(numbers, np.float32)
        self._ends = np.array(ends, np.int64)

    def longest(self, limit: int) -> int:
        """The most numbers in a label, of those with at most `limit`."""
        lengths = np.diff(self._ends)
        return int(lengths[lengths <= limit].max(initial=0))

    def find(self, key: int, what: str) -> NDArray[np.float32]:
        """The label for a key: float32 (n,).

        Parameters
        ----------
        what : what the key is, for errors

        Raises
        ------
        RecordError : no line has the key.
        """
        number = np.uint64(key % MODULUS)
        at = int(np.searchsorted(self._keys, number, side="right")) - 1
        if at < 0 or self._keys[at] != number:
            raise RecordError(f"{self._name} has no line for {what} {key}")
        line = self._line[at]
        label: NDArray[np.float32] = self._numbers[self._ends[line] : self._ends[line + 1]]
        return label

    def find_many(self, keys: NDArray[np.uint64]) -> list[NDArray[np.float32] | None]:
        """The label for each of several keys, as `find`; None: no line has it."""
        if not len(self._keys):
            return [None] * len(keys)
        at = np.searchsorted(self._keys, keys, side="right") - 1
        lines = self._line[at]
        return [
            self._numbers[begin:end] if known else None
            for begin, end, known in zip(
                self._ends[lines].tolist(),
                self._ends[lines + 1].tolist(),
                ((at >= 0) & (self._keys[at] == keys)).tolist(),
                strict=True,
            )
        ]

    def known(self, keys: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which of several keys have a line: bool (n,)."""
        known: NDArray[np.bool_] = np.isin(keys.astype(np.uint64), self._keys)
        return known

    def blocks(
        self, keys: NDArray[np.integer]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """The labels for several keys, all of which have a line, in blocks of one length.

        Yields
        ------
        Indices into `keys`, int64 (n,), and their labels, float32 (n, length)
        """
        at = np.searchsorted(self._keys, keys.astype(np.uint64), side="right") - 1
        lines = self._line[at]
        begins, ends = self._ends[lines], self._ends[lines + 1]
        for length in np.unique(ends - begins).tolist():
            chosen = np.flatnonzero(ends - begins == length)
            yield chosen, self._numbers[begins[chosen, None] + np.arange(length)]


def read_label_table(
    path: Path,
    label_width: int | None = None,
    whitespace: bool = False,
    remote: RemoteOptions | None = None,
) -> LabelTable:
    """Read the labels of a list file; see `read_list`.

    Raises
    ------
    ArgumentError : the file does not exist or cannot be read, or a line is malformed.
    RemoteError, FileChangedError : a remote file cannot be read, or has changed meanwhile.
    """
    where = location(path, "path_imglist")
    return LabelTable(read_list(where, label_width, whitespace, remote), shown(where))
