"""The iterators that other iterators wrap: their descriptions and positions.

They may be any DataIter, also a user's own with only `next` (or ``__next__``) and `reset`, which
cannot save its state.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import TypeAlias

from gpuio.errors import StateError
from gpuio.iterators.data_iter import DataIter
from gpuio.iterators.desc import DataDesc
from gpuio.iterators.stream_iter import StreamIter
from gpuio.loading.stream import State
from gpuio.nd.types import Untyped

MISPLACED = (
    "a batch of this epoch, reset() or load_state_dict() has failed, and an iterator cannot be "
    "restored to the position before it; reset() begins the next epoch"
)

# A DataDesc, or what users' own iterators have in its place: a pair of name and shape.
Description: TypeAlias = Sequence[Untyped]


def as_descriptions(descriptions: Iterable[Description] | None) -> list[DataDesc]:
    """`provide_data` or `provide_label` of any iterator as DataDescs; users' own iterators may have
    plain pairs.
    """
    return [each if isinstance(each, DataDesc) else DataDesc(*each) for each in descriptions or ()]


def state_of(iterator: DataIter) -> State | None:
    """An iterator's position; None if it cannot save it."""
    try:
        state = iterator.state_dict()
    except (AttributeError, NotImplementedError):
        return None
    # A user's own iterator may go on changing it.
    own = getattr(type(iterator), "state_dict", None) is StreamIter.state_dict
    return state if own else copy.deepcopy(state)


def load_state(iterator: DataIter, state: State) -> None:
    """Restore an iterator's position; what it gets is its own."""
    try:
        iterator.load_state_dict(copy.deepcopy(state))
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, StateError):
            raise
        raise StateError(f"not a state of {type(iterator).__name__}: {error!r}") from error


def close_all(iterators: Iterable[DataIter]) -> None:
    """Close iterators: all, also where closing one of them fails, which is raised then. A user's
    own may have no `close`.
    """
    with ExitStack() as stack:
        for iterator in iterators:
            if hasattr(iterator, "close"):
                stack.callback(iterator.close)


def put_back(iterators: Sequence[DataIter], states: Sequence[State | None]) -> bool:
    """Restore iterators to where they were; False if one cannot be."""
    if any(state is None for state in states):
        return False
    try:
        for iterator, state in zip(iterators, states, strict=True):
            assert state is not None
            load_state(iterator, state)
    except Exception:
        return False
    return True
