"""Which record stands at which place of the stream of samples.

Samples form one endless stream, epoch after epoch: place ``q`` holds a record of epoch ``q //
size``. A batch is a slice of the stream, so where an iterator is can be said in one number, its
*position*: the places consumed so far. Nothing here has state, and nothing is proportional to the
number of records: the permutation of an epoch is computed place by place.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.pipeline import random

ENDINGS = ("wrap", "pad", "discard", "roll_over")

# Rounds of the permutation's Feistel network. Four make it look random to a statistical test; small
# domains (a handful of records) want more until all their permutations come out equally often.
FEISTEL_ROUNDS = 12

# Places that are permuted at once and kept: a tenth of what each batch by itself would cost.
BLOCK = 4096


def permute(place: NDArray[np.int64], size: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The records at some places of one epoch's permutation of ``range(size)``.

    A Feistel network is a permutation of all numbers of so many bits, whatever its round function;
    a number that falls outside the range is sent through again until it lands inside ("cycle
    walking", Black and Rogaway, CT-RSA 2002). So each place costs the same for ten records and for
    10**8, and no permutation is kept in memory.

    Parameters
    ----------
    place : int64 (N,), each in [0, size)

    Returns
    -------
    int64 (N,), each in [0, size), all different for different places
    """
    bits = max(2, (size - 1).bit_length())
    right_bits = np.uint64(bits // 2)
    right_mask = np.uint64((1 << bits // 2) - 1)
    left_mask = np.uint64((1 << bits - bits // 2) - 1)
    keys = _round_keys(seed, epoch)
    value = place.astype(np.uint64)
    outside = np.arange(len(value))
    while len(outside):
        left, right = value[outside] >> right_bits, value[outside] & right_mask
        for key in range(0, FEISTEL_ROUNDS, 2):
            left = left ^ _mix(right, keys[key]) & left_mask
            right = right ^ _mix(left, keys[key + 1]) & right_mask
        value[outside] = left << right_bits | right
        outside = outside[value[outside] >= np.uint64(size)]
    return value.astype(np.int64)


@functools.lru_cache(maxsize=16)
def _block(size: int, seed: int, epoch: int, number: int) -> NDArray[np.int64]:
    """The records at the places of one block of an epoch's permutation."""
    places = np.arange(number * BLOCK, min((number + 1) * BLOCK, size), dtype=np.int64)
    return permute(places, size, seed, epoch)


def _round_keys(seed: int, epoch: int) -> NDArray[np.uint64]:
    """FEISTEL_ROUNDS random 64-bit numbers for one epoch."""
    at = np.array([epoch]), np.array([0])
    drawn = random.words(seed, *at, random.SHUFFLE, 2 * FEISTEL_ROUNDS)[0]
    keys: NDArray[np.uint64] = drawn[0::2] << np.uint64(32) | drawn[1::2]
    return keys


def _mix(value: NDArray[np.uint64], key: np.uint64) -> NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014) of value + key."""
    mixed = value + key
    mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return mixed ^ mixed >> np.uint64(31)


@dataclass(frozen=True)
class Take:
    """One batch's slice of the stream.

    Attributes
    ----------
    epoch : int64 (B,), the epoch to which each sample belongs
    record : int64 (B,), the sample's number among the `size` records of the order
    pad : how many rows at the end are there only to fill the batch
    position : the position of the iterator once this batch has been consumed
    last : whether the iterator's epoch ends with this batch
    """

    epoch: NDArray[np.int64]
    record: NDArray[np.int64]
    pad: int
    position: int
    last: bool


@dataclass(frozen=True)
class Order:
    """The order of samples, and how the stream is cut into batches and epochs.

    Attributes
    ----------
    size : records in an epoch
    batch_size : rows of a batch on one rank
    shuffle : a new permutation of all records each epoch
    seed : decides the permutations
    ending : what becomes of an epoch's last, incomplete batch: "wrap": it is filled with the next
        epoch's first samples, and the next epoch goes on after them (MXNet's ``round_batch=True``);
        "pad": it is filled with the same epoch's first samples, and each epoch starts afresh
        (``round_batch=False``); "discard": it is left out; "roll_over": it becomes the beginning of
        the next epoch's first batch
    rank, world : the stream is cut into global batches of ``batch_size * world`` samples, and this
        rank takes the slice number `rank` of each, so that the union over ranks is the same for any
        `world`

    Raises
    ------
    ArgumentError : a value is out of range, or an epoch would hold no batch.
    """

    size: int
    batch_size: int
    shuffle: bool = False
    seed: int = 0
    ending: str = "wrap"
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ArgumentError("there are no records to put in order")
        if self.batch_size < 1:
            raise ArgumentError(f"batch_size must be at least 1, not {self.batch_size}")
        if self.ending not in ENDINGS:
            raise ArgumentError(
                f"last_batch_handle must be one of {', '.join(ENDINGS)}, not {self.ending!r}"
            )
        if not 0 <= self.rank < self.world:
            raise ArgumentError(
                f"rank must be at least 0 and below world ({self.world}), not {self.rank}"
            )
        if self.ending in ("discard", "roll_over") and self.stride > self.size:
            raise ArgumentError(
                f"a batch of {self.stride} samples is never full with {self.size} records and "
                f"last_batch_handle={self.ending!r}; use a smaller batch_size, or 'pad'"
            )
        if self.ending == "wrap" and self.stride > 2 * self.size:
            raise ArgumentError(
                f"with round_batch=True a batch of {self.stride} samples needs at least half as "
                f"many records, and there are {self.size}; use a smaller batch_size, or "
                "round_batch=False"
            )

    @property
    def stride(self) -> int:
        """Samples in one batch of all ranks together."""
        return self.batch_size * self.world

    def epoch(self, position: int) -> int:
        """The epoch that an iterator at `position` is in."""
        if self.ending == "roll_over":  # a batch belongs to the epoch of its last sample
            return (position + self.stride - 1) // self.size
        return position // self.size

    def restart(self, position: int) -> int:
        """The position at which the epoch after the one at `position` starts afresh."""
        return (position // self.size + 1) * self.size

    def batches(self, position: int) -> int:
        """How many batches an epoch has that begins at `position`."""
        left = (self.epoch(position) + 1) * self.size - position
        if self.ending in ("discard", "roll_over"):
            return left // self.stride
        return -(-left // self.stride)

    def take(self, position: int) -> Take:
        """The batch at `position`.

        Parameters
        ----------
        position : places consumed so far, as `Take.position` gives it; 0 at the very beginning
        """
        end = (self.epoch(position) + 1) * self.size
        place = position + self.rank * self.batch_size + np.arange(self.batch_size, dtype=np.int64)
        after = position + self.stride
        if self.ending == "pad":
            start = end - self.size
            filled = np.where(place < end, place, start + (place - start) % self.size)
        else:
            filled = place
        filler = 0 if self.ending == "roll_over" else int((place >= end).sum())
        last = after + (0 if self.ending in ("wrap", "pad") else self.stride - 1) >= end
        if last and self.ending in ("pad", "discard"):
            after = end
        epoch = filled // self.size
        return Take(epoch, self._records(epoch, filled % self.size), filler, after, last)

    def _records(self, epoch: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.int64]:
        if not self.shuffle:
            return place
        record = np.empty_like(place)
        block = place // BLOCK
        # A batch lies in one block of one epoch, or in two or three.
        for one, number in set(zip(epoch.tolist(), block.tolist(), strict=True)):
            rows = (epoch == one) & (block == number)
            record[rows] = _block(self.size, self.seed, one, number)[place[rows] % BLOCK]
        return record
