"""MXNet's samplers: the order in which a DataLoader takes samples."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from gpuio.errors import ArgumentError
from gpuio.iterators.arguments import as_batch_size, as_choice, as_int
from gpuio.nd.shapes import check_memory

LAST_BATCHES = ("keep", "discard", "rollover")


class Sampler:
    """Base class of samplers, including user-defined ones: a subclass defines ``__iter__``, which
    gives the indices of an epoch, and ``__len__``, their number.
    """

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} has no __iter__")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} has no __len__")


class SequentialSampler(Sampler):
    """The indices from `start` on, in order.

    Parameters
    ----------
    length : number of indices
    start : the first

    Examples
    --------
    >>> list(SequentialSampler(3, start=10))
    [10, 11, 12]
    """

    def __init__(self, length: int, start: int = 0) -> None:
        first = as_int("start", start)
        self._indices = range(first, first + as_int("length", length, 0, sys.maxsize))

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices)

    def __len__(self) -> int:
        return len(self._indices)


class RandomSampler(Sampler):
    """The indices below `length`, in a new random order each epoch.

    The order comes from NumPy's global generator: after ``numpy.random.seed`` it is MXNet's.

    Parameters
    ----------
    length : number of indices
    """

    def __init__(self, length: int) -> None:
        self._length = as_int("length", length, 0)
        check_memory("an order", (self._length,), 8)

    def __iter__(self) -> Iterator[Any]:
        indices = np.arange(self._length)
        np.random.shuffle(indices)
        return iter(indices)

    def __len__(self) -> int:
        return self._length


class FilterSampler(Sampler):
    """The indices of the samples for which a function is true; each sample is looked at once, when
    the sampler is created.

    Parameters
    ----------
    fn : takes a sample, such as a tuple (data, label)
    dataset : the samples
    """

    def __init__(self, fn: Callable[[Any], Any], dataset: Any) -> None:
        self._indices = [index for index in range(len(dataset)) if fn(dataset[index])]

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices)

    def __len__(self) -> int:
        return len(self._indices)


class IntervalSampler(Sampler):
    """Every n-th index, and then those that were skipped.

    Parameters
    ----------
    length : number of indices
    interval : n, from 1 to `length`
    rollover : False: leave out those that were skipped

    Raises
    ------
    ArgumentError : the interval is out of range.

    Examples
    --------
    >>> list(IntervalSampler(7, 3))
    [0, 3, 6, 1, 4, 2, 5]
    >>> list(IntervalSampler(7, 3, rollover=False))
    [0, 3, 6]
    """

    def __init__(self, length: int, interval: int, rollover: bool = True) -> None:
        self._length = as_int("length", length, 0, sys.maxsize)
        self._interval = as_int("interval", interval, 1)
        if self._interval > self._length:
            raise ArgumentError(f"interval must be at most the length, {length}, not {interval}")
        self._rollover = rollover

    def __iter__(self) -> Iterator[int]:
        begins = range(self._interval if self._rollover else 1)
        # Without a Python function, so that a signal handler's exception cannot end it.
        length, interval = itertools.repeat(self._length), itertools.repeat(self._interval)
        return itertools.chain.from_iterable(map(range, begins, length, interval))

    def __len__(self) -> int:
        return self._length if self._rollover else len(range(0, self._length, self._interval))


class BatchSampler(Sampler):
    """Indices of another sampler in batches, lists of `batch_size` indices.

    Parameters
    ----------
    sampler : gives the indices
    batch_size : of a batch, at least 1
    last_batch : what to do with the indices that do not fill a batch: "keep" them as a shorter
        batch, "discard" them, or "rollover": begin the next epoch with them

    Raises
    ------
    ArgumentError : last_batch or batch_size is invalid.

    Examples
    --------
    >>> list(BatchSampler(SequentialSampler(5), 2, "keep"))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[Any], batch_size: int, last_batch: str = "keep") -> None:
        self._sampler = sampler
        self._batch_size = as_batch_size(batch_size)
        self._last_batch = as_choice("last_batch", last_batch, LAST_BATCHES)
        self._carried: list[Any] = []

    def __iter__(self) -> Iterator[list[Any]]:
        carried, self._carried = self._carried, []
        return _Batches(itertools.chain(carried, self._sampler), self._batch_size, self._end)

    def _end(self, rest: list[Any]) -> list[Any] | None:
        """The last batch of an epoch, of the indices that do not fill one; None: there is none."""
        if self._last_batch == "rollover":
            self._carried = rest
        return rest if rest and self._last_batch == "keep" else None

    def __len__(self) -> int:
        count = len(self._carried) + len(self._sampler)  # type: ignore[arg-type]
        if self._last_batch == "keep":
            count += self._batch_size - 1
        return count // self._batch_size


class _Batches:
    """The batches of an epoch. Not a generator, which ends when a signal handler raises in it."""

    def __init__(
        self,
        indices: Iterator[Any],
        batch_size: int,
        end: Callable[[list[Any]], list[Any] | None],
    ) -> None:
        self._indices = indices
        self._batch_size = batch_size
        self._end = end
        self._ended = False

    def __iter__(self) -> Iterator[list[Any]]:
        return self

    def __next__(self) -> list[Any]:
        batch = [] if self._ended else list(itertools.islice(self._indices, self._batch_size))
        if len(batch) == self._batch_size:
            return batch
        last = None if self._ended else self._end(batch)
        self._ended = True
        if last is None:
            raise StopIteration
        return last
