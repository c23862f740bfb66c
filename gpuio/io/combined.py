"""Iterators that wrap iterators: PrefetchingIter and ResizeIter.

They accept every DataIter, also a user's own with only `next` (or ``__next__``) and `reset`; saving
a state needs iterators that can save theirs.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from gpuio.errors import ArgumentError, Error
from gpuio.io.joined_stream import JoinedStream
from gpuio.io.wrapped import (
    MISPLACED,
    Description,
    as_descriptions,
    close_all,
    load_state,
    put_back,
    state_of,
)
from gpuio.iterators.arguments import as_bool, as_int, check_call
from gpuio.iterators.data_iter import DataIter
from gpuio.iterators.desc import DataBatch, DataDesc
from gpuio.iterators.stats import Queue, Stats
from gpuio.iterators.stream_iter import StreamIter, check_state, device_of_batches, stats_of
from gpuio.loading.states import field, integer
from gpuio.loading.stream import CLOSED, State

Renames: TypeAlias = Sequence[dict[str, str]] | None


class PrefetchingIter(StreamIter[DataBatch]):
    """Prefetches from iterators in threads, and joins their batches.

    A batch has the data and labels of all iterators, in their order, and `pad` and `index` of the
    first. An iterator's exception is raised at the batch where it occurred. On GPUs the threads
    work on the streams that are current where the epoch's first batch is asked for.

    `reset`, `load_state_dict` and `close` wake the threads that wait for a batch at once, but wait
    themselves until the iterators have returned from `next`: Python cannot stop one of your own
    that blocks. Where such iterators cannot save their state, and an exception of a signal handler
    interrupts `reset`, `next` raises until `reset` has been called again.

    Parameters
    ----------
    iters : an iterator, or several whose epochs have the same number of batches; this one takes
        over resetting and closing them
    rename_data, rename_label : for each iterator a dict from its names to the new ones
    prefetch_buffer : batches to prefetch from each iterator, at least 1

    Attributes
    ----------
    provide_data, provide_label : those of all iterators, in their order
    iters : the iterators

    Raises
    ------
    ArgumentError : there is no iterator, or not one dict for each.
    KeyError : a name is missing in a dict.

    Examples
    --------
    >>> pairs = PrefetchingIter(
    ...     [pixels, captions], rename_data=[{"data": "image"}, {"data": "caption"}]
    ... )
    """

    @check_call
    def __init__(
        self,
        iters: DataIter | Sequence[DataIter],
        rename_data: Renames = None,
        rename_label: Renames = None,
        *,
        prefetch_buffer: int = 1,
    ) -> None:
        self.iters: list[DataIter] = [*iters] if isinstance(iters, Sequence) else [iters]
        if not self.iters:
            raise ArgumentError("PrefetchingIter needs at least one iterator")
        for inner in self.iters:
            if not hasattr(inner, "__next__"):
                raise TypeError(f"PrefetchingIter takes iterators, not {type(inner).__name__}")
        data = _rename("rename_data", rename_data, [inner.provide_data for inner in self.iters])
        label = _rename("rename_label", rename_label, [inner.provide_label for inner in self.iters])
        super().__init__(data[0].shape[0])
        depth = as_int("prefetch_buffer", prefetch_buffer, 1)
        devices = [ctx for ctx in map(device_of_batches, self.iters) if ctx is not None]
        self._ctx = max(devices, key=lambda ctx: ctx.device_type == "gpu", default=None)
        self._joined = JoinedStream(self.iters, depth)
        self._set_stream(self._joined, data, label)

    def stats(self) -> Stats:
        """What has been measured since the iterator was created, with the iterators' own; see
        `StreamIter.stats`.
        """
        joined = self._joined
        queue = Queue(joined.depth, joined.asked, joined.ready)
        return replace(super().stats(), queue=queue, inner=stats_of(self.iters))

    def __reduce__(self) -> tuple[Any, ...]:
        reduced = super().__reduce__()
        self._joined.pause()  # the iterators are copied, too: no thread may move them meanwhile
        return reduced

    def _to_batch(self, batch: DataBatch) -> DataBatch:
        batch.provide_data, batch.provide_label = self.provide_data, self.provide_label
        return batch

    def _identity(self) -> State:
        return {}

    def _source_name(self) -> str:
        return "over " + " and ".join(type(inner).__name__ for inner in self.iters)


class ResizeIter(StreamIter[DataBatch]):
    """Epochs of exactly `size` batches, however many the iterator has.

    When the iterator's own epoch ends, it is reset and continues.

    A thread that waits for a batch of an iterator of your own gets it; `reset` and
    `load_state_dict` of another thread wait until then. Where an exception of a signal handler
    interrupts `next` of such an iterator, the epoch still has `size` batches, but one may be lost
    in between.

    Parameters
    ----------
    data_iter : the iterator; this one takes over resetting and closing it
    size : batches in an epoch
    reset_internal : `reset` resets the iterator too; if False, it continues where it is

    Raises
    ------
    TypeError : `data_iter` is not an iterator.
    ArgumentError : size is below 1.
    """

    @check_call
    def __init__(self, data_iter: DataIter, size: int, reset_internal: bool = True) -> None:
        if not hasattr(data_iter, "__next__"):
            raise TypeError(f"ResizeIter takes an iterator, not {type(data_iter).__name__}")
        self.data_iter = data_iter
        self.size = as_int("size", size, 1)
        if self.size > sys.maxsize:
            raise ArgumentError(f"size must be at most {sys.maxsize}")
        self.reset_internal = as_bool("reset_internal", reset_internal)
        data = as_descriptions(data_iter.provide_data)
        super().__init__(getattr(data_iter, "batch_size", 0) or data[0].shape[0])
        if hasattr(data_iter, "default_bucket_key"):
            self.default_bucket_key = data_iter.default_bucket_key
        self._ctx = device_of_batches(data_iter)
        self._set_stream(
            _ResizedStream(data_iter, self.size, self.reset_internal),
            data,
            as_descriptions(data_iter.provide_label),
        )

    def stats(self) -> Stats:
        """What has been measured since the iterator was created, with the iterator's own; see
        `StreamIter.stats`.
        """
        return replace(super().stats(), inner=stats_of([self.data_iter]))

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self.size

    def _to_batch(self, batch: DataBatch) -> DataBatch:
        return batch

    def _identity(self) -> State:
        return {"size": self.size}

    def _position(self) -> State:
        with self._turns.lock:  # a batch changes two positions
            return super()._position()

    def _source_name(self) -> str:
        return f"over {type(self.data_iter).__name__}, size={self.size}"


def _rename(
    argument: str, renames: Renames, of_iterators: Sequence[Iterable[Description]]
) -> list[DataDesc]:
    if renames is not None and len(renames) != len(of_iterators):
        raise ArgumentError(
            f"{argument} needs a dict for each of {len(of_iterators)} iterators, not {len(renames)}"
        )
    renamed = []
    for number, descriptions in enumerate(of_iterators):
        for desc in as_descriptions(descriptions):
            name = desc.name
            if renames is not None:
                if name not in renames[number]:
                    raise KeyError(
                        f"{argument}: iterator {number} has {name!r}, which is not renamed"
                    )
                name = renames[number][name]
            renamed.append(DataDesc(name, desc.shape, desc.dtype, desc.layout))
    return renamed


class _ResizedStream:
    """Stream of an iterator's batches, divided into epochs of another length."""

    state_fields = ("epoch", "handed", "inner")

    def __init__(self, inner: DataIter, size: int, reset_internal: bool) -> None:
        self._inner = inner
        self._size = size
        self._reset_internal = reset_internal
        self._place = 0, 0  # the epoch, and batches handed out in it
        self._failure: BaseException | None = None
        self._closed = False

    @property
    def epoch(self) -> int:
        """The number of the current epoch, from 0."""
        return self._place[0]

    @property
    def ended(self) -> bool:
        """Whether all batches of the epoch have been handed out."""
        return self._place[1] == self._size

    def next(self) -> DataBatch | None:
        """The next batch; the iterator is reset when its own epoch ends."""
        if self._closed:
            raise Error(CLOSED)
        epoch, count = self._place
        if count == self._size:
            return None
        if self._failure is not None:
            raise Error(MISPLACED) from self._failure
        inner = self._inner
        before = inner._position_to_return_to() if isinstance(inner, StreamIter) else None
        try:
            batch = next(inner, None)
            if batch is None:
                inner.reset()
                batch = next(inner, None)
            if batch is None:
                raise Error(f"{type(inner).__name__} has no batches, even after reset()")
            self._place = epoch, count + 1
        except BaseException:
            # A signal handler may have raised after the iterator had moved on.
            if before is not None and not self._closed:
                inner._restore(before)  # type: ignore[attr-defined]
            raise
        return batch

    def reset(self) -> None:
        """Begin the next epoch."""
        epoch, count = self._place
        if self._reset_internal or self._failure is not None:
            self._inner.reset()
        self._place, self._failure = (epoch + (count > 0), 0), None

    def state(self) -> State:
        """Save the position within the epoch, and the iterator's."""
        epoch, count = self._place
        inner = copy.deepcopy(self._inner.state_dict())
        return {"epoch": epoch, "handed": count, "inner": inner}

    def check(self, state: State) -> None:
        """Check a saved position; see `Stream.check`."""
        *_, inner = self._saved(state)
        check_state(self._inner, inner)

    def restore(self, state: State) -> None:
        """Restore a saved position. If the iterator refuses it, it stays where it is."""
        epoch, count, inner = self._saved(state)
        before = state_of(self._inner)
        try:
            load_state(self._inner, inner)
        except BaseException as error:
            if not put_back([self._inner], [before]):
                self._failure = error
            raise
        self._place, self._failure = (epoch, count), None

    def wake(self, interruptions: Mapping[int, str]) -> None:
        """Wake the thread that waits for a batch of the iterator, if it is one of gpuio's."""
        if isinstance(self._inner, StreamIter):
            self._inner._stream.wake(interruptions)

    def _saved(self, state: State) -> tuple[int, int, State]:
        """The position that a state holds: epoch, batches handed out, and the iterator's state."""
        return (
            integer(state, "epoch"),
            integer(state, "handed", most=self._size),
            field(state, "inner"),
        )

    def close(self) -> None:
        """Close the iterator. May be called twice."""
        self._closed = True
        close_all([self._inner])
