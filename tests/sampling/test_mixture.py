"""Mixtures of sources in given proportions."""

import math
from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.errors import ArgumentError
from gpuio.sampling.blocks import BlockOptions, Blocks
from gpuio.sampling.mixture import (
    RUN,
    Mixture,
    apportion,
    as_weights,
    count_before,
    mix,
    shares_of,
    times,
)
from gpuio.sampling.order import Order
from gpuio.sampling.permutation import permute
from gpuio.sampling.runs import gather


def epoch_of(mixture: Mixture, seed: int = 0, epoch: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The records of an epoch, and how often each has come before."""
    record, passed, place = [], [], 0
    while place < mixture.size:
        begin, samples = mixture.run(seed, epoch, place)
        assert begin == place
        record.append(samples.record)
        passed.append(samples.passed)
        place += len(samples.record)
    assert place == mixture.size
    return np.concatenate(record), np.concatenate(passed)


def sources_of(mixture: Mixture, record: np.ndarray) -> np.ndarray:
    return np.searchsorted(np.cumsum(mixture.sizes), record, "right")


def deviation(mixture: Mixture, record: np.ndarray) -> float:
    """By how many samples the counts of the first m samples differ from the shares, at most."""
    source, share = sources_of(mixture, record), np.array(mixture.counts) / mixture.size
    counts = np.cumsum(source[:, None] == np.arange(len(share)), axis=0)
    expected = np.arange(1, len(source) + 1)[:, None] * share
    return float(np.abs(counts - expected).max())


MIXTURES = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 20)), min_size=1, max_size=6)


@given(MIXTURES, st.integers(6, 400), st.integers(0, 9))
def test_an_epoch_has_each_sources_share(
    sources: list[tuple[int, int]], size: int, seed: int
) -> None:
    sizes, weights = zip(*sources, strict=True)
    try:
        mixture = mix(sizes, weights, size)
    except ArgumentError:
        return
    for epoch in (0, 1, 5):
        record, _ = epoch_of(mixture, seed, epoch)
        found = Counter(sources_of(mixture, record).tolist())
        for number, weight in enumerate(weights):
            assert abs(found[number] - size * weight / sum(weights)) < 1
            assert found[number] == mixture.counts[number]
        assert deviation(mixture, record) <= max(len(sizes) - 1, 1)


@given(MIXTURES, st.integers(0, 9))
def test_records_of_a_source_come_equally_often(sources: list[tuple[int, int]], seed: int) -> None:
    sizes, weights = zip(*sources, strict=True)
    try:
        mixture = mix(sizes, weights)
    except ArgumentError:
        return
    seen: Counter[int] = Counter()
    for epoch in range(4):
        for record, passed in zip(
            *map(np.ndarray.tolist, epoch_of(mixture, seed, epoch)), strict=True
        ):
            assert passed == seen[record]
            seen[record] += 1
    begin = 0
    for size, count in zip(sizes, mixture.counts, strict=True):
        often = [seen[record] for record in range(begin, begin + size)]
        assert sum(often) == 4 * count and max(often) - min(often) <= 1
        begin += size


@pytest.mark.parametrize("weights", [[1, 1], [1, 999], [3, 1], [0.37, 0.63]])
def test_two_sources_have_their_shares_of_any_beginning(weights: list[float]) -> None:
    mixture = mix([1000, 50], weights, 3 * RUN + 5)
    record, _ = epoch_of(mixture)
    assert deviation(mixture, record) < 1


def test_equal_shares_come_in_turns() -> None:
    mixture = mix([10] * 8, [2.0] * 8, 800)
    source = sources_of(mixture, epoch_of(mixture)[0]).reshape(100, 8)
    assert (np.sort(source) == np.arange(8)).all()
    assert len(np.unique(source, axis=0)) > 90  # in another order each time


def test_a_source_alone_comes_in_the_order_of_a_permutation() -> None:
    mixture = mix([50], [7])
    record, passed = epoch_of(mixture, 3, 2)
    assert record.tolist() == permute(np.arange(50), 50, 3, 2).tolist()
    assert set(passed.tolist()) == {2}


def test_seeds_and_epochs_differ() -> None:
    mixture = mix([40, 60], [1, 1])
    orders = [epoch_of(mixture, seed, epoch)[0].tolist() for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(map(str, orders))) == 4
    sources = [sources_of(mixture, np.array(order)).tolist() for order in orders]
    assert len(set(map(str, sources))) == 4


def test_samples_come_at_random_within_their_shares() -> None:
    """The distance of two samples of a source with a fifth is anything up to twice its mean."""
    mixture = mix([10, 10], [1, 4], 50_000)
    source = sources_of(mixture, epoch_of(mixture)[0])
    gaps = np.diff(np.flatnonzero(source == 0))
    assert gaps.min() == 1 and gaps.max() <= 11 and abs(gaps.mean() - 5) < 0.01
    triangle = Counter(gaps.tolist())  # of the difference of two uniform numbers
    assert triangle[5] > 3 * triangle[1] and triangle[5] > 3 * triangle[9]


def test_any_place_of_a_long_epoch_is_found() -> None:
    mixture = mix([10**9, 3, 10**6], [5.0, 1.0, 1e-3], 10**10)
    for place in (0, 10**9 + 7, 10**10 - 1):
        begin, samples = mixture.run(1, 10**6, place)
        assert begin <= place < begin + len(samples.record) <= 10**10
        assert abs(len(samples.record) - RUN) < 9
        before = mixture.run(1, 10**6, begin - 1) if begin else None
        assert before is None or before[0] + len(before[1].record) == begin
        assert not samples.record.flags.writeable


def test_times_are_counted() -> None:
    share = shares_of([5, 2, 0.001])
    for bound in (0.0, 0.5, 3.0, 777.7, 1e6):
        counts = count_before(4, 2, bound, share)
        for source, count in enumerate(counts.tolist()):
            numbers = np.arange(max(count - 3, 0), count + 3)
            many = np.full(len(numbers), source)
            when = times(4, 2, many, numbers, share[many])
            assert ((when < bound) == (numbers < count)).all() and (np.diff(when) > 0).all()


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=8), st.integers(0, 10**15))
def test_apportioned_numbers_add_up(weights: list[float], size: int) -> None:
    found = apportion(size, weights)
    assert sum(found) == size
    for count, share in zip(found, shares_of(weights), strict=True):
        assert abs(count - size * share) < 1 + 1e-9 * size


def test_weights_of_any_magnitude() -> None:
    assert apportion(8, [1e308, 1e308, 1e308, 1e308]) == [2, 2, 2, 2]
    assert apportion(10, [1e-320, 4e-320]) == [2, 8]
    assert shares_of([1.7e308, 1.7e308]).tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1], "a number for each of 2 sources"),
        (3, "a number for each of 2 sources"),
        ("12", "a number for each of 2 sources"),
        (["a", "b"], "a number for each of 2 sources"),
        (["1", "2"], "a number for each of 2 sources"),
        (b"12", "a number for each of 2 sources"),
        ({1, 2}, "a number for each of 2 sources"),
        ({1: 3, 2: 4}, "a number for each of 2 sources"),
        (iter([1, 2]), "a number for each of 2 sources"),
        ([1, 10**400], "a number for each of 2 sources"),
        ([1, 0], "above 0, not 0.0; leave out"),
        ([1, -2], "above 0"),
        ([1, math.inf], "finite"),
        ([1, math.nan], "finite"),
        ([1, 1e-10], "times the least"),
    ],
)
def test_wrong_weights(weights: object, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        as_weights(weights, 2, "sources")


def test_weights() -> None:
    assert as_weights(None, 3, "sources") == (1.0, 1.0, 1.0)
    assert as_weights(np.array([1, 2]), 2, "sources") == (1.0, 2.0)


@pytest.mark.parametrize(
    ("sizes", "weights", "size", "words"),
    [
        ([5, 0], [1, 1], None, "source 1 of the mixture has no records"),
        ([5, 5], [1, 99], 10, "weight 1 of source 0 is less than one of 10"),
        ([5] * 3, [1] * 3, 2, "less than one of 2"),
        ([5], [1], 2**49, "at most"),
        ([1] * (2**16 + 1), [1] * (2**16 + 1), None, "at most 65536 sources"),
    ],
)
def test_what_cannot_be_mixed_is_refused(
    sizes: list[int], weights: list[float], size: int | None, words: str
) -> None:
    with pytest.raises(ArgumentError, match=words):
        mix(sizes, weights, size)


@pytest.mark.parametrize("last_batch", ["wrap", "pad", "roll_over", "discard"])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_ranks_share_one_order_of_a_mixture(last_batch: str, world_size: int) -> None:
    mixture = mix([30, 7, 500], [3, 1, 2], 100)

    def stream(ranks: int) -> list[tuple[int, int]]:
        found, position = [], 0
        for _ in range(30):
            for rank in range(ranks):
                order = Order(100, 12 // ranks, True, 7, last_batch, rank, ranks, mixture=mixture)
                indices = order.batch_at(position)
                found += list(zip(indices.record.tolist(), indices.epoch.tolist(), strict=True))
            position = indices.next_position
        return found

    found = stream(world_size)
    assert found == stream(1)
    if last_batch == "wrap":  # the endless stream itself
        assert len(set(found)) == len(found)


def blocks_of(size: int, length: int, pool: int) -> Blocks:
    """Blocks of `length` records."""
    starts = np.append(np.arange(0, size, length), size)
    return Blocks(starts.astype(np.int64), BlockOptions(1, pool))


def in_blocks() -> Mixture:
    """Sources of pools of 15 to 20, of 8, and of one pool."""
    blocks = (blocks_of(200, 5, 4), blocks_of(61, 4, 2), blocks_of(9, 3, 5))
    return replace(mix([200, 61, 9], [5, 3, 2], 500), blocks=blocks)


def test_sources_in_blocks_have_the_shares_of_others() -> None:
    mixture, plain = in_blocks(), mix([200, 61, 9], [5, 3, 2], 500)
    bounds = np.cumsum(mixture.sizes)
    for epoch in (0, 3):
        (record, passed), (other, also) = (epoch_of(each, 4, epoch) for each in (mixture, plain))
        assert (bounds.searchsorted(record, "right") == bounds.searchsorted(other, "right")).all()
        assert (passed == also).all() and (record != other).any()
        for source, blocks in enumerate(mixture.blocks):  # each comes in the order of its blocks
            own = bounds.searchsorted(record, "right") == source
            first = int(mixture.counts[source] * epoch)
            numbers = first + np.arange(own.sum())
            expected = gather(
                partial(blocks.run, 4), numbers // mixture.sizes[source],
                numbers % mixture.sizes[source],
            )  # fmt: skip
            assert (record[own] - (bounds[source] - mixture.sizes[source]) == expected).all()


@pytest.mark.parametrize("start", [0, 137, 499, 500, 777, 1250])
def test_pools_are_read_before_they_are_needed_and_once(start: int) -> None:
    order = Order(500, 7, True, 4, mixture=in_blocks())
    position, read, asked = start, set(), 0
    for step in range(60):
        records, end = order.read_together(position, fresh=step == 0)
        assert end > position
        read |= set(records.tolist())
        asked += len(records)
        places = np.arange(position, end)
        needed = order.records(places // 500, places % 500)
        assert set(needed.tolist()) <= read
        position = end
    # As many as come, and those of pools that are in use at the ends; one source is read once.
    assert asked <= (position - start) * 0.8 + 2 + 9 + 2 * (20 + 8)
    assert position - start > 300


def test_states_name_blocks() -> None:
    identity = Order(500, 7, True, 4, mixture=in_blocks()).identity()
    assert identity["shuffle"] == "blocks" and identity["pool_blocks"] == 4
    assert identity["mixture"] == [[200, 250], [61, 150], [9, 100]]
