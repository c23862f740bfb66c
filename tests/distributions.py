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


def moment_errors(
    ours: np.ndarray, theirs: np.ndarray, count: int, other: int, slack: float = 0.0
) -> tuple[float, float]:
    """By how many standard errors the means of two samples differ, and their standard deviations.

    Parameters
    ----------
    count, other : sizes of the samples, of which `ours` and `theirs` may be evenly spaced
        quantiles
    slack : differences of the values that do not count
    """
    spread = float(theirs.std())
    kurtosis = float(((theirs - theirs.mean()) ** 4).mean()) / spread**4
    unit = spread * math.sqrt(1 / count + 1 / other)
    mean = max(0.0, abs(float(ours.mean() - theirs.mean())) - slack) / unit
    deviation = max(0.0, abs(float(ours.std()) - spread) - slack)
    # A coin's standard deviation hardly varies.
    return mean, deviation / (unit * math.sqrt(max(kurtosis - 1, 0.2) / 4))
