"""Sharding: which records each process reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.recordio import RecordSet
from gpuio.sampling.launchers import rank_and_size

MODES = ("contiguous", "global")

# No launcher starts more processes.
MOST_PARTS = 2**31 - 1


@dataclass(frozen=True)
class Shard:
    """One process's share of the records.

    Attributes
    ----------
    index, count : this shard's number, and the number of shards
    mode : "contiguous": consecutive records; "global": a slice of each global batch
    """

    index: int
    count: int
    mode: str

    @property
    def identity(self) -> str:
        """The shard in saved states: with "global", a position means the same for any number of
        shards.
        """
        return "global" if self.mode == "global" else f"{self.index} of {self.count}"

    @property
    def rank_and_size(self) -> tuple[int, int]:
        """Rank and world size of the `Order` of this shard's records: with "contiguous" it is the
        only one that reads them.
        """
        return (self.index, self.count) if self.mode == "global" else (0, 1)


def resolve_shard(
    num_parts: int | str,
    part_index: int,
    mode: str | None,
    environment: Mapping[str, str] | None = None,
) -> Shard:
    """The shard that the arguments of an iterator ask for.

    Parameters
    ----------
    num_parts, part_index : integers; with ``num_parts="auto"`` both come from the launcher, see
        `rank_and_size`
    mode : "contiguous", "global", or None: "global" with "auto", else "contiguous"
    environment : the environment variables; None: those of the process

    Raises
    ------
    ArgumentError : a number is out of range, or as `rank_and_size`.
    """
    automatic = num_parts == "auto"
    if automatic:
        rank, world_size = rank_and_size(environment)
    else:
        rank, world_size = _number("part_index", part_index), _number("num_parts", num_parts)
    for name, number in (("num_parts", world_size), ("part_index", rank)):
        if number > MOST_PARTS:
            raise ArgumentError(f"{name} must be at most {MOST_PARTS}")
    if world_size < 1:
        raise ArgumentError(f"num_parts must be at least 1, not {world_size}")
    if not 0 <= rank < world_size:
        raise ArgumentError(
            f"part_index must be at least 0 and below num_parts ({world_size}), not {rank}"
        )
    if mode is None:
        mode = "global" if automatic else "contiguous"
    if mode not in MODES:
        raise ArgumentError(f"partition must be 'contiguous' or 'global', not {mode!r}")
    return Shard(rank, world_size, mode)


def contiguous_shard(
    images: range | NDArray[np.int64], records: RecordSet, shard: Shard
) -> range | NDArray[np.int64]:
    """The consecutive records of a shard, divided as MXNet's ImageRecordIter does.

    With an index the shards have equal numbers of records, rounded up; without one, equal numbers
    of bytes in whole words, and a record belongs to the shard in which it begins.

    Parameters
    ----------
    images : the indices of the records that hold images, ascending
    """
    if shard.mode == "global":
        return images
    if records.has_index:
        size = -(-len(images) // shard.count)
        return images[shard.index * size : (shard.index + 1) * size]
    step = -(-records.nbytes // shard.count)
    step = -(-step // 4) * 4
    low, high = np.searchsorted(records.starts, [shard.index * step, (shard.index + 1) * step])
    first, last = np.searchsorted(np.asarray(images), [low, high])
    return images[int(first) : int(last)]


def equal_shard(images: range | NDArray[np.int64], shard: Shard) -> range | NDArray[np.int64]:
    """The consecutive images of a shard, divided as MXNet's ImageIter does: shards of equal size,
    rounded down; the images left over are in none.

    Parameters
    ----------
    images : indices into the source, ascending

    Raises
    ------
    ArgumentError : there are fewer images than shards.
    """
    if shard.mode == "global":
        return images
    size = len(images) // shard.count
    if not size:
        raise ArgumentError(f"{len(images)} images cannot be divided into {shard.count} parts")
    return images[shard.index * size : (shard.index + 1) * size]


def _number(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ArgumentError(f"{name} must be an integer (num_parts may be 'auto'), not {value!r}")
    return int(value)
