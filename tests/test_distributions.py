"""Comparing distributions."""

import numpy as np
import pytest

from tests.distributions import distance, largest_distance, moment_errors


@pytest.mark.parametrize(
    ("ours", "theirs", "slack", "expected"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4], 0, 0),
        ([1, 2, 3, 4], [1, 2], 0, 0.5),
        ([1, 2, 3, 4], [5, 6], 0, 1),
        ([1, 2, 3, 4], [4.5, 5.5], 1, 0.75),
        ([1, 2, 3, 4], [1.5, 2.5, 3.5, 4.5], 0.5, 0),
        ([1, 1, 1, 2], [1, 2, 2, 2], 0, 0.5),
    ],
)
def test_distance(ours: list[float], theirs: list[float], slack: float, expected: float) -> None:
    one, other = np.array(ours, float), np.array(theirs, float)
    assert distance(one, other, slack) == distance(other, one, slack) == expected


def test_samples_of_one_distribution_are_seldom_further_apart() -> None:
    generator = np.random.default_rng(0)
    draws = np.sort(generator.normal(size=(400, 2, 200)), axis=-1)
    limit = largest_distance(200, 200, 0.1)
    assert 20 <= sum(distance(*pair) > limit for pair in draws) <= 60
    assert distance(draws[0, 0], np.sort(generator.normal(0.5, 1, 200))) > limit


def test_moments_of_one_distribution_differ_by_a_standard_error() -> None:
    generator = np.random.default_rng(0)
    draws = generator.normal(size=(400, 2, 300))
    errors = np.array([moment_errors(*pair, 300, 300) for pair in draws])
    # The means of the absolute values of a normal distribution.
    np.testing.assert_allclose(errors.mean(0), (2 / np.pi) ** 0.5, rtol=0.1)
    mean, deviation = moment_errors(draws[0, 0] + 0.1, 1.2 * draws[0, 0], 300, 300, slack=0.1)
    assert mean < 1 < deviation
