"""The order of samples.

Samples form one endless stream, epoch after epoch: place ``q`` holds a record of epoch ``q //
size``. A batch is a slice of the stream, so the position of an iterator is one number: the places
consumed so far. No memory is proportional to the number of records: the permutation of an epoch is
computed in runs of places, of which the last ones used are cached.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.sampling.blocks import Blocks
from gpuio.sampling.chunks import Chunks
from gpuio.sampling.mixture import Mixture
from gpuio.sampling.permutation import RUN, permuted_run
from gpuio.sampling.runs import gather

# Records and samples of a batch at most: places are int64, also some epochs later.
LARGEST = 2**60

LAST_BATCH_MODES = ("wrap", "pad", "discard", "roll_over")


class BatchIndices(NamedTuple):
    """Which samples make up one batch: a slice of the stream.

    It holds a few numbers; its arrays are computed when asked for.

    Attributes
    ----------
    order : the stream
    begin : the place of the first sample
    end : the place at which the iterator's epoch ends
    pad : number of rows at the end that only fill the batch
    next_position : the position of the iterator after this batch
    last : whether this batch ends the iterator's epoch
    """

    order: Order
    begin: int
    end: int
    pad: int
    next_position: int
    last: bool

    @property
    def epoch(self) -> NDArray[np.int64]:
        """int64 (B,), the epoch of each sample: how often its record has come before. Of a mixture
        each source has epochs of its own.
        """
        order, place = self.order, self._places()
        epoch = place // order.size
        return epoch if order.mixture is None else order.passed(epoch, place % order.size)

    @property
    def record(self) -> NDArray[np.int64]:
        """int64 (B,), the index of each sample's record; read-only."""
        order = self.order
        epoch, first = divmod(self.begin, order.size)
        # Rows that only fill a batch are of the epoch that has ended.
        fills = order.last_batch == "pad" and self.begin >= self.end
        if order.shuffle and not fills:
            begin, run = order.run(epoch, first)
            row = first - begin
            if row + order.batch_size <= len(run):
                return order.in_source(run[row : row + order.batch_size])
        place = self._places()
        return order.records(place // order.size, place % order.size)

    @property
    def as_slice(self) -> slice | None:
        """The record indices as a slice; None if they are not consecutive."""
        order = self.order
        assert order.subset is None, "a slice counts all records"
        first = self.begin % order.size
        last = first + order.batch_size
        assert order.chunks is None, "chunks are not consecutive"
        return None if order.shuffle or last > order.size else slice(first, last)

    @property
    def carried(self) -> int:
        """Number of rows at the beginning that roll over from the epoch before."""
        if self.order.last_batch != "roll_over":
            return 0
        epoch_start = self.end - self.order.size
        return min(max(epoch_start - self.begin, 0), self.order.batch_size)

    def _places(self) -> NDArray[np.int64]:
        place = np.arange(self.begin, self.begin + self.order.batch_size, dtype=np.int64)
        if self.order.last_batch == "pad":
            start = self.end - self.order.size
            return np.where(place < self.end, place, start + (place - start) % self.order.size)
        return place


@dataclass(frozen=True)
class Order:
    """The order of samples, and how their stream is divided into batches and epochs.

    Attributes
    ----------
    size : records in an epoch
    batch_size : rows of a batch on one rank
    shuffle : a new order of the records each epoch: a permutation of all, or what `blocks` says
    seed : decides the permutations
    last_batch : how an epoch's last, incomplete batch is handled: "wrap": it is filled with the
        next epoch's first samples, and the next epoch goes on after them (MXNet's
        ``round_batch=True``); "pad": it is filled with the same epoch's first samples, and each
        epoch starts afresh (``round_batch=False``); "discard": it is left out; "roll_over": it
        becomes the beginning of the next epoch's first batch
    rank, world_size : the stream is divided into global batches of ``batch_size * world_size``
        samples, and this rank takes slice `rank` of each, so that the union over ranks is the same
        for any `world_size`
    subset : the source's indices of the `size` records, ascending; None: 0 to size - 1
    chunks : without `shuffle`: chunks of the records that come in a new order each epoch; None: all
        records in their order
    blocks : with `shuffle`: blocks of the records that come in a new order each epoch, with their
        records shuffled; None: one permutation of all records
    mixture : with `shuffle`: `size` samples of several sources, whose records follow each other;
        None: each record comes once in an epoch

    Raises
    ------
    ArgumentError : a value is out of range, or an epoch would hold no batch.
    """

    size: int
    batch_size: int
    shuffle: bool = False
    seed: int = 0
    last_batch: str = "wrap"
    rank: int = 0
    world_size: int = 1
    subset: range | NDArray[np.int64] | None = field(default=None, compare=False, repr=False)
    chunks: Chunks | None = field(default=None, compare=False, repr=False)
    blocks: Blocks | None = field(default=None, compare=False, repr=False)
    mixture: Mixture | None = None

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ArgumentError("there are no records to put in order")
        if self.batch_size < 1:
            raise ArgumentError(f"batch_size must be at least 1, not {self.batch_size}")
        if max(self.size, self.global_batch_size) > LARGEST:
            raise ArgumentError(
                f"there can be at most {LARGEST} records, and as many samples in a batch"
            )
        if self.last_batch not in LAST_BATCH_MODES:
            raise ArgumentError(
                f"last_batch_handle must be one of {', '.join(LAST_BATCH_MODES)}, "
                f"not {self.last_batch!r}"
            )
        if not 0 <= self.rank < self.world_size:
            raise ArgumentError(
                f"rank must be at least 0 and below world_size ({self.world_size}), not {self.rank}"
            )
        if self.last_batch in ("discard", "roll_over") and self.global_batch_size > self.size:
            raise ArgumentError(
                f"a batch of {self.global_batch_size} samples is never full with {self.size} "
                f"records and last_batch_handle={self.last_batch!r}; use a smaller "
                "batch_size, or 'pad'"
            )
        if self.last_batch == "wrap" and self.global_batch_size > 2 * self.size:
            raise ArgumentError(
                f"with round_batch=True a batch of {self.global_batch_size} samples needs at least "
                f"half as many records, and there are {self.size}; use a smaller batch_size, or "
                "round_batch=False"
            )

    @property
    def global_batch_size(self) -> int:
        """Samples in one global batch."""
        return self.batch_size * self.world_size

    def identity(self) -> dict[str, int | bool | str | list[int] | list[list[int]]]:
        """What a position's meaning depends on besides the data, for saved states."""
        blocks = self.blocks
        if self.mixture is not None and self.mixture.blocks:
            blocks = self.mixture.blocks[0]  # those of the other sources have the same options
        identity: dict[str, int | bool | str | list[int] | list[list[int]]] = {
            "records": self.size,
            "shuffle": self.shuffle if blocks is None else "blocks",
            "seed": self.seed,
            "last_batch_handle": self.last_batch,
        }
        if blocks is not None:
            identity |= blocks.identity()
        if self.chunks is not None:
            identity["chunks"] = self.chunks.identity()
        if self.mixture is not None:
            identity["mixture"] = self.mixture.identity()
        return identity

    def epoch(self, position: int) -> int:
        """The epoch of an iterator at `position`."""
        if self.last_batch == "roll_over":  # a batch belongs to the epoch of its last sample
            return (position + self.global_batch_size - 1) // self.size
        return position // self.size

    def next_epoch_start(self, position: int) -> int:
        """The first position of the epoch after the one at `position`."""
        return (position // self.size + 1) * self.size

    def epoch_start(self, epoch: int) -> int:
        """The position at which an epoch begins if all those before it have been read with batches
        of this size.
        """
        first, step = epoch * self.size, self.global_batch_size
        if self.last_batch == "wrap":
            return -(-first // step) * step
        return first // step * step if self.last_batch == "roll_over" else first

    def num_batches(self, position: int) -> int:
        """The number of batches in an epoch that begins at `position`."""
        left = (self.epoch(position) + 1) * self.size - position
        if self.last_batch in ("discard", "roll_over"):
            return left // self.global_batch_size
        return -(-left // self.global_batch_size)

    def batch_at(self, position: int) -> BatchIndices:
        """The batch at `position`.

        Parameters
        ----------
        position : places consumed so far, as `BatchIndices.next_position` gives it; 0 at the start
        """
        end = (self.epoch(position) + 1) * self.size
        begin = position + self.rank * self.batch_size
        after = position + self.global_batch_size
        beyond = min(max(begin + self.batch_size - end, 0), self.batch_size)
        needed = 1 if self.last_batch in ("wrap", "pad") else self.global_batch_size
        last = after + needed > end
        if last and self.last_batch in ("pad", "discard"):
            after = end
        return BatchIndices(
            self, begin, end, 0 if self.last_batch == "roll_over" else beyond, after, last
        )

    def records(self, epoch: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.int64]:
        """The record indices at some places of some epochs.

        Parameters
        ----------
        epoch : int64 (N,)
        place : int64 (N,), each in [0, size)

        Returns
        -------
        int64 (N,), each in [0, size), or with a mixture below the number of its records; or in
        `subset`
        """
        if not self.shuffle:
            inside = place if self.chunks is None else self.chunks.records(epoch, place)
            return self.in_source(inside)
        return self.in_source(gather(self.run, epoch, place))

    def passed(self, epoch: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of a mixture, how often the records at some places have come before: int64 (N,); the
        parameters are those of `records`.
        """
        mixture = self.mixture
        assert mixture is not None, "otherwise that is the epoch"

        def run(epoch: int, place: int) -> tuple[int, NDArray[np.int64]]:
            begin, samples = mixture.run(self.seed, epoch, place)
            return begin, samples.passed

        return gather(run, epoch, place)

    def read_together(self, position: int, fresh: bool = True) -> tuple[NDArray[np.int64], int]:
        """The records that are best read together at a position, where reading them one by one
        takes long: with `blocks` all those of a pool, also those of other ranks, which are some
        long ranges of the files; otherwise those of a batch.

        Parameters
        ----------
        fresh : False: those of the positions before have been read; of a mixture, only the pools
            that begin here are needed

        Returns
        -------
        The records, int64 (N,), and the position from which on others are needed
        """
        epoch, place = divmod(position, self.size)
        if self.mixture is not None and self.mixture.blocks:
            pools, end = self.mixture.read_together(self.seed, epoch, place, fresh)
            return self.in_source(pools), epoch * self.size + end
        if self.blocks is None:
            batch = self.batch_at(position)
            return batch.record, batch.next_position
        first, pool = self.run(epoch, place)
        return self.in_source(pool), epoch * self.size + first + len(pool)

    def run(self, epoch: int, place: int) -> tuple[int, NDArray[np.int64]]:
        """With `shuffle`, the records at a run of places of an epoch, computed together.

        Parameters
        ----------
        epoch, place : a place that the run has

        Returns
        -------
        The first place, and the records, int64 (N,), each in [0, size); read-only
        """
        if self.mixture is not None:
            begin, samples = self.mixture.run(self.seed, epoch, place)
            return begin, samples.record
        if self.blocks is not None:
            return self.blocks.run(self.seed, epoch, place)
        number = place // RUN
        return number * RUN, permuted_run(self.size, self.seed, epoch, number)

    def in_source(self, record: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices into `subset` as indices into the source."""
        if self.subset is None:
            return record
        if isinstance(self.subset, range):
            return record * self.subset.step + self.subset.start
        return self.subset[record]
