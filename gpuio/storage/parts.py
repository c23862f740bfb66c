"""Parts of a file: which of them are read together, and where they are put."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gpuio.storage.native_parts import native_parts

Offsets: TypeAlias = NDArray[np.int64]

# Bytes between two parts up to which they are read together: copying them takes no longer than
# another call.
MAX_GAP = 1 << 12


class Bulk(NamedTuple):
    """How much is read at once.

    Attributes
    ----------
    allocate : allocates uint8 (n,), contents undefined
    run : runs functions, on several threads at once or in turn, and returns when all have ended
    """

    allocate: Callable[[int], NDArray[np.uint8]]
    run: Callable[[Sequence[Callable[[], None]]], None]


class Ranges(NamedTuple):
    """Ranges of a file, and where they are put in an array. They are ascending, and apart.

    Attributes
    ----------
    begins, ends : int64 (n,), of each range, in bytes of the file
    places : int64 (n,), where each range begins in the array
    """

    begins: Offsets
    ends: Offsets
    places: Offsets

    def select(self, rows: slice | NDArray[np.intp] | NDArray[np.bool_]) -> Ranges:
        """Some of the ranges."""
        return Ranges(self.begins[rows], self.ends[rows], self.places[rows])

    def shifted(self, by: int) -> Ranges:
        """The same ranges, by some bytes further on in the file."""
        return Ranges(self.begins + by, self.ends + by, self.places)

    @staticmethod
    def concatenate(several: Sequence[Ranges]) -> Ranges:
        """All ranges of several, one or more."""
        if len(several) == 1:
            return several[0]
        return Ranges(*map(np.concatenate, zip(*several, strict=True)))

    def shares(self, nbytes: int) -> list[slice]:
        """Divide the ranges into groups of about `nbytes` each."""
        return runs((self.ends - self.begins).cumsum() // nbytes)

    def cut(self, length: int) -> Ranges:
        """Cut ranges at multiples of `length` in the file."""
        first, last = self.begins // length, (self.ends - 1) // length
        counts = last - first + 1
        if (counts == 1).all():
            return self
        which = np.arange(len(counts)).repeat(counts)
        number = np.arange(len(which)) - (counts.cumsum() - counts - first)[which]
        begins = np.maximum(self.begins[which], number * length)
        ends = np.minimum(self.ends[which], (number + 1) * length)
        return Ranges(begins, ends, self.places[which] + begins - self.begins[which])

    def divide(self, longest: int, unit: int) -> Ranges:
        """Divide ranges of more than `longest` bytes into as few parts as can be, about equal, with
        bounds that are multiples of `unit` from the beginning of the range.
        """
        lengths = self.ends - self.begins
        counts = -(-lengths // longest)
        if (counts == 1).all():
            return self
        steps = -(-lengths // (counts * unit)) * unit
        counts = -(-lengths // steps)
        which = np.arange(len(counts)).repeat(counts)
        number = np.arange(len(which)) - (counts.cumsum() - counts)[which]
        begins = self.begins[which] + number * steps[which]
        ends = np.minimum(begins + steps[which], self.ends[which])
        return Ranges(begins, ends, self.places[which] + begins - self.begins[which])


def runs(numbers: Offsets) -> list[slice]:
    """The runs of equal numbers, in their order; `numbers` is int64 (n,)."""
    if not len(numbers):
        return []
    heads = [0, *(np.flatnonzero(numbers[1:] != numbers[:-1]) + 1).tolist()]
    return [*map(slice, heads, [*heads[1:], len(numbers)])]


def join(begins: Offsets, ends: Offsets, gap: int = MAX_GAP) -> tuple[Ranges, int, Offsets]:
    """Join parts that are close together.

    Parameters
    ----------
    begins, ends : int64 (n,), the parts, in bytes, in any order; none is empty
    gap : bytes between two parts up to which they become one range

    Returns
    -------
    ranges : put one behind the other, each beginning at a multiple of eight bytes
    size : of the array that they need, in bytes, a multiple of eight
    places : int64 (n,), where each of the parts begins in the array
    """
    if len(begins) and (module := native_parts()) is not None:
        (at, until, begin_of), places = module.join(begins, ends, gap)
        size = int(begin_of[-1] + (until[-1] - at[-1] + 7) // 8 * 8)
        return Ranges(at, until, begin_of), size, places
    order = np.argsort(begins, kind="stable")
    first, last = begins[order], np.maximum.accumulate(ends[order])
    is_apart = np.ones(len(order), np.bool_)
    np.greater(first[1:], last[:-1] + gap, out=is_apart[1:])
    heads = np.flatnonzero(is_apart)
    at, until = first[heads], np.concatenate([last[heads[1:] - 1], last[-1:]])
    room = (until - at + 7) // 8 * 8
    begin_of = room.cumsum() - room
    places = np.empty_like(first)
    places[order] = first + (begin_of - at)[is_apart.cumsum() - 1]
    return Ranges(at, until, begin_of), int(room.sum()), places


def read_each(
    descriptor: int, begins: Offsets, ends: Offsets, places: Offsets, data: NDArray[np.uint8]
) -> bool:
    """Read parts of a file as `native.Native.read` does."""
    memory = memoryview(data)
    parts = zip(begins.tolist(), (ends - begins).tolist(), places.tolist(), strict=True)
    try:
        return all(
            os.preadv(descriptor, [memory[place : place + size]], begin) == size
            for begin, size, place in parts
        )
    except OSError:
        return False
