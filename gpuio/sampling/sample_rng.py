"""The generator that augmenters draw from: Python's own, or one for each sample of an iterator.

An iterator's samples are made in several threads, in any order. So that each is the same every
time, its draws come from a generator of its own, which the thread that makes it uses meanwhile.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

_own = threading.local()


@contextmanager
def seeded(*seed: int) -> Iterator[None]:
    """Let this thread's draws follow from some numbers alone."""
    _own.generator = random.Random(repr(seed))
    try:
        yield
    finally:
        _own.generator = None


def _generator() -> Any:
    """What the calling thread draws from: its own generator, or the module `random`."""
    return getattr(_own, "generator", None) or random


def uniform(low: float, high: float) -> float:
    """A number between two."""
    number: float = _generator().uniform(low, high)
    return number


def below(chance: float) -> bool:
    """Whether something of a probability happens."""
    return bool(_generator().random() < chance)


def randint(low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    number: int = _generator().randint(low, high)
    return number


def shuffled(values: Sequence[T]) -> list[T]:
    """All of some values, in a random order."""
    order: list[T] = _generator().sample(values, len(values))
    return order


def choice(values: Sequence[T]) -> T:
    """One of some values."""
    chosen: T = _generator().choice(values)
    return chosen


def normal(deviation: float, count: int) -> Any:
    """Numbers of a normal distribution about 0, float64 (count,); outside of iterators from NumPy's
    global generator, as in MXNet.
    """
    own = getattr(_own, "generator", None)
    if own is None:
        return np.random.normal(0, deviation, count)
    return np.array([own.gauss(0, deviation) for _ in range(count)])


def uniforms(low: float, high: float, count: int | None) -> Any:
    """Numbers between two, float64 (count,), or one number; drawn as those of `normal`."""
    own = getattr(_own, "generator", None)
    if own is None:
        return np.random.uniform(low, high, count)
    return (
        own.uniform(low, high)
        if count is None
        else np.array([own.uniform(low, high) for _ in range(count)])
    )
