"""Labels of a list file that replace those in the records."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import RecordError
from gpuio.recordio import IRHeader
from gpuio.recordio.lists import ListItem


class LabelTable:
    """The labels of a list, found by key; of several lines with one key, the last counts.

    Parameters
    ----------
    items : the lines of the list

    Attributes
    ----------
    longest : the most numbers in a label
    """

    def __init__(self, items: Iterable[ListItem]) -> None:
        keys: list[int] = []
        numbers: list[float] = []
        ends = [0]
        for item in items:
            keys.append(item.key)
            numbers += item.labels
            ends.append(len(numbers))
        unsorted = np.array([key % 2**64 for key in keys], np.uint64)
        self._order = np.argsort(unsorted, kind="stable")
        self._keys = unsorted[self._order]
        self._numbers = np.array(numbers, np.float32)
        self._ends = np.array(ends, np.int64)
        self.longest = int(np.diff(self._ends).max(initial=0))

    def find(self, key: int) -> NDArray[np.float32] | None:
        """The label for a key: float32 (n,); None: there is none."""
        at = int(np.searchsorted(self._keys, np.uint64(key % 2**64), side="right")) - 1
        if at < 0 or self._keys[at] != key % 2**64:
            return None
        line = self._order[at]
        label: NDArray[np.float32] = self._numbers[self._ends[line] : self._ends[line + 1]]
        return label


def labels_by_id(table: LabelTable, name: str) -> Callable[[IRHeader, int], NDArray[np.float32]]:
    """Find labels by the id in a record's header, as MXNet's C++ iterators do.

    Parameters
    ----------
    name : of the list, for errors
    """

    def find(header: IRHeader, key: int) -> NDArray[np.float32]:
        label = table.find(header.id)
        if label is None:
            raise RecordError(f"{name} has no line for the record's id {header.id}")
        return label

    return find


def labels_by_key(table: LabelTable) -> Callable[[IRHeader, int], NDArray[np.float32]]:
    """Find labels by a record's key, as MXNet's ImageIter does."""

    def find(header: IRHeader, key: int) -> NDArray[np.float32]:
        label = table.find(key)
        if label is None:
            raise RecordError(f"the list has no line for key {key}")
        return label

    return find
