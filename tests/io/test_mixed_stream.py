"""The stream under MixIter; more in test_mix.py."""

import itertools

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import Error
from gpuio.io.mixed_stream import MixedStream
from tests.io.test_mix import Saves


def stream(*batches: int, size: int | None = None, until_all: bool = False) -> MixedStream:
    shares = np.full(len(batches), 1 / len(batches))
    inner: list[mx.io.DataIter] = [Saves(count) for count in batches]
    return MixedStream(inner, shares, 3, size, until_all)


@pytest.mark.parametrize(("size", "until_all"), [(None, False), (None, True), (5, False)])
def test_the_order_follows_from_seed_and_epoch(size: int | None, until_all: bool) -> None:
    orders = []
    for mixed in (stream(4, 7, size=size, until_all=until_all) for _ in range(2)):
        found: list[list[int | None]] = []
        for epoch in range(3):
            assert mixed.epoch == epoch and mixed.source is None
            found.append([])
            while mixed.next() is not None:
                found[-1].append(mixed.source)
            assert mixed.ended
            mixed.reset()
        orders.append(found)
    assert orders[0] == orders[1]
    first = orders[0][0]
    assert {abs(2 * first[:step].count(0) - step) for step in range(len(first))} <= {0, 1}


def test_a_state_within_a_batch_is_the_one_before_it() -> None:
    """As a signal handler saves it."""
    saved = []

    class Asks(Saves):
        def __next__(self) -> mx.io.DataBatch:
            batch = super().__next__()
            saved.append(mixed.state())
            return batch

    inner: list[mx.io.DataIter] = [Asks(3), Asks(3)]
    mixed = MixedStream(inner, np.array([0.5, 0.5]), 0, 4, False)
    for _ in range(4):
        before = mixed.state()
        mixed.next()
        assert saved.pop() == before != mixed.state()


def test_lengths_of_iterators_that_end_are_remembered() -> None:
    mixed = stream(2, 5, until_all=True)
    for _ in itertools.takewhile(lambda batch: batch is not None, iter(mixed.next, 0)):
        pass
    state = mixed.state()
    assert state["lengths"] == [2, 5] and state["ended"]
    assert state["taken"][0] > 2 and state["taken"][1] == 5


def test_a_closed_stream_gives_nothing() -> None:
    mixed = stream(2, 2)
    mixed.close()
    mixed.close()
    with pytest.raises(Error, match="closed"):
        mixed.next()
