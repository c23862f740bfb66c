"""The stream under PrefetchingIter; more in test_combined.py."""

import pytest

import gpuio as mx
from gpuio.errors import Error, StateError
from gpuio.io.joined_stream import JoinedStream
from tests.io.test_mix import Counts, Saves


def stream(*batches: int, depth: int = 2) -> JoinedStream:
    inner: list[mx.io.DataIter] = [Saves(count) for count in batches]
    return JoinedStream(inner, depth)


def numbers(batch: mx.io.DataBatch | None) -> list[int]:
    """The number of the batch of each iterator."""
    assert batch is not None
    return [int(array[0].asscalar()) for array in batch.data]


def test_batches_are_joined_and_states_count_those_handed_out() -> None:
    joined = stream(3, 3)
    try:
        for epoch in range(2):
            assert (joined.epoch, joined.ended) == (epoch, False)
            for number in (1, 2, 3):
                assert numbers(joined.next()) == [number, number]
                state = joined.state()
                assert state["handed"] == number
                assert state["iterators"] == [{"at": number}] * 2
            assert joined.next() is None and joined.ended
            joined.reset()
        assert joined.asked == 8 and 0 <= joined.ready <= 8 * joined.depth
    finally:
        joined.close()


def test_epochs_of_different_lengths() -> None:
    joined = stream(3, 2)
    try:
        joined.next()
        joined.next()
        with pytest.raises(Error, match=r"number 1 \(Saves\) ended after 2 batches"):
            joined.next()
        with pytest.raises(Error, match=r"reset\(\) begins the next epoch"):
            joined.next()
        joined.reset()
        assert joined.epoch == 1 and numbers(joined.next()) == [1, 1]
    finally:
        joined.close()


def test_an_iterator_that_refuses_its_state_moves_no_other() -> None:
    joined = stream(3, 3)
    try:
        joined.next()
        state = joined.state()
        with pytest.raises(StateError):
            joined.restore({**state, "iterators": [{"at": 2}, {"at": 99}]})
        assert joined.state() == state and numbers(joined.next()) == [2, 2]
    finally:
        joined.close()


def test_one_that_cannot_save_its_state() -> None:
    joined = JoinedStream([Saves(2), Counts(2)], 1)
    try:
        assert numbers(joined.next()) == [1, 1]
        with pytest.raises(NotImplementedError, match="Counts cannot save its state"):
            joined.state()
        joined.pause()
        with pytest.raises(Error, match="cannot be restored"):
            joined.next()
        joined.reset()
        assert numbers(joined.next()) == [1, 1]
    finally:
        joined.close()


def test_a_closed_stream_gives_nothing() -> None:
    joined = stream(2)
    joined.close()
    joined.close()
    with pytest.raises(Error, match="closed"):
        joined.next()
