"""The values of saved states, and positions in an order."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.errors import StateError
from gpuio.loading.states import (
    LARGEST,
    as_state,
    equal,
    field,
    flag,
    integer,
    items,
    position_in,
    shown,
)
from gpuio.loading.stream import DirectStream
from gpuio.sampling.order import LAST_BATCH_MODES, Order


@pytest.mark.parametrize("value", [7, np.int64(7), np.uint8(7), np.array(7)], ids=repr)
def test_integers(value: Any) -> None:
    found = integer({"row": value}, "row")
    assert found == 7 and type(found) is int


@pytest.mark.parametrize(
    "value",
    [True, np.bool_(1), 7.0, np.float64(7), "7", None, [7], np.array([7, 7]), float("nan")],
    ids=repr,
)
def test_what_is_no_integer(value: Any) -> None:
    with pytest.raises(StateError, match=r"the state's row is .*, expected an integer"):
        integer({"row": value}, "row")


def test_integers_out_of_range() -> None:
    assert integer({"row": LARGEST}, "row") == LARGEST
    for value, said in ((-1, "at least 0"), (10**5000, "at most"), (2**63, "at most")):
        with pytest.raises(StateError, match=rf"the state's row is .*, .* of {said}"):
            integer({"row": value}, "row")
    with pytest.raises(StateError, match=r"the state's row is 5, expected an integer of at most 4"):
        integer({"row": 5}, "row", most=4)


def test_flags() -> None:
    assert flag({"ended": True}, "ended") is True
    assert flag({"ended": np.bool_(0)}, "ended") is False
    for value in ("false", 0, 1, None, 0.0, []):
        with pytest.raises(StateError, match=r"the state's ended is .*, expected True or False"):
            flag({"ended": value}, "ended")


def test_lists() -> None:
    assert items({"places": [1, 2]}, "places", 2) == [1, 2]
    for value in ([1], [1, 2, 3], "ab", {1: 2, 3: 4}, None):
        with pytest.raises(StateError, match=r"the state's places is .*, expected a list of 2"):
            items({"places": value}, "places", 2)


def test_what_is_missing() -> None:
    with pytest.raises(StateError, match="the state has no 'row'"):
        field({}, "row")
    for value in (None, [], "state", 5):
        with pytest.raises(StateError, match="a state is a dict, not"):
            as_state(value)


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        (5, 5, True),
        (5, np.int32(5), True),
        (5, 5.0, False),
        (1, True, False),
        (True, True, True),
        (True, np.bool_(True), True),
        (True, 1, False),
        ("a", "a", True),
        ("a", None, False),
        (["a", 5], ("a", 5), True),
        (["a", 5], ["a", 5.0], False),
        (["a"], ["a", "b"], False),
        (["a"], "a", False),
    ],
)
def test_equal_values_have_equal_types(mine: Any, theirs: Any, expected: bool) -> None:
    assert equal(mine, theirs) is expected


def test_values_in_messages_are_short() -> None:
    class Mute:
        def __repr__(self) -> str:
            raise ValueError("nothing to say")

    assert shown("x") == "'x'"
    assert len(shown("x" * 10**6)) < 100
    assert shown(10**5000) == "a value of type int" and shown(Mute()) == "a value of type Mute"


def state(position: int, start: int, ended: bool) -> dict[str, Any]:
    return {"position": position, "start": start, "ended": ended}


@pytest.mark.parametrize(
    ("last_batch", "wrong"),
    [
        ("wrap", [(3, 4, False), (3, 2, False), (10, 0, False), (8, 0, True), (30, 0, True)]),
        ("pad", [(14, 12, False), (10, 0, False), (8, 0, True), (12, 0, True), (0, 0, True)]),
        ("discard", [(14, 12, False), (10, 0, False), (8, 0, True), (12, 0, True)]),
        ("roll_over", [(10, 0, False), (11, 0, True), (0, 0, True), (31, 8, True)]),
    ],
)
def test_positions_that_contradict_themselves(
    last_batch: str, wrong: list[tuple[int, int, bool]]
) -> None:
    order = Order(10, 4, last_batch=last_batch)
    for values in (*wrong, (-1, -1, False), (4, -4, False), (10**30, 0, False), (2**62, 0, False)):
        with pytest.raises(StateError):
            position_in(order, state(*values))


orders = st.builds(
    lambda size, batch, mode: Order(size, min(batch, size), True, 3, mode),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(LAST_BATCH_MODES),
)
# What a consumer does: takes batches, and resets at any moment.
uses = st.lists(st.sampled_from(["next", "next", "next", "reset"]), max_size=30)


def used(order: Order, calls: list[str]) -> DirectStream[list[int]]:
    stream = DirectStream(order, lambda at: at.record.tolist())
    for call in calls:
        if call == "reset" or stream.next() is None:
            stream.reset()
    return stream


@given(order=orders, calls=uses)
def test_every_position_is_accepted_and_restored(order: Order, calls: list[str]) -> None:
    stream = used(order, calls)
    saved = json.loads(json.dumps(stream.state()))
    other = DirectStream(order, lambda at: at.record.tolist())
    other.restore(saved)
    assert other.state() == saved
    for _ in range(5):
        assert other.next() == stream.next() and other.state() == stream.state()
        if stream.ended:
            stream.reset()
            other.reset()


@given(order=orders, calls=uses, batch_size=st.integers(1, 40))
def test_positions_resume_with_another_batch_size(
    order: Order, calls: list[str], batch_size: int
) -> None:
    """Without a gap, and without mixing the epochs where they are not to be."""
    stream = used(order, calls)
    position = stream.position
    other = Order(order.size, min(batch_size, order.size), True, 3, order.last_batch)
    resumed = DirectStream(other, lambda at: at)
    resumed.restore(stream.state())
    following = resumed.next()
    if following is None:
        assert resumed.ended
        resumed.reset()
        following = resumed.next()
    assert following is not None
    if order.last_batch == "discard":
        assert len(set(following.epoch.tolist())) == 1 and following.pad == 0
        dropped = following.begin - position
        assert dropped == 0 or (dropped < batch_size and following.begin % order.size == 0)
    else:
        assert following.begin == position


@given(
    order=orders,
    calls=uses,
    name=st.sampled_from(["position", "start", "ended"]),
    value=st.integers(-5, 200) | st.booleans() | st.sampled_from([2**62, 2**63, 10**30]),
)
def test_what_is_accepted_is_a_position(
    order: Order, calls: list[str], name: str, value: int
) -> None:
    stream = used(order, calls)
    before = stream.state()
    try:
        stream.restore({**before, name: value})
    except StateError:
        assert stream.state() == before
        return
    for _ in range(4):
        batch = stream.next()
        assert batch is None or all(0 <= record < order.size for record in batch)
        assert 0 <= stream.start <= stream.position
        if batch is None:
            stream.reset()
