"""The random numbers of samples: what they depend on, and how they are distributed."""

import random
import threading
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gpuio.sampling import philox
from gpuio.sampling.sample_rng import (
    MORE_WORDS,
    WORDS_AHEAD,
    GlobalRng,
    SampleRng,
    call_with_rng,
    current_rng,
    sample_rngs,
)

SEEDS = st.integers(0, 2**64 - 1)
EPOCHS = st.integers(0, 2**31)
RECORDS = st.integers(0, 2**40)
DRAWS = 6000


def many(count: int = DRAWS, seed: int = 3) -> list[SampleRng]:
    """The generators of many records."""
    return sample_rngs(seed, np.zeros(count, np.int64), np.arange(count))


def drawn(rng: Any, count: int) -> list[float]:
    return [rng.random() for _ in range(count)]


@given(SEEDS, EPOCHS, st.lists(RECORDS, min_size=1, max_size=5, unique=True))
def test_numbers_do_not_depend_on_the_batch(seed: int, epoch: int, records: list[int]) -> None:
    together = sample_rngs(seed, np.full(len(records), epoch), np.array(records))
    for record, rng in zip(records, together, strict=True):
        assert drawn(rng, 40) == drawn(SampleRng(seed, epoch, record), 40)


@pytest.mark.parametrize("ahead", [0, 4, WORDS_AHEAD, WORDS_AHEAD + MORE_WORDS])
def test_words_beyond_those_drawn_ahead_continue_the_stream(ahead: int) -> None:
    count = WORDS_AHEAD + 2 * MORE_WORDS + 9
    at = np.array([4]), np.array([7])
    words = philox.words(5, *at, philox.AUGMENT, count)[0]
    rng = SampleRng(5, 4, 7, words[:ahead].tolist())
    assert drawn(rng, count) == (words * 2.0**-32).tolist()


def test_seed_epoch_and_record_all_matter() -> None:
    streams = {
        tuple(drawn(SampleRng(seed, epoch, record), 3))
        for seed in (0, 1, 2**33)
        for epoch in (0, 1, 2)
        for record in (0, 1, 2**33)
    }
    assert len(streams) == 27


def test_the_global_generators_play_no_part() -> None:
    states = random.getstate(), repr(np.random.get_state())
    rng = SampleRng(1, 2, 3)
    rng.random(), rng.uniform(1, 2), rng.randint(0, 9), rng.choice("abc"), rng.shuffled("abc")
    rng.normal(1, 3), rng.uniforms(0, 1, 2)
    assert (random.getstate(), repr(np.random.get_state())) == states


@given(SEEDS, st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_uniform_stays_within_its_limits(seed: int, low: float, width: float) -> None:
    rng = SampleRng(seed, 0, 0)
    for _ in range(20):
        assert low <= rng.uniform(low, low + width) <= low + width


@given(SEEDS, st.integers(-(2**20), 2**20), st.integers(0, 2**20))
def test_randint_includes_both_ends(seed: int, low: int, width: int) -> None:
    rng = SampleRng(seed, 0, 0)
    found = [rng.randint(low, low + width) for _ in range(20)]
    assert all(isinstance(number, int) and low <= number <= low + width for number in found)
    with pytest.raises(ValueError, match="there is no integer from"):
        rng.randint(low, low - 1)


def test_randint_is_uniform_from_end_to_end() -> None:
    counts = Counter(rng.randint(-3, 4) for rng in many())
    assert set(counts) == set(range(-3, 5))
    assert stats.chisquare(list(counts.values())).pvalue > 0.001
    assert [rng.randint(7, 7) for rng in many(5)] == [7] * 5
    assert {rng.randint(0, 1) for rng in many(50)} == {0, 1}


def test_random_and_uniform_are_uniform() -> None:
    pairs = np.array([(rng.random(), rng.uniform(-2, 6)) for rng in many()])
    assert (pairs[:, 0] >= 0).all() and (pairs[:, 0] < 1).all()
    assert stats.kstest(pairs[:, 0], "uniform").pvalue > 0.001
    assert stats.kstest(pairs[:, 1], "uniform", (-2, 8)).pvalue > 0.001
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 0.05
    one = drawn(SampleRng(8, 0, 0), DRAWS)
    assert stats.kstest(one, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 0.05


def test_uniforms_are_uniform() -> None:
    found = SampleRng(2, 0, 0).uniforms(3, 5, DRAWS)
    assert found.shape == (DRAWS,) and found.dtype == np.float64
    assert stats.kstest(found, "uniform", (3, 2)).pvalue > 0.001


@pytest.mark.parametrize("deviation", [0.1, 3.0])
def test_normal_is_normal(deviation: float) -> None:
    found = np.array([rng.normal(deviation, 3) for rng in many()])
    assert found.shape == (DRAWS, 3) and found.dtype == np.float64
    for column in found.T:
        assert stats.kstest(column, "norm", (0, deviation)).pvalue > 0.001
    assert np.abs(np.corrcoef(found.T) - np.eye(3)).max() < 0.05
    assert SampleRng(0, 0, 0).normal(1, 0).shape == (0,)


def test_shuffled_gives_all_orders_equally_often() -> None:
    values = ("a", "b", "c", "d")
    counts = Counter(tuple(rng.shuffled(values)) for rng in many())
    assert len(counts) == 24 and all(sorted(order) == list(values) for order in counts)
    assert stats.chisquare(list(counts.values())).pvalue > 0.001
    assert SampleRng(0, 0, 0).shuffled([]) == []
    given_values = [1, 2, 3]
    SampleRng(0, 0, 0).shuffled(given_values)
    assert given_values == [1, 2, 3]


def test_choice_gives_all_equally_often() -> None:
    counts = Counter(rng.choice("abcde") for rng in many())
    assert set(counts) == set("abcde")
    assert stats.chisquare(list(counts.values())).pvalue > 0.001


def test_outside_of_iterators_the_generators_are_those_of_python_and_numpy() -> None:
    rng = current_rng()
    assert isinstance(rng, GlobalRng)

    def numbers(source: Any) -> list[Any]:
        random.seed(5)
        np.random.seed(6)
        return source()

    expected = numbers(lambda: [
        random.random(), random.uniform(2, 3), random.randint(1, 9), random.choice("abc"),
        random.sample([1, 2, 3], 3), np.random.normal(0, 2.0, 3).tolist(),
        np.random.uniform(1, 2, 3).tolist(),
    ])  # fmt: skip
    assert numbers(lambda: [
        rng.random(), rng.uniform(2, 3), rng.randint(1, 9), rng.choice("abc"),
        rng.shuffled([1, 2, 3]), rng.normal(2.0, 3).tolist(), rng.uniforms(1, 2, 3).tolist(),
    ]) == expected  # fmt: skip


def test_a_generator_counts_while_a_function_is_called() -> None:
    outside, rng = current_rng(), SampleRng(1, 0, 0)
    assert call_with_rng(rng, current_rng) is rng and current_rng() is outside


def test_a_generator_counts_for_its_thread_only() -> None:
    rngs = [SampleRng(number, 0, 0) for number in range(4)]
    barrier = threading.Barrier(4)
    seen: dict[int, tuple[Any, Any, Any]] = {}

    def work(number: int) -> None:
        before = current_rng()
        barrier.wait(20)
        inside = call_with_rng(rngs[number], look)
        seen[number] = before, inside, current_rng()

    def look() -> Any:
        barrier.wait(20)  # all are inside at the same time
        inside = current_rng()
        barrier.wait(20)
        return inside

    def run_all() -> None:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)

    call_with_rng(SampleRng(9, 9, 9), run_all)  # not inherited by new threads
    for number, rng in enumerate(rngs):
        before, inside, after = seen[number]
        assert inside is rng
        assert isinstance(before, GlobalRng) and isinstance(after, GlobalRng)
