"""ImageLoaderIter: the iterator under ImageRecordIter, ImageDetRecordIter, ImageIter and
ImageDetIter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gpuio import nd
from gpuio.context import Context, as_context, require
from gpuio.decoding.limits import over_limit, resolve_max_pixels
from gpuio.errors import ArgumentError, Error
from gpuio.execution.executors import (
    check_dct_scaling,
    create_executor,
    resolve_executor,
    resolve_threads,
)
from gpuio.execution.host import HostExecutor
from gpuio.execution.mixing import BatchMixer
from gpuio.execution.output import OutputSpec
from gpuio.execution.per_sample import PerSampleRenderer
from gpuio.iterators.arguments import as_choice, as_float, as_int
from gpuio.iterators.desc import DataBatch, DataDesc
from gpuio.iterators.stats import Queue, Stats
from gpuio.iterators.stream_iter import StreamIter
from gpuio.loading.bad_records import ON_ERROR_MODES
from gpuio.loading.batch import BadRecord, LoadedBatch
from gpuio.loading.loader import Executor, Loader
from gpuio.loading.read_ahead import ReadAhead
from gpuio.loading.reader import BatchReader
from gpuio.loading.source import ImageSource, RecordSource
from gpuio.loading.stages import StageTimes, nvtx_for
from gpuio.loading.stream import State, Stream, progress
from gpuio.loading.workers import MOST_THREADS
from gpuio.memory import check_fits
from gpuio.planning.mixing import Mixer
from gpuio.planning.planner import Planner
from gpuio.recordio.quarantine import Entry, quarantine_fingerprint
from gpuio.sampling.blocks import BlockOptions, Blocks, cut_blocks
from gpuio.sampling.chunks import Chunks
from gpuio.sampling.mixture import Mixture
from gpuio.sampling.order import Order
from gpuio.sampling.sharding import Shard
from gpuio.storage.local import listed
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.statistics import statistics

# More cost memory and help nobody, whatever the machine.
MOST_AHEAD = 1 << 16


@dataclass(frozen=True, kw_only=True)
class LoaderOptions:
    """How batches are loaded, in the terms of ImageRecordIter's arguments.

    Attributes
    ----------
    batch_size : images in a batch
    shuffle : a new order in each epoch: True: a permutation of all images; BlockOptions: pools of
        blocks of a record file, see `Blocks`; False: the source's order
    seed : determines the order
    last_batch : see `Order`
    shard : which share of the images is read
    ctx : the device of the batches; None: the current context
    executor : "host", "dali", or None: the one for the device
    preprocess_threads : CPU threads; None: what suits the device, see `resolve_threads`
    prefetch_buffer : batches made ahead of the caller
    on_error : what to do about bad records, see `resolve_bad_records`
    antialias : see `CropOptions`
    hw_decoder_load : fraction of the images offered to a GPU's JPEG engines, 0 to 1
    dct_scaling : see `NativeRenderer`
    quarantine : records that have been left out; None: the iterator has no such option
    max_pixels : the most pixels of an image, see `decoding.limits`; None: the default
    remote : how remote files are reached and cached; None: by the default options
    data_name, label_name : names of the arrays

    Raises
    ------
    ArgumentError : a value is out of range.
    ContextError : the device is not available.
    """

    batch_size: int
    shuffle: bool | BlockOptions
    seed: int
    last_batch: str
    shard: Shard
    ctx: Context | str | None
    executor: str | None
    preprocess_threads: int | None
    prefetch_buffer: int
    on_error: str
    data_name: str
    label_name: str
    antialias: bool = False
    hw_decoder_load: float = 0.65
    dct_scaling: bool = False
    quarantine: tuple[Entry, ...] | None = None
    max_pixels: int | None = None
    remote: RemoteOptions | None = None

    def __post_init__(self) -> None:
        for name, most in (("batch_size", None), ("prefetch_buffer", MOST_AHEAD)):
            object.__setattr__(self, name, as_int(name, getattr(self, name), 1, most))
        if self.preprocess_threads is not None:
            as_int("preprocess_threads", self.preprocess_threads, 1, MOST_THREADS)
        object.__setattr__(self, "max_pixels", resolve_max_pixels(self.max_pixels))
        object.__setattr__(self, "seed", as_int("seed", self.seed))
        as_choice("on_error", self.on_error, ON_ERROR_MODES)
        if not 0 <= as_float("hw_decoder_load", self.hw_decoder_load) <= 1:
            raise ArgumentError(
                f"hw_decoder_load is a fraction, 0 to 1, not {self.hw_decoder_load}"
            )
        require(self.context)
        executor = resolve_executor(self.executor, self.context)
        if self.dct_scaling:
            check_dct_scaling(executor)

    def threads(self, planned: bool) -> int:
        """Number of CPU threads; see `resolve_threads`."""
        count = self.preprocess_threads
        return resolve_threads(None if count is None else int(count), self.context, planned)

    @property
    def context(self) -> Context:
        """The device of the batches."""
        return as_context(self.ctx)

    @cached_property  # an iterator over others may ask with each batch, and the list be long
    def quarantined(self) -> str | None:
        """The fingerprint of the quarantine, for saved states; None: there is no such option."""
        return None if self.quarantine is None else quarantine_fingerprint(self.quarantine)

    @property
    def limit(self) -> int:
        """The most pixels of an image."""
        return resolve_max_pixels(self.max_pixels)

    def check_size(self, kind: str, width: int, height: int) -> None:
        """Check a size that all images will have, or exceed, at some step.

        Parameters
        ----------
        kind : what asks for it, as a clause

        Raises
        ------
        ArgumentError : it is more than `max_pixels`.
        """
        if problem := over_limit(width, height, self.limit, kind):
            raise ArgumentError(problem)

    def check_memory(self, output: OutputSpec, label_shape: tuple[int, ...]) -> None:
        """Check that the batches can fit into this machine's memory.

        Parameters
        ----------
        output : what the batches look like
        label_shape : of one sample's label

        Raises
        ------
        ArgumentError : one cannot, or those that are made ahead cannot.
        """
        pixels = math.prod(output.shape(self.batch_size)) * output.dtype.itemsize
        labels = math.prod((self.batch_size, *label_shape)) * np.dtype(np.float32).itemsize
        shape = (self.batch_size, output.channels, output.height, output.width)
        check_fits(
            labels + (pixels if self.context.device_type == "cpu" else 0),
            f"batches {shape} with labels {(self.batch_size, *label_shape)} are too large",
        )
        if self.context.device_type == "cpu":
            check_fits(
                self.prefetch_buffer * (pixels + labels),
                f"prefetch_buffer={self.prefetch_buffer} batches {shape} are too many",
            )


class ImageLoaderIter(StreamIter[LoadedBatch]):
    """Base of the iterators over images.

    A subclass calls `_open`, then `_load`; it may call `_load` again to continue at the same
    position with another planner.
    """

    _source: ImageSource
    _options: LoaderOptions
    _order: Order
    _ctx: Context
    _loader: Loader[LoadedBatch] | None

    def _open(
        self,
        source: ImageSource,
        subset: range | NDArray[np.int64],
        options: LoaderOptions,
        chunks: Chunks | None = None,
        mixture: Mixture | None = None,
    ) -> None:
        """Set what is read, in which order.

        Parameters
        ----------
        source : where the images come from; the iterator's from now on
        subset : the indices of this shard's images in the source, ascending
        options : how batches are loaded
        chunks, mixture : see `Order`

        Raises
        ------
        ArgumentError : there are too few images, or blocks are asked of image files; the source is
            closed.
        """
        self._source, self._options = source, options
        self._ctx = options.context
        self._loader = None
        self._bad: dict[str, BadRecord] = {}
        self._any_good = False  # whether a record of this epoch could be used
        self._stages = StageTimes()
        self._executed: tuple[str | None, int] = (None, 0)  # the executor, and its threads
        remote = isinstance(source, RecordSource) and source.records.is_remote
        self._remote_before = statistics() if remote else None
        try:
            self._order = Order(
                len(subset) if mixture is None else mixture.size,
                options.batch_size,
                bool(options.shuffle),
                options.seed,
                options.last_batch,
                *options.shard.rank_and_size,
                subset,
                chunks,
                None if mixture else _blocks_of(source, subset, options.shuffle),
                mixture,
            )
        except BaseException:
            source.close()
            raise

    def _load(
        self,
        planner_or_renderer: Planner | PerSampleRenderer,
        output: OutputSpec,
        label_shape: tuple[int, ...],
        label_fill: float = 0.0,
        apply_orientation: bool = True,
        mixer: Mixer | None = None,
    ) -> None:
        """Start loading, at the position of a loader that was running before.

        Parameters
        ----------
        planner_or_renderer : plans the images, or renders them one by one on the CPU
        output : what the batches look like
        label_shape : of one sample's label
        label_fill : value of labels that are not set
        apply_orientation : rotate images as their EXIF orientation says
        mixer : draws how batches are mixed; None: they are not
        """
        mixed_shape = label_shape if mixer is None else mixer.label_shape
        try:
            self._options.check_size("data_shape: an image", output.width, output.height)
            if self._loader is None:  # not what computing a mean image took
                self._stages = StageTimes(nvtx_for(self._ctx))
            self._options.check_memory(output, mixed_shape)
            executor = self._executor(
                planner_or_renderer, output, label_shape, label_fill, apply_orientation, mixer
            )
        except BaseException:
            if self._loader is None:
                self._source.close()
            raise
        ahead = ReadAhead(self._source, self._order)
        loader = Loader(self._order, executor, self._options.prefetch_buffer, ahead)
        before = self._loader
        if before is not None:
            loader.restore(before.state())
        self._loader = loader
        self._use_stream(loader, output, mixed_shape)
        if before is not None:
            before.close()

    def _executor(
        self,
        planner_or_renderer: Planner | PerSampleRenderer,
        output: OutputSpec,
        label_shape: tuple[int, ...],
        label_fill: float,
        apply_orientation: bool,
        mixer: Mixer | None = None,
    ) -> Executor[LoadedBatch]:
        options = self._options
        planner = planner_or_renderer if isinstance(planner_or_renderer, Planner) else None
        reader = BatchReader(
            self._source,
            planner,
            label_shape,
            label_fill,
            apply_orientation,
            options.limit,
            self._stages,
        )
        self._executed = (
            resolve_executor(options.executor, self._ctx) if planner is not None else "host",
            options.threads(planner is not None),
        )
        if isinstance(planner_or_renderer, Planner):
            return create_executor(
                resolve_executor(options.executor, self._ctx),
                reader,
                output,
                self._ctx,
                batch_size=self.batch_size,
                antialias=options.antialias,
                on_error=options.on_error,
                threads=options.threads(planned=True),
                hw_decoder_load=options.hw_decoder_load,
                dct_scaling=options.dct_scaling,
                mixer=mixer,
            )
        return HostExecutor(
            reader,
            planner_or_renderer,
            on_error=options.on_error,
            threads=options.threads(planned=False),
            mixer=None if mixer is None else BatchMixer(mixer, output),
        )

    def _use_stream(
        self, stream: Stream[LoadedBatch], output: OutputSpec, label_shape: tuple[int, ...]
    ) -> None:
        """Take batches from `stream`; those of the previous stream are dropped."""
        self._label_shape = (self.batch_size, *label_shape)
        data = DataDesc(
            self._options.data_name,
            output.shape(self.batch_size),
            output.dtype.type,
            output.layout,
        )
        label = DataDesc(self._options.label_name, self._label_shape, np.float32)
        self._set_stream(stream, [data], [label])

    @property
    def num_data(self) -> int:
        """Images in an epoch of this part, good and bad; with weights or epoch_size, samples."""
        return self._order.size

    @property
    def bad_records(self) -> list[BadRecord]:
        """The records that `on_error` has left out or replaced so far, in the order in which they
        came.
        """
        return list(self._bad.values())

    def stats(self) -> Stats:
        """What has been measured since the iterator was created; see `StreamIter.stats`."""
        loader, before = self._loader, self._remote_before
        executor, threads = self._executed
        return replace(
            super().stats(),
            stages=self._stages.totals(),
            executor=executor,
            threads=threads,
            queue=None if loader is None else Queue(loader.ahead - 1, loader.asked, loader.ready),
            bad_records=len(self._bad),
            remote=None if before is None else statistics().since(before),
        )

    def __len__(self) -> int:
        """Number of batches in the current epoch. If the last batch continues in the next epoch, it
        can differ by one from epoch to epoch.
        """
        if self._loader is None:
            raise TypeError(f"{type(self).__name__} does not know the length of its epochs")
        return self._order.num_batches(self._loader.start)

    def __bool__(self) -> bool:
        return True

    def _begin_epoch(self) -> None:
        super()._begin_epoch()
        self._any_good = False

    def _restore(self, state: State) -> None:
        super()._restore(state)
        loader = self._loader
        self._any_good = loader is not None and loader.position > loader.start

    def close(self) -> None:
        """Stop all threads and close the files. May be called twice."""
        self._source.interrupt()
        super().close()
        self._source.close()

    def _reported_pad(self, loaded: LoadedBatch) -> int:
        """`DataBatch.pad`, where MXNet's number is not that of the rows that fill the batch."""
        return loaded.pad

    def _to_batch(self, loaded: LoadedBatch) -> DataBatch | None:
        for bad in loaded.bad:
            self._bad.setdefault(bad.place, bad)
        self._any_good |= loaded.any_good
        if loaded.data:
            data = nd.wrap(loaded.data[0]).as_in_context(self._ctx)
            label = nd.array(loaded.label[0].reshape(self._label_shape), ctx=self._ctx)
            pad = self._reported_pad(loaded)
            return DataBatch([data], [label], pad, loaded.keys, padding=loaded.pad)
        if self.ended and not self._any_good:
            first = loaded.bad[0]
            raise Error(f"not one record of the epoch could be used; {first.place}: {first.reason}")
        return None

    def _source_name(self) -> str:
        images = f"{self._order.size} images"
        if isinstance(self._source, RecordSource):
            return f"{listed(self._source.records.paths)}, {images}"
        return images

    def _progress(self) -> list[str]:
        if self._loader is None:  # only next_sample knows the position
            parts = super()._progress()
        else:
            parts = [progress(self._loader, self._order)]
        if self._bad:
            parts.append(f"{len(self._bad)} bad records")
        return [*parts, f"on {self._ctx}"]

    def _order_of_rows(self) -> Order | None:
        return None if self._loader is None else self._order

    def _identity(self) -> State:
        identity = {
            "data": self._source.fingerprint,
            **self._order.identity(),
            "part": self._options.shard.identity,
        }
        if (quarantined := self._options.quarantined) is not None:
            identity["quarantine"] = quarantined
        return identity


def _blocks_of(
    source: ImageSource, subset: range | NDArray[np.int64], shuffle: bool | BlockOptions
) -> Blocks | None:
    """The blocks of a source's images that `shuffle` asks for, if it does."""
    if isinstance(shuffle, bool):
        return None
    if not isinstance(source, RecordSource):
        raise ArgumentError(
            "shuffle='blocks' is for record files, which hold many images one after another; with "
            "image files use shuffle=True"
        )
    return cut_blocks(subset, source.records, shuffle) if len(subset) else None
