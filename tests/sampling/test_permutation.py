"""Permutations: whether they are, and how random."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuio.sampling.permutation import RUN, permute, permuted_run


@given(st.integers(1, 3000), st.integers(-(2**63), 2**64), st.integers(0, 2**40))
@settings(max_examples=60)
def test_permute_is_a_permutation(size: int, seed: int, epoch: int) -> None:
    everything = permute(np.arange(size), size, seed, epoch)
    np.testing.assert_array_equal(np.sort(everything), np.arange(size))


@pytest.mark.parametrize(("size", "epochs"), [(3, 600), (4, 2400), (5, 6000)])
def test_all_permutations_come_equally_often(size: int, epochs: int) -> None:
    seen = Counter(
        tuple(permute(np.arange(size), size, 1, epoch).tolist()) for epoch in range(epochs)
    )
    possible = int(np.prod(np.arange(1, size + 1)))
    expected = epochs / possible
    chi_square = sum((seen[p] - expected) ** 2 / expected for p in seen)
    assert len(seen) == possible
    assert chi_square < possible - 1 + 5 * np.sqrt(2 * (possible - 1))


def test_permutation_of_a_large_set_moves_everything_everywhere() -> None:
    size = 10**8
    places = np.arange(0, size, 4001)
    found = permute(places, size, 3, 0)
    assert len(np.unique(found)) == len(places)
    counts = np.histogram(found, 20, (0, size))[0]
    expected = len(places) / 20
    assert ((counts - expected) ** 2 / expected).sum() < 50  # 19 degrees of freedom, p = 0.0001
    assert abs(np.corrcoef(places, found)[0, 1]) < 0.03


def test_runs_are_pieces_of_the_permutation() -> None:
    size = 2 * RUN + 5
    whole = permute(np.arange(size), size, 3, 1)
    runs = [permuted_run(size, 3, 1, number) for number in range(3)]
    np.testing.assert_array_equal(np.concatenate(runs), whole)
    assert [len(run) for run in runs] == [RUN, RUN, 5]
    assert permuted_run(size, 3, 1, 0) is runs[0]
    with pytest.raises(ValueError, match="read-only"):
        runs[0][0] = 1
