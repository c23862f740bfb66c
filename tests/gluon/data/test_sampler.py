"""Samplers: the order of samples, and batches of indices."""

import json
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.errors import ArgumentError
from gpuio.gluon.data import (
    BatchSampler,
    FilterSampler,
    IntervalSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
)

STATS = json.loads((Path(__file__).parents[2] / "golden" / "gluon_stats.json").read_text())


def test_sequential() -> None:
    assert list(SequentialSampler(3, start=10)) == [10, 11, 12]
    assert len(SequentialSampler(3)) == 3 and list(SequentialSampler(0)) == []


def test_random_order_is_mxnets() -> None:
    """After np.random.seed, the batches of three epochs are those of MXNet."""
    np.random.seed(5)
    for last_batch, epochs in STATS["orders"].items():
        batches = BatchSampler(RandomSampler(11), 4, last_batch)
        for expected in epochs:
            assert len(batches) == len(expected)
            assert [np.array(batch).tolist() for batch in batches] == expected


@given(
    length=st.integers(0, 20),
    size=st.integers(1, 7),
    last_batch=st.sampled_from(["keep", "discard", "rollover"]),
)
def test_batches_have_each_index_once(length: int, size: int, last_batch: str) -> None:
    sampler = BatchSampler(SequentialSampler(length), size, last_batch)
    seen: list[int] = []
    for _ in range(3):
        count = len(sampler)
        batches = list(sampler)
        assert len(batches) == count
        whole = batches[:-1] if last_batch == "keep" else batches
        assert all(len(batch) == size for batch in whole)
        seen += chain(*batches)
    everything = list(range(length)) * 3
    if last_batch == "keep":
        assert seen == everything
    elif last_batch == "rollover":
        assert seen == everything[: len(everything) // size * size]
    else:
        assert seen == list(range(length // size * size)) * 3


@pytest.mark.parametrize("rollover", [True, False])
def test_interval(rollover: bool) -> None:
    sampler = IntervalSampler(7, 3, rollover)
    expected = [0, 3, 6, 1, 4, 2, 5] if rollover else [0, 3, 6]
    assert list(sampler) == expected and len(sampler) == len(expected)


def test_filter() -> None:
    sampler = FilterSampler(lambda sample: sample % 2, [3, 4, 5])
    assert list(sampler) == [0, 2] and len(sampler) == 2


def test_batches_of_any_iterable_with_a_length() -> None:
    assert list(BatchSampler("abc", 2)) == [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BatchSampler(range(3), 2, "drop"), "'keep', 'discard' or 'rollover', not 'drop'"),
        (lambda: BatchSampler(range(3), 0), "batch_size must be at least 1"),
        (lambda: SequentialSampler(-1), "length must be at least 0"),
        (lambda: SequentialSampler(10**30), "length must be at most"),
        (lambda: SequentialSampler(1, "x"), "start must be an integer"),  # type: ignore[arg-type]
        (lambda: RandomSampler(1.5), "length must be an integer"),
        (lambda: IntervalSampler(2, 3), "interval must be at most the length, 2"),
    ],
)
def test_wrong_arguments(call: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()  # type: ignore[operator]


def test_the_base_class_says_what_is_missing() -> None:
    class Half(Sampler):
        pass

    with pytest.raises(NotImplementedError, match="Half has no __iter__"):
        iter(Half())
    with pytest.raises(NotImplementedError, match="Half has no __len__"):
        len(Half())


def test_long_intervals_take_no_memory() -> None:
    sampler = IntervalSampler(2**60, 2**59)
    assert len(sampler) == 2**60
    assert list(islice(sampler, 3)) == [0, 2**59, 1]
    assert list(IntervalSampler(4, 2.0)) == [0, 2, 1, 3]  # type: ignore[arg-type]
