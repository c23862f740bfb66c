"""Parts of a file: joining and cutting them."""

import itertools
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gpuio.storage.parts import Ranges, join, read_each, runs

PARTS = st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 300)), min_size=1, max_size=20)


def arrays(parts: Any) -> tuple[np.ndarray, np.ndarray]:
    begins = np.array([begin for begin, _ in parts], np.int64)
    return begins, begins + np.array([length for _, length in parts], np.int64)


@given(PARTS, st.integers(0, 100))
def test_joined_ranges_hold_each_part_at_its_place(parts: Any, gap: int) -> None:
    begins, ends = arrays(parts)
    ranges, size, places = join(begins, ends, gap)
    memory = np.full(size, -1, np.int64)
    for begin, end, place in zip(*ranges, strict=True):
        memory[place : place + end - begin] = np.arange(begin, end)
    for begin, end, place in zip(begins, ends, places, strict=True):
        assert memory[place : place + end - begin].tolist() == list(range(begin, end))
    assert not (ranges.places % 8).any() and size % 8 == 0
    assert (ranges.begins[1:] > ranges.ends[:-1] + gap).all()


def placed(some: Ranges) -> list[tuple[int, int]]:
    """Each byte of some ranges, and its place."""
    return [
        (byte, place + byte - begin)
        for begin, end, place in zip(*(each.tolist() for each in some), strict=True)
        for byte in range(begin, end)
    ]


@given(PARTS, st.integers(1, 200))
def test_cut_ranges_cover_the_same_bytes(parts: Any, length: int) -> None:
    ranges, _, _ = join(*arrays(parts))
    cut = ranges.cut(length)
    assert placed(cut) == placed(ranges)
    assert (cut.begins // length == (cut.ends - 1) // length).all()


@given(PARTS, st.integers(1, 20), st.integers(1, 20))
def test_divided_ranges_are_few_and_cover_the_same_bytes(parts: Any, units: int, unit: int) -> None:
    ranges, _, _ = join(*arrays(parts))
    divided = ranges.divide(units * unit, unit)
    assert placed(divided) == placed(ranges)
    lengths = divided.ends - divided.begins
    assert lengths.min() > 0 and lengths.max() <= units * unit
    assert len(lengths) <= (-(-(ranges.ends - ranges.begins) // (units * unit))).sum()
    heads = np.isin(divided.begins, ranges.begins)
    assert not (lengths[:-1][~heads[1:]] % unit).any()


def test_ranges_are_moved_selected_and_put_together() -> None:
    ranges = Ranges(*map(np.array, ([5, 20], [9, 30], [0, 8])))
    assert ranges.shifted(3).begins.tolist() == [8, 23]
    both = Ranges.concatenate([ranges.select(np.array([1])), ranges.select(slice(1))])
    assert [each.tolist() for each in both] == [[20, 5], [30, 9], [8, 0]]


@given(st.lists(st.integers(0, 2), max_size=12))
def test_runs_are_of_equal_numbers(numbers: list[int]) -> None:
    parts = [numbers[part] for part in runs(np.array(numbers, np.int64))]
    assert [*itertools.chain(*parts)] == numbers and all(len(set(part)) == 1 for part in parts)
    assert all(left[0] != right[0] for left, right in itertools.pairwise(parts))


@given(PARTS, st.integers(1, 500))
def test_shares_are_of_about_one_size(parts: Any, nbytes: int) -> None:
    ranges, _, _ = join(*arrays(parts), 0)
    shares = [ranges.select(part) for part in ranges.shares(nbytes)]
    assert Ranges.concatenate(shares).begins.tolist() == ranges.begins.tolist()
    sizes = [each.ends - each.begins for each in shares]
    assert all(size.sum() < nbytes + size[0] for size in sizes)


def test_a_part_behind_the_end_of_a_file_cannot_be_read(tmp_path: Any) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    data = np.zeros(8, np.uint8)
    one = tuple(np.array([number]) for number in (2, 6, 1))
    with open(path, "rb") as file:
        assert read_each(file.fileno(), *one, data) and data.tobytes() == b"\x002345\0\0\0"
        assert not read_each(file.fileno(), np.array([8]), np.array([12]), np.array([0]), data)
