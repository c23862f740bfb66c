"""Streams: batches one after another, epoch after epoch, from a place that can be saved."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from gpuio.errors import Error, StateError
from gpuio.sampling.order import BatchIndices, Order

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

CLOSED = "the iterator is closed; create a new one"
OTHER_PROCESS = "the iterator belongs to another process; create one in each process"


class Stream(Protocol[T_co]):
    """What an iterator draws from.

    What has been handed out counts, what is made ahead does not.
    """

    @property
    def epoch(self) -> int:
        """The number of the current epoch, from 0."""

    @property
    def ended(self) -> bool:
        """Whether the current epoch is known to have ended; `reset` begins the next."""

    def next(self) -> T_co | None:
        """The next batch; None where the epoch has ended."""

    def reset(self) -> None:
        """Begin the next epoch.

        After the end of an epoch that is where the stream goes on. In the middle of one, its rest
        is dropped and the next begins with its first record. At the beginning of one there is
        nothing to do.
        """

    def state(self) -> dict[str, Any]:
        """Where the stream is, as a dict that JSON can hold."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state.

        Raises
        ------
        StateError : it makes no sense.
        KeyError, TypeError, ValueError : it is not a state at all.
        """

    def close(self) -> None:
        """Let go of everything. May be called twice."""


class OrderedStream:
    """The part that all streams over an `Order` share: position, epochs, saved state.

    Attributes
    ----------
    order : the order of the samples
    position : places consumed so far
    start : the position at which the current epoch began
    ended : whether the current epoch has no further batch
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        self.position = self.start = 0
        self.ended = False

    @property
    def epoch(self) -> int:
        """The number of the current epoch, from 0."""
        return self.order.epoch(self.start)

    def reset(self) -> None:
        """Begin the next epoch, as `Stream` says."""
        position = self.position
        if not self.ended and position != self.start:
            position = self.order.restart(position)
            self.seek(position)
        self.start = position
        self.ended = False

    def state(self) -> dict[str, Any]:
        """Where the stream is."""
        return {"position": self.position, "start": self.start, "ended": self.ended}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        position, start = int(state["position"]), int(state["start"])
        ended = bool(state["ended"])
        if not 0 <= start <= position:
            raise StateError(f"the state's position {position} does not follow its start {start}")
        self.seek(position)
        self.start, self.ended = start, ended

    def seek(self, position: int) -> None:
        """Go on from another position."""
        self.position = position


class DirectStream(OrderedStream, Generic[T]):
    """Makes each batch when it is asked for.

    Parameters
    ----------
    order : the order of the samples
    load : makes the batch of a slice of the stream
    """

    def __init__(self, order: Order, load: Callable[[BatchIndices], T]) -> None:
        super().__init__(order)
        self._load = load
        self._closed = False

    def next(self) -> T | None:
        """The batch at `position`, which moves behind it; if it fails the position stays."""
        if self._closed:
            raise Error(CLOSED)
        if self.ended:
            return None
        take = self.order.batch_at(self.position)
        batch = self._load(take)
        self.position, self.ended = take.position, take.last
        return batch

    def close(self) -> None:
        """Refuse further batches."""
        self._closed = True


class ForkGuard:
    """The process that made something whose threads a fork does not take along."""

    def __init__(self) -> None:
        self._process = os.getpid()

    def check(self, advice: str = OTHER_PROCESS) -> None:
        """Refuse to be used in another one.

        Raises
        ------
        Error : this is another process; the text is `advice`.
        """
        if os.getpid() != self._process:
            raise Error(advice)
