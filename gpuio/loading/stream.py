"""Streams: batches one after another, epoch after epoch, from a position that can be saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from gpuio.errors import Error
from gpuio.loading.states import Position, position_in
from gpuio.sampling.order import BatchIndices, Order

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# A saved position: small, and JSON-able.
State: TypeAlias = dict[str, Any]

CLOSED = "the iterator is closed; create a new one"


class Stream(Protocol[T_co]):
    """Where an iterator takes its batches from.

    Positions and states count batches handed out, not those made ahead.

    One thread at a time may call `next`, `reset` and `restore`; any may call the others at any
    time. If a signal handler raises in one of the three, the stream can still be used: after
    `next` it continues, and has lost one batch at most; after the others the position has to be
    restored, if it can be.
    """

    @property
    def state_fields(self) -> tuple[str, ...]:
        """The names of the values of a state."""

    @property
    def epoch(self) -> int:
        """The number of the current epoch, from 0."""

    @property
    def ended(self) -> bool:
        """Whether the current epoch is known to have ended; `reset` begins the next."""

    def next(self) -> T_co | None:
        """The next batch; None at the end of the epoch."""

    def reset(self) -> None:
        """Begin the next epoch.

        After the end of an epoch the stream continues there. In the middle of one, its rest is
        dropped and the next begins with its first record. At the beginning nothing is done.
        """

    def state(self) -> State:
        """The current position; the dict belongs to the caller."""

    def check(self, state: State) -> None:
        """Check a saved position, and change nothing.

        Raises
        ------
        StateError : it is not a position of this stream.
        Error : the data cannot be read.
        """

    def restore(self, state: State) -> None:
        """Restore a saved position that `check` accepts; no data are read."""

    def wake(self, interruptions: Mapping[int, str]) -> None:
        """Make the thread that waits in `next` look at the interruptions; see `Waiter.wake`. A
        stream whose `next` returns soon may do nothing.
        """

    def close(self) -> None:
        """Release all resources. May be called twice."""


class Placed(Protocol):
    """A position, see `PlacedStream`."""

    @property
    def epoch(self) -> int:
        """The number of the epoch, from 0."""

    @property
    def ended(self) -> bool:
        """Whether the epoch is known to have ended."""


class PlacedStream:
    """What streams have in common whose position is one value. It is replaced as a whole, so that a
    signal handler finds either the old one or the new one.
    """

    _place: Placed

    @property
    def epoch(self) -> int:
        """The number of the current epoch, from 0."""
        return self._place.epoch

    @property
    def ended(self) -> bool:
        """Whether the current epoch is known to have ended."""
        return self._place.ended


class OrderedStream:
    """What all streams over an `Order` share: position, epochs, saved state.

    Attributes
    ----------
    order : the order of the samples
    position : places consumed so far
    start : the position at which the current epoch began
    ended : whether the current epoch has no further batch
    """

    state_fields = Position._fields

    def __init__(self, order: Order) -> None:
        self.order = order
        self.position = self.start = 0
        self.ended = False

    @property
    def epoch(self) -> int:
        """The number of the current epoch, from 0."""
        return self.order.epoch(self.start)

    def reset(self) -> None:
        """Begin the next epoch; see `Stream.reset`."""
        position = self.position
        if not self.ended and position != self.start:
            position = self.order.next_epoch_start(position)
            self.drop_ahead()
        self.position, self.start, self.ended = position, position, False

    def state(self) -> State:
        """The current position."""
        return {"position": self.position, "start": self.start, "ended": self.ended}

    def check(self, state: State) -> None:
        """Check a saved position; see `Stream.check`."""
        position_in(self.order, state)

    def restore(self, state: State) -> None:
        """Restore a saved position."""
        position, start, ended = position_in(self.order, state)
        self.drop_ahead()
        self.position, self.start, self.ended = position, start, ended

    def drop_ahead(self) -> None:
        """Drop what has been made ahead of the caller, before the position changes."""

    def wake(self, interruptions: Mapping[int, str]) -> None:
        """Do nothing: `next` does not wait for other threads."""


class DirectStream(OrderedStream, Generic[T]):
    """Makes each batch when it is asked for.

    Parameters
    ----------
    order : the order of the samples
    load : makes the batch for its indices
    """

    def __init__(self, order: Order, load: Callable[[BatchIndices], T]) -> None:
        super().__init__(order)
        self._load = load
        self._closed = False

    def next(self) -> T | None:
        """The next batch; None at the end of the epoch. If making it fails, the position stays."""
        if self._closed:
            raise Error(CLOSED)
        if self.ended:
            return None
        indices = self.order.batch_at(self.position)
        batch = self._load(indices)
        self.position, self.ended = indices.next_position, indices.last
        return batch

    def close(self) -> None:
        """Refuse further batches."""
        self._closed = True


def progress(stream: Stream[Any], order: Order) -> str:
    """The caller's position in a stream that follows an order, for people."""
    state = stream.state()
    given = -(-(state["position"] - state["start"]) // order.global_batch_size)
    count = order.num_batches(state["start"])
    return f"epoch {stream.epoch}, {min(given, count)} of {count} batches"


def drop_carried(stream: Stream[Any], order: Order) -> None:
    """At the beginning of an epoch, leave out the samples that roll over from the one before."""
    position = stream.state()["position"]
    if position % order.size:
        start = order.next_epoch_start(position)
        stream.restore({"position": start, "start": start, "ended": False})
