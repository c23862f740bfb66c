"""Mixtures: samples of several sources in given proportions, spread evenly.

Of a source with a share ``p`` of the samples, sample ``j`` has the time ``(j + u) / p``, where
``u`` is a random number in [0, 1) that depends on seed, epoch, source and ``j`` alone; samples come
in the order of their times. So a source's samples are neither bunched, as those of independent
draws are, nor at regular distances. Among the first ``m`` samples of an epoch, each of two sources
has its share of ``m`` to within one sample; of ``k`` sources, to within ``k - 1`` samples, and
mostly to within the square root of ``k``.

Each source is an endless stream of its own, one permutation of its records after another, whatever
the epochs of the mixture: no record comes an n-th time before all of its source have come n - 1
times.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.sampling import philox
from gpuio.sampling.blocks import Blocks
from gpuio.sampling.permutation import permute
from gpuio.sampling.runs import gather

# About the places that are computed and cached together.
RUN = 16384

# Sources of a mixture at most: more are a mistake.
MOST_SOURCES = 2**16

# Samples of an epoch at most, and the largest ratio of weights, so that times are exact enough.
MOST_SAMPLES = 2**48
MOST_RATIO = 1e9


def times(
    seed: int,
    epoch: int,
    source: NDArray[np.int64],
    number: NDArray[np.int64],
    share: NDArray[np.float64],
) -> NDArray[np.float64]:
    """When samples come: float64 (N,).

    Parameters
    ----------
    source : int64 (N,), the sources that they are from
    number : int64 (N,), their numbers among the source's samples of the epoch
    share : float64 (N,), the shares of the sources; with numbers of samples instead, an epoch lasts
        from 0 to 1
    """
    named = number * MOST_SOURCES + source
    drawn = philox.uniform(seed, np.full(len(named), epoch), named, philox.MIXTURE, 1)[:, 0]
    when: NDArray[np.float64] = (number + drawn) / share
    return when


def count_before(
    seed: int, epoch: int, bound: float, share: NDArray[np.float64]
) -> NDArray[np.int64]:
    """How many samples of each source have times below `bound`, without an end: int64 (sources,).

    Parameters
    ----------
    share : float64 (sources,), see `times`
    """
    first = np.maximum(np.floor(share * bound).astype(np.int64) - 1, 0)
    nearby = first[:, None] + np.arange(4)  # one before and two after, for rounding
    source = np.repeat(np.arange(len(share)), nearby.shape[1])
    when = times(seed, epoch, source, nearby.ravel(), share[source]).reshape(nearby.shape)
    counted: NDArray[np.int64] = first + (when < bound).sum(1)
    return counted


class Samples(NamedTuple):
    """Samples of a mixture.

    Attributes
    ----------
    record : int64 (N,), their records
    passed : int64 (N,), how often all records of their source have come before
    """

    record: NDArray[np.int64]
    passed: NDArray[np.int64]


@dataclass(frozen=True)
class Mixture:
    """Samples of several sources, each in random order.

    Attributes
    ----------
    sizes : records of each source; they follow each other in a common numbering
    counts : samples of each source in an epoch
    blocks : blocks of the records of each source, which come in random order, their records
        shuffled; empty: each source is permuted as a whole
    """

    sizes: tuple[int, ...]
    counts: tuple[int, ...]
    blocks: tuple[Blocks, ...] = ()

    @property
    def size(self) -> int:
        """Samples in an epoch."""
        return sum(self.counts)

    def identity(self) -> list[list[int]]:
        """Records and samples of each source, for saved states."""
        return [[*each] for each in zip(self.sizes, self.counts, strict=True)]

    def run(self, seed: int, epoch: int, place: int) -> tuple[int, Samples]:
        """The samples at a run of places of an epoch, computed together.

        Parameters
        ----------
        place : a place that the run has, in [0, size)

        Returns
        -------
        The first place, and the samples; read-only, cached
        """
        found = self._find(seed, epoch, place)
        return found.place, found.samples

    def _find(self, seed: int, epoch: int, place: int) -> _Run:
        number = min(place * self._runs // self.size, self._runs - 1)
        while True:  # once or twice: how many samples come before a time is nearly known
            run = _run(self, seed, epoch, number)
            if run.place <= place < run.place + len(run.samples.record):
                return run
            number += -1 if place < run.place else 1

    def read_together(
        self, seed: int, epoch: int, place: int, fresh: bool
    ) -> tuple[NDArray[np.int64], int]:
        """With `blocks`, the pools that are best read at a place.

        Parameters
        ----------
        fresh : True: all from which samples come at that place; False: those that begin there

        Returns
        -------
        Their records, int64 (N,), and the place from which on another pool is needed, at most the
        end of the epoch
        """
        pools, end = [np.empty(0, np.int64)], self.size
        for source, number in enumerate(self._given(seed, epoch, place)):
            size, count = self.sizes[source], self.counts[source]
            passed, inside = divmod(number + epoch * count, size)
            first, pool = self.blocks[source].run(seed, passed, inside)
            alone = len(pool) == size  # needs no other
            following = number + first + len(pool) - inside
            if fresh or (inside == first and not alone and number < count):
                if not fresh and (begin := self._place(seed, epoch, source, number)) > place:
                    end = min(end, begin)
                    continue
                pools.append(pool + sum(self.sizes[:source]))
            if not alone and following < count:
                end = min(end, self._place(seed, epoch, source, following))
        return np.concatenate(pools), end

    def _given(self, seed: int, epoch: int, place: int) -> list[int]:
        """Samples of each source before a place of an epoch."""
        run, bounds = self._find(seed, epoch, place), np.cumsum(self.sizes)
        record = run.samples.record[: place - run.place]
        source = bounds.searchsorted(record, "right")
        given = run.begins + np.bincount(source, minlength=len(bounds))
        return [int(each) for each in given]

    def _place(self, seed: int, epoch: int, source: int, number: int) -> int:
        """The place of a sample of a source in an epoch."""
        share = np.array(self.counts, np.float64)
        when = times(seed, epoch, np.array([source]), np.array([number]), share[[source]])
        before = count_before(seed, epoch, float(when[0]), share)
        return int(np.minimum(before, self.counts).sum())

    @property
    def _runs(self) -> int:
        return -(-self.size // RUN)

    def _before(self, seed: int, epoch: int, number: int) -> NDArray[np.int64]:
        """Samples of each source before a run of an epoch, int64 (sources,)."""
        counts = np.array(self.counts, np.int64)
        if number == self._runs:
            return counts
        found = count_before(seed, epoch, number / self._runs, counts.astype(np.float64))
        return np.minimum(found, counts)


class _Run(NamedTuple):
    """Samples that are computed together.

    Attributes
    ----------
    begins : int64 (sources,), the samples of each source that come before
    place : the first place: their sum
    samples : at the places from there on; read-only
    """

    begins: NDArray[np.int64]
    place: int
    samples: Samples


@functools.lru_cache(maxsize=8)
def _run(mixture: Mixture, seed: int, epoch: int, number: int) -> _Run:
    """A run of an epoch by its number."""
    begins = mixture._before(seed, epoch, number)
    lengths = mixture._before(seed, epoch, number + 1) - begins
    counts, sizes = np.array(mixture.counts), np.array(mixture.sizes)
    source = np.repeat(np.arange(len(counts)), lengths)
    own = np.arange(len(source)) - np.repeat(lengths.cumsum() - lengths - begins, lengths)
    when = times(seed, epoch, source, own, counts[source].astype(np.float64))
    passed, record = np.divmod(own + epoch * counts[source], sizes[source])
    starts = np.cumsum([0, *lengths])
    for each in np.flatnonzero(lengths).tolist():
        rows = slice(starts[each], starts[each + 1])
        if mixture.blocks:
            pools = partial(mixture.blocks[each].run, seed)
            inside = gather(pools, passed[rows], record[rows])
        else:
            inside = permute(record[rows], mixture.sizes[each], seed, passed[rows], each)
        record[rows] = inside + sum(mixture.sizes[:each])
    order = np.argsort(when, kind="stable")
    samples = Samples(record[order], passed[order])
    for array in samples:
        array.flags.writeable = False
    return _Run(begins, int(begins.sum()), samples)


def mix(sizes: Sequence[int], weights: Sequence[float], size: int | None = None) -> Mixture:
    """Mix sources.

    Parameters
    ----------
    sizes : records of each source
    weights : in which proportions their samples come: finite numbers above 0
    size : samples in an epoch; None: as many as there are records

    Raises
    ------
    ArgumentError : a source has no records, or its share of an epoch is less than a sample; or
        there are too many.
    """
    if len(sizes) > MOST_SOURCES:
        raise ArgumentError(f"a mixture can have at most {MOST_SOURCES} sources, not {len(sizes)}")
    for number, records in enumerate(sizes):
        if not records:
            raise ArgumentError(f"source {number} of the mixture has no records; leave it out")
    size = sum(sizes) if size is None else size
    if size > MOST_SAMPLES:
        raise ArgumentError(f"an epoch of a mixture has at most {MOST_SAMPLES} samples, not {size}")
    counts = apportion(size, weights)
    for number, count in enumerate(counts):
        if not count:
            raise ArgumentError(
                f"weight {weights[number]:g} of source {number} is less than one of {size} samples "
                "in an epoch; raise it or epoch_size, or leave the source out"
            )
    return Mixture(tuple(sizes), tuple(counts))


def apportion(size: int, weights: Sequence[float]) -> list[int]:
    """Integers whose sum is `size` and each of which is `size` times its share of the weights,
    rounded up or down: those with the largest remainders are rounded up.
    """
    largest = max(weights)
    # Relative to the largest, so that no sum overflows; in integers, so that all is exact.
    scaled = [round(weight / largest * 2**53) for weight in weights]
    total = sum(scaled)
    counts = [size * each // total for each in scaled]
    remainders = [size * each % total for each in scaled]
    for number in sorted(range(len(counts)), key=lambda each: -remainders[each])[
        : size - sum(counts)
    ]:
        counts[number] += 1
    return counts


def as_weights(weights: object, count: int, what: str) -> tuple[float, ...]:
    """Check the weights of `count` sources; None: all the same.

    Parameters
    ----------
    what : the sources, in words

    Raises
    ------
    ArgumentError : there is not one for each, one is not a finite number above 0, or the largest
        is more than MOST_RATIO times the least.
    """
    if weights is None:
        return (1.0,) * count
    numbers: tuple[float, ...] = ()
    # What has no order is refused, and what can be read only once: a pickle of the iterator has it.
    if hasattr(weights, "__getitem__") and not isinstance(weights, (str, bytes, Mapping)):
        with suppress(TypeError, ValueError, OverflowError):
            values: list[Any] = list(weights)  # type: ignore[call-overload]  # else a TypeError
            numbers = tuple(float(each) for each in values if not isinstance(each, (str, bytes)))
    if len(numbers) != count:
        raise ArgumentError(
            f"weights must be a number for each of {count} {what}, such as "
            f"{[1.0] * min(count, 3)}, not {weights!r}"
        )
    for number in numbers:
        if not 0 < number < float("inf"):
            raise ArgumentError(
                f"weights must be finite and above 0, not {number!r}; leave out what is not wanted"
            )
    if max(numbers, default=1.0) / MOST_RATIO > min(numbers, default=1.0):
        raise ArgumentError(
            f"the largest of the weights is more than {MOST_RATIO:g} times the least: "
            f"{max(numbers):g} and {min(numbers):g}; leave out what is hardly wanted"
        )
    return numbers


def shares_of(weights: Sequence[float]) -> NDArray[np.float64]:
    """The shares of sources, which add up to 1: float64 (sources,)."""
    relative = np.array(weights, np.float64) / max(weights)  # no sum overflows
    shares: NDArray[np.float64] = relative / relative.sum()
    return shares
