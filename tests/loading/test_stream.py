"""Streams: positions, epochs and saved states."""

from typing import Any

import pytest

from gpuio.errors import Error, StateError
from gpuio.loading.stream import DirectStream, OrderedStream, drop_carried
from gpuio.sampling.order import Order


def opened(last_batch: str = "wrap", load: Any = None) -> DirectStream[Any]:
    return DirectStream(
        Order(10, 4, last_batch=last_batch), load or (lambda at: at.record.tolist())
    )


def epoch(stream: DirectStream[Any]) -> list[Any]:
    return list(iter(stream.next, None))


def test_an_epoch_ends_and_reset_continues() -> None:
    stream = opened()
    assert epoch(stream) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]
    assert stream.ended and stream.next() is None and stream.epoch == 0
    stream.reset()
    assert stream.epoch == 1 and not stream.ended
    assert epoch(stream) == [[2, 3, 4, 5], [6, 7, 8, 9]]


def test_reset_in_the_middle_begins_the_next_epoch_with_its_first_record() -> None:
    stream = opened()
    stream.next()
    stream.reset()
    assert (stream.epoch, stream.position) == (1, 10) and stream.next() == [0, 1, 2, 3]


def test_reset_at_the_beginning_does_nothing() -> None:
    stream = opened()
    stream.reset()
    stream.reset()
    assert (stream.epoch, stream.position) == (0, 0)
    epoch(stream)
    stream.reset()
    stream.reset()
    assert (stream.epoch, stream.position) == (1, 12)


@pytest.mark.parametrize("last_batch", ["wrap", "pad", "discard", "roll_over"])
def test_states_restore_any_position(last_batch: str) -> None:
    stream, states, found = opened(last_batch), [], []
    for _ in range(12):
        states.append(stream.state())
        found.append(stream.next())
        if found[-1] is None:
            stream.reset()
    for stop in (7, 2, 11, 0):
        other = opened(last_batch)
        other.restore(states[stop])
        assert other.state() == states[stop]
        for expected in found[stop:]:
            assert other.next() == expected
            if expected is None:
                other.reset()


@pytest.mark.parametrize(
    "state",
    [
        {"position": 3, "start": 4, "ended": False},
        {"position": -1, "start": -1, "ended": False},
        {"position": 3, "start": 0},
        {"position": "three", "start": 0, "ended": False},
        {"position": None, "start": 0, "ended": False},
    ],
    ids=str,
)
def test_what_is_no_state_changes_nothing(state: Any) -> None:
    stream = opened()
    stream.next()
    before = stream.state()
    for use in (stream.check, stream.restore):
        with pytest.raises(StateError):
            use(state)
        assert stream.state() == before


def test_a_failure_leaves_the_position() -> None:
    failing = [True]

    def load(at: Any) -> list[int]:
        if failing and at.next_position == 8:
            failing.clear()
            raise ValueError("busy")
        return at.record.tolist()

    stream = opened(load=load)
    stream.next()
    with pytest.raises(ValueError, match="busy"):
        stream.next()
    assert stream.position == 4 and stream.next() == [4, 5, 6, 7]


def test_close_refuses_further_batches() -> None:
    stream = opened()
    stream.close()
    stream.close()
    with pytest.raises(Error, match="closed"):
        stream.next()


def test_epochs_are_those_of_the_order() -> None:
    stream = OrderedStream(Order(10, 4, last_batch="roll_over"))
    assert stream.epoch == 0
    stream.restore({"position": 8, "start": 8, "ended": False})
    assert stream.epoch == 1  # a batch belongs to the epoch of its last sample
    stream.restore({"position": 0, "start": 0, "ended": False})
    assert stream.position == 0


def test_carried_samples_can_be_dropped() -> None:
    stream = opened("roll_over")
    assert epoch(stream) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    stream.reset()
    drop_carried(stream, stream.order)
    assert (stream.epoch, stream.position) == (1, 10)
    drop_carried(stream, stream.order)
    assert epoch(stream) == [[0, 1, 2, 3], [4, 5, 6, 7]]
