"""KeyboardInterrupt at each moment at which CPython may raise it in gpuio's code.

A signal handler runs where a Python function begins and where a call returns, before its result is
stored (and at the end of a loop's body, which adds nothing here). These moments are counted, and
the exception is raised at one of them; so all can be tried.

``python -m tests.interruptions`` tries all of all iterators, which takes some minutes.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import gpuio as mx

PACKAGE = str(Path(mx.__file__).parent)


def _interrupt() -> None:
    raise KeyboardInterrupt


class Interruption:
    """Raises KeyboardInterrupt once, at a moment of the calling thread's work in gpuio, or does
    what else a signal handler may do.

    Attributes
    ----------
    moments : that have passed
    place : where it was raised; None: the work ended before
    """

    def __init__(self, at: int, handler: Callable[[], object] = _interrupt) -> None:
        self.moments = 0
        self.place: str | None = None
        self._at = at
        self._handler = handler

    def __enter__(self) -> "Interruption":
        sys.setprofile(self._look)
        return self

    def __exit__(self, *raised: object) -> None:
        sys.setprofile(None)

    def _look(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event not in ("call", "return", "c_return") or not code.co_filename.startswith(PACKAGE):
            return
        self.moments += 1
        if self.moments > self._at:
            sys.setprofile(None)
            self.place = f"{code.co_filename}:{frame.f_lineno}, {event} in {code.co_name}"
            self._handler()


class Seen(NamedTuple):
    """What a consumer got that catches KeyboardInterrupt and goes on.

    Attributes
    ----------
    epochs : the batches of each
    moments, place : see `Interruption`
    """

    epochs: list[list[Any]]
    moments: int
    place: str | None


def consume(
    iterator: mx.io.DataIter, at: int, epochs: int, states: bool, digest: Callable[[Any], Any]
) -> Seen:
    """Draw some epochs, with an interruption. What fails is done again; `states`: load a state in
    each epoch.
    """
    found: list[list[Any]] = [[]]
    with Interruption(at) as interruption:
        loaded = not states
        while True:
            try:
                if len(found[-1]) == 2 and not loaded:
                    loaded = True
                    state = iterator.state_dict()
                    iterator.load_state_dict(state)
                found[-1].append(iterator.next())
            except KeyboardInterrupt:
                continue
            except StopIteration:
                if len(found) == epochs:
                    break
                while True:
                    try:
                        iterator.reset()
                        break
                    except KeyboardInterrupt:
                        continue
                loaded = not states
                found.append([])
    return Seen(
        [[digest(batch) for batch in epoch] for epoch in found],
        interruption.moments,
        interruption.place,
    )


def lost(found: Seen, expected: Seen) -> int:
    """The number of batches that are missing.

    Raises
    ------
    AssertionError : something is wrong or comes twice.
    """
    missing = 0
    for batches, whole in zip(found.epochs, expected.epochs, strict=True):
        following = iter(whole)
        for batch in batches:
            assert batch in following, f"interrupted at {found.place}"
        missing += len(whole) - len(batches)
    return missing


def check(
    make: Callable[[], mx.io.DataIter],
    moments: Callable[[int], Iterator[int] | range],
    digest: Callable[[Any], Any],
    states: bool = True,
) -> int:
    """Interrupt an iterator at some of the moments; how many there are.

    Raises
    ------
    AssertionError : more than the batch in hand was lost, or something else is wrong.
    """
    with make() as iterator:
        expected = consume(iterator, sys.maxsize, 2, states, digest)
    for at in moments(expected.moments):
        with make() as iterator:
            found = consume(iterator, at, 2, states, digest)
        assert lost(found, expected) <= 1, f"interrupted at {found.place}"
    return expected.moments


def main() -> None:
    """Try all moments of all iterators."""
    from tests.io.conformance import digest
    from tests.io.test_interruptions import STATELESS, makers

    with tempfile.TemporaryDirectory() as folder:
        for name, make in makers(Path(folder)).items():
            count = check(make, range, digest, name not in STATELESS)
            print(f"{name}: {count} moments", flush=True)


if __name__ == "__main__":
    main()
