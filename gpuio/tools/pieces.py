"""Cutting work into pieces that do not depend on each other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from itertools import pairwise
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

In = TypeVar("In")
Out = TypeVar("Out")

# Pieces for each CPU: several, so that the CPUs end at about the same time.
PER_CPU = 4


class Tasks(Protocol):
    """What runs pieces, perhaps on other machines.

    Attributes
    ----------
    cpus : how many pieces can run at once
    """

    @property
    def cpus(self) -> int:
        """See the class."""

    def map(
        self, function: Callable[[In], Out], pieces: Iterable[In], name: str
    ) -> Generator[Out, None, None]:
        """Call a function with each piece, and yield the results in the order of the pieces."""


def cut(
    size: int, cpus: int, least: int, most: int | None = None, per_cpu: int = PER_CPU
) -> list[tuple[int, int]]:
    """Cut a range into nearly equal ones.

    Parameters
    ----------
    size : of the range, which begins at 0
    cpus : how many work on them
    least, most : sizes of a piece, if the range is not shorter; None: any
    per_cpu : pieces for each CPU; more if they would be too large, fewer if too small

    Returns
    -------
    begin and end of each piece, in order; none is empty
    """
    pieces = max(1, min(per_cpu * cpus, size // least))
    if most is not None and size > most * pieces:
        pieces = -(-size // (most * cpus)) * cpus  # so that no CPU gets one more
    ends = [size * number // pieces for number in range(pieces + 1)]
    return [(begin, end) for begin, end in pairwise(ends) if begin < end]


def cut_by_weight(
    weights: NDArray[np.int64], cpus: int, least: int, most: int, per_cpu: int = PER_CPU
) -> list[slice]:
    """Cut a sequence into pieces of nearly equal weight.

    Parameters
    ----------
    weights : int64 (n,), of each item, such as its bytes; 0 or more
    cpus, least, most, per_cpu : see `cut`; an item is not cut, though

    Returns
    -------
    one slice for each piece, in order; none is empty
    """
    if not len(weights):
        return []
    ends = np.cumsum(np.maximum(weights, 1))
    limits = np.array([end for _, end in cut(int(ends[-1]), cpus, least, most, per_cpu)])
    # A limit within an item counts as one behind it.
    bounds = np.unique(np.searchsorted(ends, limits) + 1)
    return [
        slice(first, end)
        for first, end in zip([0, *bounds[:-1].tolist()], bounds.tolist(), strict=True)
    ]
