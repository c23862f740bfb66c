"""Cutting work into pieces."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gpuio.tools.pieces import PER_CPU, cut, cut_by_weight


@given(st.integers(0, 10**12), st.integers(1, 1000), st.integers(1, 10**9))
def test_pieces_cover_the_range(size: int, cpus: int, least: int) -> None:
    pieces = cut(size, cpus, least)
    assert len(pieces) <= PER_CPU * cpus
    assert [end for _, end in pieces] == [begin for begin, _ in pieces][1:] + [size] * bool(size)
    assert not size or pieces[0][0] == 0
    assert all(end - begin >= min(least, size) for begin, end in pieces)


def test_pieces_are_not_too_large() -> None:
    assert cut(1000, 1, 1, 100) == [(n * 100, n * 100 + 100) for n in range(10)]
    assert cut(10, 1, 100, 100) == [(0, 10)]
    assert cut(0, 4, 1) == []
    # None of two CPUs has more to do.
    assert cut(90, 2, 1, 10, per_cpu=1) == [(n * 9, n * 9 + 9) for n in range(10)]
    assert cut(90, 2, 1, per_cpu=1) == [(0, 45), (45, 90)]


@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 10**4), st.integers(1, 4))
def test_each_cpu_has_as_many_large_pieces(size: int, cpus: int, most: int, per_cpu: int) -> None:
    pieces = cut(size, cpus, 1, most, per_cpu)
    lengths = {end - begin for begin, end in pieces}
    assert sum(end - begin for begin, end in pieces) == size
    assert not size or (max(lengths) <= most and max(lengths) - min(lengths) <= 1)
    assert len(pieces) % cpus == 0 or len(pieces) == size


@given(st.lists(st.integers(0, 1000), max_size=60), st.integers(1, 8), st.integers(1, 500))
def test_items_are_cut_by_weight(weights: list[int], cpus: int, least: int) -> None:
    found = cut_by_weight(np.array(weights, np.int64), cpus, least, 10**6)
    items = list(range(len(weights)))
    assert [item for piece in found for item in items[piece]] == items
    assert all(items[piece] for piece in found)


def test_weights_are_nearly_equal() -> None:
    weights = np.full(1000, 10, np.int64)
    found = cut_by_weight(weights, 2, 1, 10**6)
    assert len(found) == 2 * PER_CPU
    assert {int(weights[piece].sum()) for piece in found} == {1250}
    assert cut_by_weight(np.array([5, 10**6, 5]), 1, 1, 10**6) == [slice(0, 2), slice(2, 3)]
