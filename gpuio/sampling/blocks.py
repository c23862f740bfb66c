"""Blocks of consecutive records in random order, their records shuffled: ``shuffle="blocks"``.

An epoch visits the blocks in a random order, a pool of some blocks after another, and the records
of a pool in a random order. So the records that are needed next are some long ranges of the files,
where those of a permutation of all records are as many short ones as there are records. From a
remote store or a hard disk that makes the difference; how well it mixes is measured by
``python -m tests.benchmarks.mixing``.

All follows from seed, epoch and the blocks. These are cut from the files alone: neither the number
of ranks, nor a cache, nor the records that are left out move their bounds.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.recordio import RecordSet
from gpuio.sampling import philox
from gpuio.sampling.permutation import permute

# The most records of a pool: their numbers are kept in memory.
LARGEST_POOL = 2**22


@dataclass(frozen=True)
class BlockOptions:
    """The size of blocks and pools.

    Attributes
    ----------
    nbytes : about the bytes of a block, at least 1
    pool : blocks whose records are shuffled together, at most; at least 1
    """

    nbytes: int = 8_000_000
    pool: int = 16


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks of the records of a part, in a new order each epoch.

    Attributes
    ----------
    starts : int64 (blocks + 1,), the number of the first record of each block, and of all records
    options : the size of blocks and pools
    """

    starts: NDArray[np.int64]
    options: BlockOptions

    def identity(self) -> dict[str, int]:
        """The options, for saved states: the data and the part determine the rest."""
        return {"block_size": self.options.nbytes, "pool_blocks": self.options.pool}

    def run(self, seed: int, epoch: int, place: int) -> tuple[int, NDArray[np.int64]]:
        """The records of a pool.

        Parameters
        ----------
        place : a place that the pool has, in [0, ``starts[-1]``)

        Returns
        -------
        The pool's first place, and its records, int64 (N,); read-only, cached
        """
        begins = _epoch(self, seed, epoch).pools
        pool = int(begins.searchsorted(place, "right")) - 1
        return int(begins[pool]), _pool(self, seed, epoch, pool)


class _Epoch(NamedTuple):
    """The blocks of an epoch in their order.

    Attributes
    ----------
    order : int64 (blocks,), their numbers
    begins : int64 (blocks + 1,), the place at which each begins, and the number of places
    bounds : int64 (pools + 1,), where in `order` each pool begins, and the number of blocks
    pools : int64 (pools + 1,), the place at which each pool begins, and the number of places
    """

    order: NDArray[np.int64]
    begins: NDArray[np.int64]
    bounds: NDArray[np.int64]
    pools: NDArray[np.int64]


@functools.lru_cache(maxsize=8)
def _epoch(blocks: Blocks, seed: int, epoch: int) -> _Epoch:
    """The blocks in their order, divided into pools: as few as can be, and of the same number of
    blocks or one less, so that the last one mixes as well as the others.
    """
    count = len(blocks.starts) - 1
    order = permute(np.arange(count), count, seed, epoch)
    begins = np.zeros(count + 1, np.int64)
    np.cumsum(np.diff(blocks.starts)[order], out=begins[1:])
    pools = -(-count // blocks.options.pool)
    bounds = np.arange(pools + 1) * count // pools
    return _Epoch(order, begins, bounds, begins[bounds])


@functools.lru_cache(maxsize=8)
def _pool(blocks: Blocks, seed: int, epoch: int, pool: int) -> NDArray[np.int64]:
    """The records of a pool in their order."""
    order, begins, bounds, pools = _epoch(blocks, seed, epoch)
    unshuffled = pools[pool] + _random_order(seed, epoch, pools[pool], pools[pool + 1])
    own = slice(bounds[pool], bounds[pool + 1])
    block = begins[own].searchsorted(unshuffled, "right") - 1
    record: NDArray[np.int64] = (blocks.starts[order[own]] - begins[own])[block] + unshuffled
    record.flags.writeable = False
    return record


def _random_order(seed: int, epoch: int, begin: np.int64, end: np.int64) -> NDArray[np.int64]:
    """The numbers from 0 to ``end - begin - 1`` in a random order: sorted by random numbers that
    are drawn for each place of the epoch from `begin` to `end`.

    A pool has few records, so that this takes a twentieth of the time of `permute`. The low bits of
    what is sorted are the numbers; of the 64 bits at least 41 are random.
    """
    places = np.arange(begin, end)
    bits = np.uint64(len(places).bit_length())
    high, low = philox.words(seed, np.full(len(places), epoch), places, philox.BLOCKS, 2).T
    keys: NDArray[np.uint64] = (high << np.uint64(32) | low) << bits
    keys |= np.arange(len(places), dtype=np.uint64)
    keys.sort()
    keys &= (np.uint64(1) << bits) - np.uint64(1)
    return keys.view(np.int64)


def cut_blocks(
    images: range | NDArray[np.int64], records: RecordSet, options: BlockOptions, sources: int = 1
) -> Blocks:
    """Cut the records of a part into blocks: each file is cut into ranges of `options.nbytes`, and
    a record belongs to that in which it begins. A range in which none begins has no block.

    Parameters
    ----------
    images : the indices of the part's records, ascending, at least one
    sources : of a mixture: as many sources have blocks, which are in the cache together

    Raises
    ------
    ArgumentError : a pool may have more than LARGEST_POOL records, or the cache of remote files
        cannot hold the pool that is being read and the one that is read ahead.
    """
    _check_cache(records, options, 2 * sources)
    offsets = records.starts[np.asarray(images)]
    file = records.file_starts.searchsorted(offsets, "right") - 1
    offsets -= records.file_starts[file]
    offsets //= options.nbytes
    inner = np.flatnonzero((np.diff(offsets) != 0) | (np.diff(file) != 0)) + 1
    starts = np.concatenate([[0], inner, [len(offsets)]]).astype(np.int64)
    most = int(np.sort(np.diff(starts))[-options.pool :].sum())
    if most > LARGEST_POOL:
        raise ArgumentError(
            f"{options.pool} blocks of {options.nbytes} bytes may have {most} records, and a pool "
            f"can have {LARGEST_POOL}; use a smaller block_size or pool_blocks, or shuffle=True, "
            "which shuffles all records together"
        )
    return Blocks(starts, options)


def _check_cache(records: RecordSet, options: BlockOptions, pools: int) -> None:
    """Check that the blocks of some pools do not leave the cache before they have been used."""
    limit = records.cache_limit
    needed = min(pools * options.pool * options.nbytes, records.nbytes)
    if limit is not None and needed > limit:
        raise ArgumentError(
            f"{pools} pools of {options.pool} blocks of {options.nbytes} bytes are {needed} bytes, "
            f"and cache_limit is {limit}; raise it, or use a smaller block_size or pool_blocks"
        )
