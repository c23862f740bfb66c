"""Permutations as pure functions of seed and epoch."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from gpuio.sampling import philox

# Rounds of the permutation's Feistel network. Four pass statistical tests; small domains (a handful
# of records) need more until all their permutations are equally frequent.
FEISTEL_ROUNDS = 12

# Places that are permuted and cached together. They take about two milliseconds, a third of what
# they take in runs of 4096.
RUN = 32768


def permute(
    place: NDArray[np.int64],
    size: int,
    seed: int,
    epoch: int | NDArray[np.int64],
    number: int = 0,
) -> NDArray[np.int64]:
    """The records at some places of an epoch's permutation of ``range(size)``.

    A Feistel network permutes all integers of a number of bits, whatever its round function; a
    result outside the range is permuted again until it lies inside ("cycle walking", Black and
    Rogaway, CT-RSA 2002). So a place costs the same for ten records and for 10**8, and no
    permutation has to be kept in memory.

    Parameters
    ----------
    place : int64 (N,), each in [0, size)
    epoch : one for all places; or of each, int64 (N,), ascending
    number : which of the epoch's permutations, if it has several

    Returns
    -------
    int64 (N,), each in [0, size), all different for different places of an epoch
    """
    bits = max(2, (size - 1).bit_length())
    right_bits = np.uint64(bits // 2)
    right_mask = np.uint32((1 << bits // 2) - 1)
    left_mask = np.uint32((1 << bits - bits // 2) - 1)
    keys = _round_keys(seed, epoch, number)
    value = place.astype(np.uint64)
    outside: slice | NDArray[np.intp] = slice(None)
    while True:
        walking = value[outside]
        left = (walking >> right_bits).astype(np.uint32)
        right = walking.astype(np.uint32) & right_mask
        of_these = keys if keys.ndim == 1 else keys[:, outside]
        for key in range(0, FEISTEL_ROUNDS, 2):
            left ^= _mix(right, of_these[key]) & left_mask
            right ^= _mix(left, of_these[key + 1]) & right_mask
        value[outside] = left.astype(np.uint64) << right_bits | right
        left_outside = np.flatnonzero(value >= np.uint64(size))
        if not len(left_outside):
            return value.astype(np.int64)
        outside = left_outside


@functools.lru_cache(maxsize=16)
def permuted_run(size: int, seed: int, epoch: int, number: int) -> NDArray[np.int64]:
    """The records at the places from ``number * RUN`` to ``(number + 1) * RUN`` of an epoch's
    permutation, as far as there are so many: int64, read-only, cached.
    """
    places = np.arange(number * RUN, min((number + 1) * RUN, size), dtype=np.int64)
    run = permute(places, size, seed, epoch)
    run.flags.writeable = False
    return run


def _round_keys(seed: int, epoch: int | NDArray[np.int64], number: int) -> NDArray[np.uint32]:
    """FEISTEL_ROUNDS random 32-bit numbers for one permutation, (rounds,), or for that of each
    place, (rounds, N).
    """
    if not isinstance(epoch, np.ndarray):
        return _round_keys(seed, np.array([epoch]), number)[:, 0]
    begins = np.flatnonzero(np.diff(epoch, prepend=epoch[:1] - 1))
    numbers = np.full(len(begins), number)
    words = philox.words(seed, epoch[begins], numbers, philox.SHUFFLE, FEISTEL_ROUNDS)
    keys: NDArray[np.uint32] = words.astype(np.uint32)
    return np.repeat(keys, np.diff(begins, append=len(epoch)), axis=0).T


def _mix(value: NDArray[np.uint32], key: np.uint32 | NDArray[np.uint32]) -> NDArray[np.uint32]:
    """MurmurHash3's 32-bit finalizer (Appleby, 2011) of value + key.

    Each half of a 63-bit number fits into 32 bits, and AVX2 multiplies eight 32-bit integers at
    once.
    """
    mixed: NDArray[np.uint32] = value + key
    mixed ^= mixed >> np.uint32(16)
    mixed *= np.uint32(0x85EBCA6B)
    mixed ^= mixed >> np.uint32(13)
    mixed *= np.uint32(0xC2B2AE35)
    mixed ^= mixed >> np.uint32(16)
    return mixed
