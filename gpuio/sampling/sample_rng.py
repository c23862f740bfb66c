"""Random numbers for one sample, drawn one after another.

An iterator makes its samples in several threads, in any order. Each sample therefore has a
generator of its own, a `SampleRng`, whose numbers depend on (seed, epoch, record) alone; whoever
draws is handed it. Functions with MXNet's signatures, which have no argument for a generator, ask
`current_rng`.
"""

from __future__ import annotations

import contextvars
import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from gpuio.context_variables import call_with
from gpuio.generators import numpy_generator, python_generator
from gpuio.sampling import philox

T = TypeVar("T")

# Words drawn ahead for each sample of a batch, all at once; most samples need no more.
WORDS_AHEAD = 32

# Words drawn when these are used up.
MORE_WORDS = 128


class Rng(Protocol):
    """A source of random numbers."""

    def random(self) -> float:
        """A number in [0, 1)."""

    def uniform(self, low: float, high: float) -> float:
        """A number between two."""

    def randint(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""

    def choice(self, values: Sequence[T]) -> T:
        """One of several values."""

    def shuffled(self, values: Sequence[T]) -> list[T]:
        """All of several values, in random order."""

    def normal(self, deviation: float, count: int) -> NDArray[np.float64]:
        """Normally distributed numbers with mean 0: float64 (count,)."""

    def uniforms(self, low: float, high: float, count: int) -> NDArray[np.float64]:
        """Numbers between two: float64 (count,)."""


class SampleRng:
    """The random numbers of one sample: a stream of Philox words.

    Parameters
    ----------
    seed, epoch, record : what the numbers depend on
    words : the stream's first words, if they have been drawn already
    """

    def __init__(self, seed: int, epoch: int, record: int, words: Sequence[int] = ()) -> None:
        self._key = seed, np.array([epoch]), np.array([record])
        self._words = words
        self._skipped = 0  # words before `_words`
        self._next = 0

    def random(self) -> float:
        """A number in [0, 1), in steps of 2**-32."""
        if self._next == len(self._words):
            self._draw_more()
        word = self._words[self._next]
        self._next += 1
        return word * 2.0**-32

    def uniform(self, low: float, high: float) -> float:
        """A number between two."""
        return low + (high - low) * self.random()

    def randint(self, low: int, high: int) -> int:
        """An integer from low to high, both included.

        Raises
        ------
        ValueError : high is below low.
        """
        if high < low:
            raise ValueError(f"there is no integer from {low} to {high}")
        return low + int(self.random() * (high - low + 1))

    def choice(self, values: Sequence[T]) -> T:
        """One of several values."""
        return values[self.randint(0, len(values) - 1)]

    def shuffled(self, values: Sequence[T]) -> list[T]:
        """All of several values, in random order (Fisher and Yates)."""
        order = list(values)
        for last in range(len(order) - 1, 0, -1):
            other = self.randint(0, last)
            order[last], order[other] = order[other], order[last]
        return order

    def normal(self, deviation: float, count: int) -> NDArray[np.float64]:
        """Normally distributed numbers with mean 0: float64 (count,) (Box and Muller)."""
        drawn = []
        for _ in range(count):
            radius = math.sqrt(-2 * math.log(1 - self.random()))
            drawn.append(deviation * radius * math.cos(2 * math.pi * self.random()))
        return np.array(drawn)

    def uniforms(self, low: float, high: float, count: int) -> NDArray[np.float64]:
        """Numbers between two: float64 (count,)."""
        return np.array([self.uniform(low, high) for _ in range(count)])

    def _draw_more(self) -> None:
        self._skipped += len(self._words)
        seed, epoch, record = self._key
        self._words = philox.words(
            seed, epoch, record, philox.AUGMENT, MORE_WORDS, skip=self._skipped
        )[0].tolist()
        self._next = 0


def sample_rngs(seed: int, epoch: NDArray[np.int64], record: NDArray[np.int64]) -> list[SampleRng]:
    """The generators of a batch's samples.

    Parameters
    ----------
    seed : the seed of the augmentation
    epoch, record : int64 (N,)
    """
    words = philox.words(seed, epoch, record, philox.AUGMENT, WORDS_AHEAD).tolist()
    keys = zip(epoch.tolist(), record.tolist(), words, strict=True)
    return [SampleRng(seed, *key) for key in keys]


class GlobalRng:
    """`gpuio.generators`: until they are seeded Python's and NumPy's global ones,
    from which MXNet's augmenters draw.
    """

    def random(self) -> float:
        """A number in [0, 1)."""
        return python_generator().random()  # type: ignore[no-any-return]

    def uniform(self, low: float, high: float) -> float:
        """A number between two."""
        return python_generator().uniform(low, high)  # type: ignore[no-any-return]

    def randint(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return python_generator().randint(low, high)  # type: ignore[no-any-return]

    def choice(self, values: Sequence[T]) -> T:
        """One of several values."""
        return python_generator().choice(values)  # type: ignore[no-any-return]

    def shuffled(self, values: Sequence[T]) -> list[T]:
        """All of several values, in random order."""
        return python_generator().sample(values, len(values))  # type: ignore[no-any-return]

    def normal(self, deviation: float, count: int) -> NDArray[np.float64]:
        """Normally distributed numbers with mean 0: float64 (count,)."""
        return numpy_generator().normal(0, deviation, count)  # type: ignore[no-any-return]

    def uniforms(self, low: float, high: float, count: int) -> NDArray[np.float64]:
        """Numbers between two: float64 (count,)."""
        return numpy_generator().uniform(low, high, count)  # type: ignore[no-any-return]


_global_rng = GlobalRng()
_current: contextvars.ContextVar[Rng | None] = contextvars.ContextVar("gpuio_rng", default=None)


def current_rng() -> Rng:
    """The generator of the sample that this thread is making; outside of iterators, those of
    `gpuio.generators`.
    """
    return _current.get() or _global_rng


def call_with_rng(rng: Rng, function: Callable[..., T], *arguments: Any) -> T:
    """Call a function with `rng` as this thread's current generator."""
    return call_with(_current, rng, function, *arguments)
