"""Whether two samples are of one distribution."""

import math

import numpy as np


def distance(ours: np.ndarray, theirs: np.ndarray, slack: float = 0.0) -> float:
    """Kolmogorov and Smirnov's: the largest difference between the shares of both samples that do
    not exceed a value.

    Parameters
    ----------
    ours, theirs : ascending
    slack : values this far apart count as equal
    """
    largest = 0.0
    for one, other in ((ours, theirs), (theirs, ours)):
        share = np.searchsorted(one, one, "right") / len(one)
        below = np.searchsorted(other, one + slack + 1e-9, "right") / len(other)
        largest = max(largest, float((share - below).max()))
    return largest


def largest_distance(count: int, other: int, chance: float) -> float:
    """What the distance of two samples of one distribution exceeds with this probability."""
    return math.sqrt(-math.log(chance / 2) / 2 * (1 / count + 1 / other))
