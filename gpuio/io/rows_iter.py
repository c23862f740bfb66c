"""Bases of the iterators that give rows: of arrays, of text files, of whatever people number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuio.iterators.arguments import as_int
from gpuio.iterators.desc import DataBatch, DataDesc
from gpuio.iterators.stream_iter import StreamIter
from gpuio.loading.batch import LoadedBatch
from gpuio.loading.prefetch import PrefetchedStream
from gpuio.loading.stream import DirectStream, Stream
from gpuio.loading.transfer import CudaTransfer, DeviceTransfer, HostTransfer
from gpuio.sampling.order import BatchIndices, Order

if TYPE_CHECKING:
    from gpuio.context import Context

# Batches on their way to a GPU while the caller works on one.
COPIES_AHEAD = 2


class RowsIter(StreamIter[LoadedBatch]):
    """Base of the iterators over rows. A subclass calls `_draw_rows`."""

    _transfer: DeviceTransfer

    def _draw_rows(
        self,
        stream: Stream[LoadedBatch],
        ctx: Context,
        provide_data: list[DataDesc],
        provide_label: list[DataDesc],
        *,
        there: bool = False,
        ahead: int = 0,
    ) -> None:
        """Draw from a stream of rows.

        Parameters
        ----------
        ctx : where the batches should be
        there : they are there already; else they are on the host
        ahead : batches to make ahead of the caller, in a thread; those that have to be copied to a
            GPU always are
        """
        copied = ctx.device_type == "gpu" and not there
        self._transfer = CudaTransfer(ctx) if copied else HostTransfer()
        ahead = max(ahead, COPIES_AHEAD) if copied else ahead
        if ahead:
            stream = PrefetchedStream(stream, self._transfer.copy_async, ahead, "gpuio-rows")
        self._draw_from(stream, provide_data, provide_label)

    def _batch_of(self, drawn: LoadedBatch) -> DataBatch:
        rows = self._transfer.wait(drawn)
        return DataBatch(rows.data, rows.label, rows.pad, rows.keys)


class OrderedRowsIter(RowsIter):
    """Base of the iterators over rows that have numbers. A subclass calls `_draw_in_order`."""

    _ordered: DirectStream[LoadedBatch]
    _fingerprint: str
    _seed_was_drawn: bool

    def _draw_in_order(
        self,
        order: Order,
        load: Callable[[BatchIndices], LoadedBatch],
        ctx: Context,
        provide_data: list[DataDesc],
        provide_label: list[DataDesc],
        *,
        fingerprint: str,
        seed_was_drawn: bool = False,
        there: bool = False,
        ahead: int = 0,
    ) -> None:
        """Draw slices of an order.

        Parameters
        ----------
        load : makes the batch of a slice; should keep nothing alive but the data
        fingerprint : tells the data apart, for saved states
        seed_was_drawn : nobody chose the order's seed, so a saved state brings its own
        ctx, there, ahead : see `_draw_rows`
        """
        self._ordered = DirectStream(order, load)
        self._fingerprint = fingerprint
        self._seed_was_drawn = seed_was_drawn
        self._draw_rows(self._ordered, ctx, provide_data, provide_label, there=there, ahead=ahead)

    def __len__(self) -> int:
        """Batches in the current epoch. Where rows roll over it can differ by one from epoch to
        epoch.
        """
        return self._ordered.order.batches(self._ordered.start)

    def state_dict(self) -> dict[str, Any]:
        """Where the iterator is, as for every iterator, with the seed."""
        return {**super().state_dict(), "seed": self._ordered.order.seed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where an iterator was; where no seed was given, with that one's seed."""
        super().load_state_dict(state)
        if self._seed_was_drawn:
            self._ordered.order = replace(self._ordered.order, seed=int(state["seed"]))

    def _identity(self) -> dict[str, Any]:
        identity = {"data": self._fingerprint, **self._ordered.order.identity()}
        if self._seed_was_drawn:
            del identity["seed"]
        return identity


def seed_or_draw(seed: int | None, needed: bool = True) -> int:
    """The seed that was given; else one from NumPy's global generator, so that ``np.random.seed``
    decides, as it did in MXNet.
    """
    if seed is None:
        return int(np.random.randint(2**31)) if needed else 0
    return as_int("seed", seed)
