"""Random numbers as a pure function of (seed, epoch, record).

Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011) turns a
counter into four random words under a key. The key is the seed, the counter names the record, the
epoch and the purpose, so a draw needs no state: it is the same whatever the batch, the thread, the
device or the rank that asks, and a whole batch is drawn at once. NumPy's own Philox cannot be keyed
row by row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpuio import native

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
WORD = 0xFFFFFFFF

# What the draws are for. A number is never given a new meaning: saved states and seeds rely on it.
# A sample may draw any number of words for AUGMENT, and nothing that follows it beside them.
SHUFFLE, MIRROR, CROP, RESIZED_CROP, INTERPOLATION, AUGMENT = range(6)
AFFINE, CROP_SIZE, COLOR, HLS, PCA, LIGHT, CHUNKS, BLOCKS, OPERATIONS, MIX = range(6, 16)
MIXTURE = 64


def philox(
    counter: tuple[NDArray[np.uint64], ...], key: tuple[int, int]
) -> tuple[NDArray[np.uint64], ...]:
    """Philox4x32-10.

    Parameters
    ----------
    counter : four uint64 arrays, broadcastable against each other, of 32-bit words
    key : two 32-bit words

    Returns
    -------
    four uint64 arrays of random 32-bit words, of the broadcast shape
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    low, shift = np.uint64(WORD), np.uint64(32)
    m0, m1 = (np.uint64(m) for m in MULTIPLIERS)
    for _ in range(ROUNDS):
        p0, p1 = c0 * m0, c2 * m1
        c0, c1, c2, c3 = (
            (p1 >> shift) ^ c1 ^ np.uint64(k0),
            p1 & low,
            (p0 >> shift) ^ c3 ^ np.uint64(k1),
            p0 & low,
        )
        k0, k1 = (k0 + WEYL[0]) & WORD, (k1 + WEYL[1]) & WORD
    return c0, c1, c2, c3


def words(
    seed: int,
    epoch: NDArray[np.int64],
    record: NDArray[np.int64],
    purpose: int,
    count: int,
    skip: int = 0,
) -> NDArray[np.uint64]:
    """`count` random 32-bit words for each record of a batch.

    Parameters
    ----------
    seed : any integer, taken modulo 2**64
    epoch, record : int64 (N,)
    purpose : one of the constants of this module: draws for different purposes are independent
    skip : leave out this many words, a multiple of 4

    Returns
    -------
    uint64 (N, count), values below 2**32
    """
    blocks, first = -(-count // 4), (purpose << 16) + skip // 4
    if (module := native.library()) is not None:
        return module.philox(seed, epoch, record, first, blocks)[:, :count]
    number = record.astype(np.uint64)[:, None]
    block = np.arange(blocks, dtype=np.uint64) + np.uint64(first)
    drawn = philox(
        (
            number & np.uint64(WORD),
            number >> np.uint64(32),
            epoch.astype(np.uint64)[:, None] & np.uint64(WORD),
            block[None, :],
        ),
        (seed & WORD, seed >> 32 & WORD),
    )
    shape = (len(record), blocks)
    stacked = np.stack([np.broadcast_to(word, shape) for word in drawn], axis=-1)
    return stacked.reshape(len(record), 4 * blocks)[:, :count]


def uniform(
    seed: int, epoch: NDArray[np.int64], record: NDArray[np.int64], purpose: int, count: int
) -> NDArray[np.float64]:
    """`count` numbers in [0, 1) for each record of a batch: float64 (N, count), in steps of
    2**-32.
    """
    return words(seed, epoch, record, purpose, count).astype(np.float64) * 2.0**-32


def normal(
    seed: int, epoch: NDArray[np.int64], record: NDArray[np.int64], purpose: int, count: int
) -> NDArray[np.float64]:
    """`count` numbers of the standard normal distribution for each record of a batch: float64 (N,
    count) (Box and Muller, A note on the generation of random normal deviates, 1958).
    """
    radius, angle = np.split(uniform(seed, epoch, record, purpose, 2 * count), 2, axis=1)
    drawn: NDArray[np.float64] = np.sqrt(-2 * np.log1p(-radius)) * np.cos(2 * np.pi * angle)
    return drawn


def between(unit: NDArray[np.float64], bounds: tuple[float, float]) -> NDArray[np.float64]:
    """Numbers in [0, 1) as numbers between two bounds."""
    return bounds[0] + unit * (bounds[1] - bounds[0])
