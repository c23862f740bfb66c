"""The record files of ImageRecordIter and ImageDetRecordIter: opening, logging, quarantine."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gpuio.context import Context
from gpuio.errors import ArgumentError
from gpuio.execution.output import OutputSpec
from gpuio.io import mean_image
from gpuio.io.mixed_records import MixtureOptions, mix_records, source_files
from gpuio.iterators.arguments import as_int, log_without_effect
from gpuio.iterators.image_loader_iter import ImageLoaderIter, LoaderOptions
from gpuio.loading.batch import BadRecord
from gpuio.loading.labels import LabelTable
from gpuio.loading.loader import Loader
from gpuio.loading.read_ahead import ReadAhead
from gpuio.loading.source import RecordSource
from gpuio.planning.planner import Planner
from gpuio.recordio import RecordSet
from gpuio.recordio.quarantine import Entry, file_name, write_quarantine
from gpuio.sampling.chunks import Chunks, cut_chunks
from gpuio.sampling.order import Order
from gpuio.sampling.sharding import Shard, contiguous_shard
from gpuio.storage.local import Path
from gpuio.storage.remote.options import RemoteOptions

log = logging.getLogger("gpuio")


class RecordFilesIter(ImageLoaderIter):
    """Base class of ImageRecordIter and ImageDetRecordIter."""

    _gives_single_arrays = True
    _source: RecordSource

    def _log_without_effect(self, **options: tuple[bool, str]) -> None:
        """Log which options have no effect: by name, whether that is so, and why."""
        log_without_effect(
            type(self).__name__,
            {name: reason for name, (applies, reason) in options.items() if applies},
        )

    def _open_files(
        self,
        path_imgrec: Path | Sequence[Path],
        path_imgidx: Path | Sequence[Path] | None,
        table: LabelTable | None,
        options: LoaderOptions,
        chunk_size: int,
        chunk_seed: int,
        mixed: MixtureOptions | None = None,
    ) -> RecordSource:
        """Open the record files, and determine the order of the images of this part.

        Parameters
        ----------
        table : see `open_records`
        options : how batches are loaded
        chunk_size, chunk_seed : the arguments `shuffle_chunk_size` and `shuffle_chunk_seed`
        mixed : what is to be mixed; None: nothing

        Returns
        -------
        The source, which belongs to the iterator

        Raises
        ------
        ArgumentError : as `open_records`; or `chunk_size` or `chunk_seed` is not an integer, or the
            size is below 0; or as `source_files` and `mix_records`.
        """
        chunk_size = as_int("shuffle_chunk_size", chunk_size, 0)
        chunk_seed = as_int("shuffle_chunk_seed", chunk_seed)
        files: tuple[int, ...] = ()
        if mixed is not None and mixed.weights is not None:
            path_imgrec, path_imgidx, files = source_files(path_imgrec, path_imgidx, options.remote)
        source, images = open_records(
            path_imgrec, path_imgidx, table, options.shard, options.quarantine, options.remote
        )
        try:
            indexed = bool(path_imgidx)
            chunks = self._cut_chunks(source, images, options, indexed, chunk_size, chunk_seed)
            mixture = None if mixed is None else mix_records(images, source.records, files, mixed)
        except BaseException:
            source.close()
            raise
        self._open(source, images, options, chunks, mixture)
        return source

    def _cut_chunks(
        self,
        source: RecordSource,
        images: range | NDArray[np.int64],
        options: LoaderOptions,
        indexed: bool,
        size: int,
        seed: int,
    ) -> Chunks | None:
        """The chunks that `shuffle_chunk_size` and `shuffle_chunk_seed` ask for, if they have an
        effect.

        Parameters
        ----------
        source, images, options : as `_open` takes them
        indexed : the iterator was given an index
        size, seed : the two arguments
        """
        ignored = bool(options.shuffle) or indexed
        reason = "with shuffle" if options.shuffle else "with path_imgidx, as in MXNet"
        self._log_without_effect(
            shuffle_chunk_size=(size > 0 and ignored, reason),
            shuffle_chunk_seed=(seed != 0 and (ignored or not size), "without chunks"),
        )
        if ignored or not size:
            return None
        parts = 1 if options.shard.mode == "global" else options.shard.count
        return cut_chunks(images, source.records, parts, size, seed)

    def _with_mean_image(
        self,
        output: OutputSpec,
        path: Path,
        planner: Planner,
        label_shape: tuple[int, ...],
        mirror_mean: bool,
    ) -> OutputSpec:
        """Read the mean image, or if there is no such file, compute it from all images,
        including those of other parts, and write it.

        Parameters
        ----------
        output : what the batches look like otherwise
        planner : how the images are augmented, without flips
        mirror_mean : see `OutputSpec`

        Raises
        ------
        ArgumentError, DataFileError : the file holds no image of this shape.
        DataFileError, DataFileNotFoundError : it cannot be written.
        Error : a record cannot be used, as `on_error` has it.
        """
        shape = output.channels, output.height, output.width
        try:
            if mean_image.exists(path, self._options.remote):
                mean = mean_image.read(path, shape, self._options.remote)
            else:
                mean_image.check_writable(path)
                mean = self._compute_mean(output, planner, label_shape)
                mean_image.write(path, mean, self._options.remote)
        except BaseException:
            self._source.close()
            raise
        return replace(output, mean_image=mean, mirror_mean=mirror_mean)

    def _compute_mean(
        self, output: OutputSpec, planner: Planner, label_shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        source, options = self._source, self._options
        images = source.records.without(source.images, options.quarantine or ())
        log.info("computing the mean of %d images", len(images))
        order = Order(len(images), options.batch_size, last_batch="pad", subset=images)
        plain = OutputSpec(
            output.channels, output.height, output.width, np.dtype(np.float32), "NCHW"
        )
        executor = self._executor(planner, plain, label_shape, 0.0, True)
        ahead = ReadAhead(source, order)
        return mean_image.compute(Loader(order, executor, options.prefetch_buffer, ahead))

    def write_quarantine(self, path: Path) -> int:
        """Write the list of `bad_records`, to a path or a URL, for the `quarantine` of later runs.

        Returns
        -------
        Their number

        Raises
        ------
        RecordError, RemoteError : the file cannot be written.
        """
        return write_bad_records(self.bad_records, path, self._options.remote)


def open_records(
    path_imgrec: Path | Sequence[Path],
    path_imgidx: Path | Sequence[Path] | None,
    table: LabelTable | None,
    shard: Shard,
    quarantine: Iterable[Entry] | None,
    remote: RemoteOptions | None = None,
) -> tuple[RecordSource, range | NDArray[np.int64]]:
    """Open record files and select the images of a shard.

    Parameters
    ----------
    table : labels that replace those in the records; found by the id in their headers
    quarantine : records to leave out
    remote : how remote files are reached and cached; None: by the default options

    Returns
    -------
    The source, and the indices of the shard's images in it

    Raises
    ------
    ArgumentError : there are no records, or none in this shard.
    RecordError, RecordFileNotFoundError : the files are missing or damaged.
    """
    records = RecordSet(path_imgrec, path_imgidx or None, remote)
    try:
        source = RecordSource(records, table, by_id=True)
        images = records.without(source.images, quarantine or ())
        images = contiguous_shard(images, records, shard)
        if not len(records):
            raise ArgumentError(f"{', '.join(records.paths)}: there are no records")
        if not len(images):
            raise ArgumentError(
                f"part {shard.index} of {shard.count} has no records; there are {len(records)} "
                "in total"
            )
    except BaseException:
        records.close()
        raise
    return source, images


def write_bad_records(
    bad_records: Iterable[BadRecord], path: Path, remote: RemoteOptions | None = None
) -> int:
    """Write bad records to a quarantine list, at a path or a URL; returns their number.

    Raises
    ------
    RecordError, RemoteError : the file cannot be written.
    """
    entries = [Entry(file_name(bad.file), bad.offset, bad.key, bad.reason) for bad in bad_records]
    write_quarantine(path, entries, remote)
    return len(entries)


def log_opened(source: RecordSource, images: int, ctx: Context) -> None:
    """Log which files were opened, with how many images in this part, for which device."""
    log.info(
        "%s: %d records, %d in this part, on %s",
        ", ".join(source.records.paths),
        len(source),
        images,
        ctx,
    )
