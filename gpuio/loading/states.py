"""Saved states: their values are checked here, before anything is changed."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gpuio.errors import StateError
from gpuio.sampling.order import Order

# A value of a state that is yet to be checked.
Unchecked: TypeAlias = Any

# Positions, rows and epochs at most: they are int64.
LARGEST = 2**62

# Characters of a wrong value in a message.
SHOWN = 80


def as_state(value: Unchecked) -> Mapping[str, Unchecked]:
    """Check that a value is a dict."""
    if not isinstance(value, Mapping):
        raise StateError(f"a state is a dict, not {shown(value)}")
    return value


def field(state: Unchecked, name: str) -> Unchecked:
    """One value of a state.

    Raises
    ------
    StateError : it has no such value, or is not a dict.
    """
    if name not in as_state(state):
        raise StateError(f"the state has no {name!r}")
    return state[name]


def integer(state: Unchecked, name: str, least: int = 0, most: int = LARGEST) -> int:
    """An integer in a state, from `least` to `most`.

    Integers of NumPy and its like are accepted, True and 8.0 are not.

    Raises
    ------
    StateError : there is none, or it is out of range.
    """
    return as_integer(name, field(state, name), least, most)


def as_integer(what: str, value: Unchecked, least: int = 0, most: int = LARGEST) -> int:
    """Check an integer; see `integer`."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise StateError(f"the state's {what} is {shown(value)}, expected an integer") from None
    if not least <= number <= most:
        bound = f"least {least}" if number < least else f"most {most}"
        raise StateError(f"the state's {what} is {shown(value)}, expected an integer of at {bound}")
    return number


def flag(state: Unchecked, name: str) -> bool:
    """True or False in a state.

    Raises
    ------
    StateError : there is neither.
    """
    value = field(state, name)
    if not isinstance(value, (bool, np.bool_)):
        raise StateError(f"the state's {name} is {shown(value)}, expected True or False")
    return bool(value)


def items(state: Unchecked, name: str, count: int) -> Sequence[Unchecked]:
    """A list of `count` values in a state.

    Raises
    ------
    StateError : there is none, or it has another length.
    """
    return as_items(name, field(state, name), count)


def as_items(what: str, value: Unchecked, count: int) -> Sequence[Unchecked]:
    """Check a list; see `items`."""
    if not isinstance(value, (list, tuple)) or len(value) != count:
        raise StateError(f"the state's {what} is {shown(value)}, expected a list of {count}")
    return value


def equal(mine: Unchecked, theirs: Unchecked) -> bool:
    """Whether a value of a state equals what the iterator has in its place, type included: an
    integer, a bool, a string, or a list of them.
    """
    if isinstance(mine, list):
        return (
            isinstance(theirs, (list, tuple))
            and len(mine) == len(theirs)
            and all(map(equal, mine, theirs))
        )
    if isinstance(mine, bool):
        return isinstance(theirs, (bool, np.bool_)) and bool(theirs) == mine
    if isinstance(mine, int):
        return (
            isinstance(theirs, (int, np.integer))
            and not isinstance(theirs, bool)
            and int(theirs) == mine
        )
    return isinstance(theirs, type(mine)) and bool(theirs == mine)


def shown(value: object) -> str:
    """A value in a message, shortened."""
    try:
        text = repr(value)
    except Exception:  # an integer of thousands of digits, or a class's own mistake
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


class Position(NamedTuple):
    """A position in the stream of an `Order`.

    Attributes
    ----------
    position : places consumed so far
    start : the position at which the current epoch began
    ended : whether the current epoch has no further batch
    """

    position: int
    start: int
    ended: bool


def position_in(order: Order, state: Unchecked) -> Position:
    """The position that a state holds.

    It may have been saved with another batch size or number of ranks, so that it need not be a
    multiple of this order's batches. Where too few samples are left for a full batch of this order
    that may not be filled, the epoch has ended.

    Raises
    ------
    StateError : a value is missing, has another type or is out of range, or they contradict each
        other.
    """
    position = integer(state, "position", -LARGEST)
    start, ended = integer(state, "start", -LARGEST), flag(state, "ended")
    if not 0 <= start <= position:
        raise StateError(f"the state's position {position} does not follow its start {start}")
    size, rolls_over = order.size, order.last_batch == "roll_over"
    wraps = order.last_batch == "wrap"
    if (0 < start < size) if wraps else (start % size and not rolls_over):
        raise StateError(
            f"the state's start {start} is not where an epoch of {size} records begins"
        )
    # The samples that roll over belong to the epoch that they begin.
    end = ((-(-start // size) if rolls_over else start // size) + 1) * size
    first, last = start, end - 1
    if ended:
        first, last = (start + 1 if rolls_over else end), end
        if wraps:  # by a batch of up to two epochs
            last = end + 2 * size - 1
    if not first <= position <= last:
        raise StateError(
            f"the state's position {position} contradicts ended={ended}: of the epoch that began "
            f"at {start} it must be {first} to {last}"
        )
    if ended or order.last_batch in ("wrap", "pad"):
        return Position(position, start, ended)
    end = (order.epoch(start) + 1) * size
    if position >= end:  # with larger batches, samples before the start rolled over
        start, end = end, end + size
    if position + order.global_batch_size <= end:
        return Position(position, start, ended=False)
    return Position(position if rolls_over else end, start, ended=True)
