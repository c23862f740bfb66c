"""Values at places that are computed in runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def gather(
    run: Callable[[int, int], tuple[int, NDArray[np.int64]]],
    epoch: NDArray[np.int64],
    place: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The values at some places of some epochs: int64 (N,).

    Parameters
    ----------
    run : gives, for an epoch and a place, the first place of the run that has it, and the values at
        the places of that run
    epoch, place : int64 (N,)
    """
    found = np.empty_like(place)
    rows = np.arange(len(place))
    while len(rows):  # mostly once or twice: places follow each other
        begin, values = run(int(epoch[rows[0]]), int(place[rows[0]]))
        offset = place[rows] - begin
        inside = (epoch[rows] == epoch[rows[0]]) & (offset >= 0) & (offset < len(values))
        found[rows[inside]] = values[offset[inside]]
        rows = rows[~inside]
    return found
