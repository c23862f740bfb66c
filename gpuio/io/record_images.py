"""What the iterators over images in record files share: opening, order, executor, bad records."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuio import nd
from gpuio.context import Context, as_context, require
from gpuio.errors import ArgumentError, Error
from gpuio.execution.assemble import Output
from gpuio.execution.executors import executor_of, plan_executor
from gpuio.iterators.arguments import as_bool, as_choice, as_float, as_int, last_batch_mode
from gpuio.iterators.desc import DataBatch, DataDesc
from gpuio.iterators.stream_iter import StreamIter
from gpuio.loading.batch import POLICIES, BadRecord, BatchReader, Draft, LoadedBatch
from gpuio.loading.loader import Loader
from gpuio.planning.plan import Plan
from gpuio.recordio import IRHeader, RecordSet
from gpuio.recordio.quarantine import Entry, identity_of, read_quarantine, write_quarantine
from gpuio.sampling.order import Order
from gpuio.sampling.sharding import Shard, contiguous, resolve_shard
from gpuio.storage.local import Path

log = logging.getLogger("gpuio")


@dataclass(frozen=True, kw_only=True)
class Running:
    """Which records come in which order, and how batches of them are made, in ImageRecordIter's
    words.
    """

    path_imgrec: Path | Sequence[Path]
    batch_size: int
    path_imgidx: Path | Sequence[Path] | None = None
    shuffle: bool = False
    seed: int = 0
    round_batch: bool = True
    num_parts: int | str = 1
    part_index: int = 0
    preprocess_threads: int = 4
    prefetch_buffer: int = 4
    ctx: Context | str | None = None
    on_error: str = "raise"
    quarantine: Path | None = None
    last_batch_handle: str | None = None
    partition: str | None = None
    executor: str | None = None
    hw_decoder_load: float = 0.65
    data_name: str = "data"
    label_name: str = "softmax_label"
    verbose: bool = True


class RecordImages(StreamIter[LoadedBatch]):
    """Base of the iterators over images in record files.

    A subclass calls `_load`; if it fails after this constructor, it calls `close_records`.

    Parameters
    ----------
    running : checked here

    Raises
    ------
    ArgumentError : a value is out of range.
    RecordError, RecordFileNotFoundError : the files are missing or damaged.
    ContextError : the device is not there.
    """

    def __init__(self, running: Running) -> None:
        super().__init__(as_int("batch_size", running.batch_size, 1))
        self._running = running
        self._threads = as_int("preprocess_threads", running.preprocess_threads, 1)
        self._ahead = as_int("prefetch_buffer", running.prefetch_buffer, 1)
        self._seed = as_int("seed", running.seed)
        as_choice("on_error", running.on_error, POLICIES)
        if not 0 <= as_float("hw_decoder_load", running.hw_decoder_load) <= 1:
            raise ArgumentError(
                f"hw_decoder_load is a share, 0 to 1, not {running.hw_decoder_load}"
            )
        self._ctx = as_context(running.ctx)
        require(self._ctx)
        self._executor = executor_of(running.executor, self._ctx)
        self._part = resolve_shard(running.num_parts, running.part_index, running.partition)
        shuffle = as_bool("shuffle", running.shuffle)
        last_batch = last_batch_mode(
            as_bool("round_batch", running.round_batch), running.last_batch_handle
        )
        left_out = [] if running.quarantine is None else read_quarantine(running.quarantine)
        self._left_out = identity_of(left_out)
        self._records = RecordSet(running.path_imgrec, running.path_imgidx or None)
        try:
            self._selection = _selection(self._records, self._part, left_out)
        except BaseException:
            self._records.close()
            raise
        joint = self._part.mode == "global"
        rank, world = (self._part.index, self._part.count) if joint else (0, 1)
        self._order = Order(
            len(self._selection), self.batch_size, shuffle, self._seed, last_batch, rank, world
        )

    def _load(
        self,
        output: Output,
        label: Callable[[IRHeader], Any],
        planner: Callable[[Draft], Plan],
        label_shape: tuple[int, ...],
        antialias: bool = False,
        canvases: bool = False,
    ) -> None:
        """Begin.

        Parameters
        ----------
        output : the batches
        label : a record's label; raises RecordError
        planner : makes the plan of a batch
        label_shape : of one sample
        antialias : see `Augment`
        canvases : plans may have some
        """
        records, running = self._records, self._running

        def read(ordinal: int) -> tuple[Any, NDArray[np.uint8]]:
            header, data = records.record(ordinal)
            return label(header), data

        def room(rows: int) -> NDArray[np.float32]:
            return np.zeros((rows, *(label_shape or (1,))), np.float32)

        runner = plan_executor(
            self._executor,
            BatchReader(records, self._selection, read, planner, room, canvases=canvases),
            output,
            self._ctx,
            batch_size=self.batch_size,
            antialias=antialias,
            policy=running.on_error,
            threads=self._threads,
            hw_decoder_load=running.hw_decoder_load,
        )
        self._loader = Loader(self._order, runner, self._ahead)
        self._bad: dict[str, BadRecord] = {}
        self._useful = False  # whether any record of this epoch could be used
        self._labels_shape = (self.batch_size, *label_shape)
        self._draw_from(
            self._loader,
            [
                DataDesc(
                    running.data_name,
                    output.shape(self.batch_size),
                    output.dtype.type,
                    output.layout,
                )
            ],
            [DataDesc(running.label_name, self._labels_shape, np.float32)],
        )
        if running.verbose:
            log.info(
                "%s: %d records, %d in this part, on %s",
                ", ".join(self._records.paths),
                len(self._records),
                self._order.size,
                self._ctx,
            )

    @property
    def num_data(self) -> int:
        """Images in an epoch of this part, good and bad."""
        return self._order.size

    @property
    def bad_records(self) -> list[BadRecord]:
        """The records that `on_error` left out or replaced so far, in the order in which they
        came.
        """
        return list(self._bad.values())

    def write_quarantine(self, path: Path) -> int:
        """Write the list of `bad_records`, for the `quarantine` of later runs; gives their number.

        Raises
        ------
        RecordError : the file cannot be written.
        """
        entries = [
            Entry(os.path.basename(bad.file), bad.offset, bad.key, bad.reason)
            for bad in self.bad_records
        ]
        write_quarantine(path, entries)
        return len(entries)

    def __len__(self) -> int:
        """Batches in the current epoch. With round_batch it can differ by one from epoch to
        epoch.
        """
        return self._order.batches(self._loader.start)

    def close(self) -> None:
        """Stop what runs behind the caller and close the files. May be called twice."""
        super().close()
        self.close_records()

    def close_records(self) -> None:
        """Close the files alone."""
        self._records.close()

    def _batch_of(self, drawn: LoadedBatch) -> DataBatch | None:
        for bad in drawn.bad:
            self._bad.setdefault(bad.place, bad)
        if drawn.data:
            self._useful = True
            label = nd.array(drawn.label[0].reshape(self._labels_shape), ctx=self._ctx)
            return DataBatch([nd.wrap(drawn.data[0])], [label], drawn.pad, drawn.keys)
        if self._loader.ended and not self._useful:
            first = drawn.bad[0]
            raise Error(f"not one record of the epoch could be used; {first.place}: {first.reason}")
        return None

    def reset(self) -> None:
        """Begin the next epoch, as every iterator does."""
        super().reset()
        self._useful = False

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where an iterator was, as every iterator does."""
        super().load_state_dict(state)
        self._useful = self._loader.position > self._loader.start

    def _identity(self) -> dict[str, Any]:
        return {
            "data": self._records.fingerprint,
            **self._order.identity(),
            "part": self._part.identity,
            "quarantine": self._left_out,
        }


def _selection(
    records: RecordSet, part: Shard, left_out: list[Entry]
) -> Sequence[int] | NDArray[np.int64]:
    """The records of a part that hold images."""
    images = records.without(records.image_ordinals(), left_out)
    if part.mode == "contiguous":
        images = contiguous(images, records, part)
    if not len(records):
        raise ArgumentError(f"{', '.join(records.paths)}: there are no records")
    if not len(images):
        raise ArgumentError(
            f"part {part.index} of {part.count} has no records; there are {len(records)} in all"
        )
    return images
