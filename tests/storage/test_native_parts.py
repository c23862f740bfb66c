"""Joining parts by the native module, which equals NumPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio import native
from gpuio.storage.native_parts import native_parts
from gpuio.storage.parts import join

pytestmark = pytest.mark.skipif(native.library() is None, reason="the native module is not in use")

# Many of them as far apart as the gap, or by a byte more or less.
PARTS = st.lists(st.tuples(st.integers(0, 99), st.integers(1, 5)), min_size=1, max_size=40)


def joined(begins: np.ndarray, ends: np.ndarray, gap: int) -> list[object]:
    ranges, size, places = join(begins, ends, gap)
    assert all(each.dtype == np.int64 for each in (*ranges, places))
    return [*(each.tolist() for each in ranges), size, places.tolist()]


def by_numpy(begins: np.ndarray, ends: np.ndarray, gap: int) -> list[object]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(native.VARIABLE, "0")
        assert native_parts() is None
        return joined(begins, ends, gap)


@given(PARTS, st.integers(0, 5), st.booleans(), st.sampled_from([0, 2**40, 2**60]))
def test_ranges_are_those_of_numpy(
    parts: list[tuple[int, int]], gap: int, is_sorted: bool, first: int
) -> None:
    given = np.array(sorted(parts) if is_sorted else parts, np.int64)
    begins = given[:, 0] + first  # strided before the addition
    ends = begins + given[:, 1]
    assert joined(begins, ends, gap) == by_numpy(begins, ends, gap)
    apart = np.stack([begins, ends], axis=1)
    assert joined(apart[:, 0], apart[:, 1], gap) == by_numpy(begins, ends, gap)


def test_parts_that_are_almost_in_order() -> None:
    begins = np.array([5, 4, 4, 7])
    assert joined(begins, begins + 2, 0) == by_numpy(begins, begins + 2, 0)
    assert joined(begins, begins + 2, 0)[0] == [4]


def test_gaps() -> None:
    for gap in range(4):
        for apart in range(6):
            begins = np.array([0, 10 + apart])
            assert joined(begins, begins + 10, gap) == by_numpy(begins, begins + 10, gap)
            assert len(join(begins, begins + 10, gap)[0].begins) == 1 + (apart > gap)


def test_many_parts() -> None:
    random = np.random.default_rng(0)
    begins = random.integers(0, 2**30, 20_000)
    ends = begins + random.integers(1, 2**17, 20_000)
    assert joined(begins, ends, 1 << 12) == by_numpy(begins, ends, 1 << 12)


def test_each_part_has_an_end() -> None:
    module = native_parts()
    assert module is not None
    with pytest.raises(AssertionError, match="has an end"):
        module.join(np.zeros(2, np.int64), np.ones(1, np.int64), 0)
