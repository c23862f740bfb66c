"""Base classes of the iterators over rows of arrays, of text files and of users' own data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from gpuio.generators import numpy_generator
from gpuio.iterators.arguments import as_int
from gpuio.iterators.desc import DataBatch, DataDesc
from gpuio.iterators.stats import Queue, Stats
from gpuio.iterators.stream_iter import StreamIter
from gpuio.loading.batch import LoadedBatch
from gpuio.loading.hand_over import share_arrays
from gpuio.loading.prefetch import PrefetchedStream
from gpuio.loading.states import integer
from gpuio.loading.stream import DirectStream, State, Stream, progress
from gpuio.loading.transfer import DeviceTransfer
from gpuio.sampling.order import BatchIndices, Order

if TYPE_CHECKING:
    from gpuio.context import Context

# Batches that are copied to a GPU while the caller works on one.
PREFETCHED_COPIES = 2

# Seeds are drawn from 0 to below this.
DRAWN_SEEDS = 2**31


class RowsIter(StreamIter[LoadedBatch]):
    """Base class of the iterators over rows. A subclass calls `_set_row_stream`."""

    _ctx: Context

    def _set_row_stream(
        self,
        stream: Stream[LoadedBatch],
        ctx: Context,
        provide_data: list[DataDesc] | None,
        provide_label: list[DataDesc] | None,
        *,
        on_device: bool = False,
        prefetch: int = 0,
    ) -> None:
        """Draw from a stream of rows.

        Parameters
        ----------
        ctx : the device of the batches
        on_device : the stream's batches are there already; else they are on the host
        prefetch : batches to make ahead of the caller in a thread; those that have to be copied to
            a GPU are always prefetched
        """
        self._ctx = ctx
        transform: Callable[[LoadedBatch], LoadedBatch] = _shared
        if ctx.device_type == "gpu" and not on_device:
            transform = DeviceTransfer(ctx).copy_async
            prefetch = max(prefetch, PREFETCHED_COPIES)
        if prefetch:
            stream = PrefetchedStream(stream, transform, prefetch, "gpuio-rows")
        self._set_stream(stream, provide_data, provide_label)

    def stats(self) -> Stats:
        """What has been measured since the iterator was created; see `StreamIter.stats`."""
        stats, stream = super().stats(), self._stream
        if not isinstance(stream, PrefetchedStream):
            return stats
        return replace(stats, queue=Queue(stream.depth, stream.asked, stream.ready))

    def _progress(self) -> list[str]:
        return [*super()._progress(), f"on {self._ctx}"]

    def _to_batch(self, loaded: LoadedBatch) -> DataBatch:
        return DataBatch(loaded.data, loaded.label, loaded.pad, loaded.keys)


def _shared(batch: LoadedBatch) -> LoadedBatch:
    """A batch that a thread has made, for the caller's."""
    return batch._replace(data=share_arrays(batch.data), label=share_arrays(batch.label))


class OrderedRowsIter(RowsIter):
    """Base class of the iterators over indexed rows. A subclass calls `_set_ordered_stream`."""

    _ordered: DirectStream[LoadedBatch]
    _fingerprint: str
    _seed_was_drawn: bool
    _more_state_fields = ("seed",)

    def _set_ordered_stream(
        self,
        order: Order,
        load: Callable[[BatchIndices], LoadedBatch],
        ctx: Context,
        provide_data: list[DataDesc] | None,
        provide_label: list[DataDesc] | None,
        *,
        fingerprint: str,
        seed_was_drawn: bool = False,
        on_device: bool = False,
        prefetch: int = 0,
    ) -> None:
        """Draw batches in the order of `order`.

        Parameters
        ----------
        load : loads a batch; must not keep the iterator alive
        fingerprint : identifies the dataset in saved states
        seed_was_drawn : the caller gave no seed, so loading a state also restores its seed
        ctx, on_device, prefetch : see `_set_row_stream`
        """
        self._ordered = DirectStream(order, load)
        self._fingerprint = fingerprint
        self._seed_was_drawn = seed_was_drawn
        self._set_row_stream(
            self._ordered,
            ctx,
            provide_data,
            provide_label,
            on_device=on_device,
            prefetch=prefetch,
        )

    def _order_of_rows(self) -> Order:
        return self._ordered.order

    def _source_name(self) -> str:
        return f"{self._ordered.order.size} rows"

    def _progress(self) -> list[str]:
        return [progress(self._stream, self._ordered.order), f"on {self._ctx}"]

    def __len__(self) -> int:
        """Batches in the current epoch. With "roll_over" epochs can differ by one."""
        return self._ordered.order.num_batches(self._ordered.start)

    def _position(self) -> State:
        return {**super()._position(), "seed": self._ordered.order.seed}

    def _check_position(self, state: State) -> None:
        super()._check_position(state)
        if self._seed_was_drawn:
            _drawn_seed(state)

    def _restore(self, state: State) -> None:
        super()._restore(state)
        if self._seed_was_drawn:  # else it is part of the identity
            self._ordered.order = replace(self._ordered.order, seed=_drawn_seed(state))

    def _identity(self) -> State:
        identity = {"data": self._fingerprint, **self._ordered.order.identity()}
        if self._seed_was_drawn:
            del identity["seed"]
        return identity


def seed_or_draw(seed: int | None, needed: bool = True) -> int:
    """The given seed, or one from `gpuio.generators`: unless `gpuio.random.seed` was called,
    ``np.random.seed`` decides as in MXNet.
    """
    if seed is None:
        return int(numpy_generator().randint(DRAWN_SEEDS)) if needed else 0
    return as_int("seed", seed)


def _drawn_seed(state: State) -> int:
    """The seed in a state, one that `seed_or_draw` may have drawn."""
    return integer(state, "seed", most=DRAWN_SEEDS - 1)
