"""Which share of the records belongs to which process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.recordio import RecordSet

# The variables in which launchers tell a process its rank and the number of processes. Both are
# taken from one family.
LAUNCHERS = {
    "torchrun": ("RANK", "WORLD_SIZE"),
    "Open MPI": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    "MVAPICH": ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
    "PMI": ("PMI_RANK", "PMI_SIZE"),
    "Slurm": ("SLURM_PROCID", "SLURM_NTASKS"),
}

MODES = ("contiguous", "global")


@dataclass(frozen=True)
class Shard:
    """A share of the records.

    Attributes
    ----------
    index, count : this part's number, and how many there are
    mode : "contiguous": a run of records; "global": a slice of each batch of all records
    """

    index: int
    count: int
    mode: str

    @property
    def identity(self) -> str:
        """What a saved state depends on: under "global" a position means the same for any number of
        parts.
        """
        return "global" if self.mode == "global" else f"{self.index} of {self.count}"


def resolve_shard(
    num_parts: int | str,
    part_index: int,
    mode: str | None,
    environment: Mapping[str, str] | None = None,
) -> Shard:
    """The share that ImageRecordIter's arguments ask for.

    Parameters
    ----------
    num_parts, part_index : numbers, or "auto" and whatever: they are taken from the launcher's
        variables
    mode : "contiguous", "global", or None: "global" with "auto", else "contiguous"
    environment : the variables; None: the process's

    Raises
    ------
    ArgumentError : a number is out of range, or the launcher's variables make no sense.
    """
    automatic = num_parts == "auto"
    if automatic:
        rank, world = _from_launcher(os.environ if environment is None else environment)
    else:
        rank, world = _number("part_index", part_index), _number("num_parts", num_parts)
    if world < 1:
        raise ArgumentError(f"num_parts must be at least 1, not {world}")
    if not 0 <= rank < world:
        raise ArgumentError(
            f"part_index must be at least 0 and below num_parts ({world}), not {rank}"
        )
    if mode is None:
        mode = "global" if automatic else "contiguous"
    if mode not in MODES:
        raise ArgumentError(f"partition must be 'contiguous' or 'global', not {mode!r}")
    return Shard(rank, world, mode)


def contiguous(
    images: range | NDArray[np.int64], records: RecordSet, part: Shard
) -> range | NDArray[np.int64]:
    """The run of records that MXNet gives to a part.

    With an index the parts are of equal size, rounded up; without one, the bytes of the files are
    cut into equal runs of whole words, and a record belongs to the run in which it begins.

    Parameters
    ----------
    images : the numbers of the records that hold images, ascending
    """
    if records.has_index:
        size = -(-len(images) // part.count)
        return images[part.index * size : (part.index + 1) * size]
    step = -(-records.nbytes // part.count)
    step = -(-step // 4) * 4
    low, high = np.searchsorted(records.starts, [part.index * step, (part.index + 1) * step])
    first, last = np.searchsorted(np.asarray(images), [low, high])
    return images[int(first) : int(last)]


def _from_launcher(environment: Mapping[str, str]) -> tuple[int, int]:
    for launcher, (rank, world) in LAUNCHERS.items():
        if rank in environment and world in environment:
            try:
                return int(environment[rank]), int(environment[world])
            except ValueError as error:
                raise ArgumentError(
                    f"num_parts='auto': {launcher}'s {rank}={environment[rank]!r} and "
                    f"{world}={environment[world]!r} are not numbers"
                ) from error
    return 0, 1


def _number(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ArgumentError(
            f"{name} must be a whole number (num_parts may be 'auto'), not {value!r}"
        )
    return int(value)
