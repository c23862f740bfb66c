"""The DALI executor: runs plans as a DALI graph, on a GPU or on CPU operators.

A thread of its own feeds the graph and collects from it, a few batches ahead of the caller.

DALI fails a batch as a whole, and does not always say because of which sample. Such a batch is
decoded on the host, which finds the bad records one by one.
"""

from __future__ import annotations

import collections
import logging
import queue
from concurrent.futures import Future
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.context import Context
from gpuio.errors import DecodeError
from gpuio.execution.dali_graph import Feed, build_graph, interpolation_types, make_feed
from gpuio.execution.output import OutputSpec
from gpuio.execution.postprocess import CudaPostprocess, HostPostprocess
from gpuio.execution.resample import render_sample
from gpuio.loading.bad_records import finish_batch, resolve_bad_records
from gpuio.loading.batch import ImageBatch, LoadedBatch
from gpuio.loading.reader import BatchReader
from gpuio.loading.workers import Workers
from gpuio.nd.types import Array
from gpuio.sampling.order import BatchIndices

log = logging.getLogger("gpuio")


class _Request(NamedTuple):
    indices: BatchIndices
    future: Future[LoadedBatch]
    generation: int


class DaliExecutor:
    """Runs plans as a DALI graph.

    Parameters
    ----------
    reader : reads and plans the batches
    output : what they look like
    ctx : their device; a CPU runs DALI's CPU operators
    batch_size : rows of a batch
    antialias : see `CropOptions`
    on_error : what to do about bad records, see `resolve_bad_records`
    threads : DALI's CPU threads
    depth : batches in flight in the graph; the caller must submit at least as many before it waits
        for one
    hw_decoder_load : fraction of the images offered to the GPU's JPEG engines, 0 to 1
    """

    def __init__(
        self,
        reader: BatchReader,
        output: OutputSpec,
        ctx: Context,
        *,
        batch_size: int,
        antialias: bool,
        on_error: str,
        threads: int,
        depth: int,
        hw_decoder_load: float,
    ) -> None:
        assert reader.planner is not None, "the graph runs plans"
        self._reader = reader
        self._output = output
        self._antialias = antialias
        self._on_error = on_error
        self.depth = depth
        feeds: collections.deque[Feed] = collections.deque()
        self._feeds = feeds
        self._borders = reader.planner.borders

        def source() -> list[Any]:  # DALI accepts plain functions only
            return feeds.popleft().arrays()

        on_gpu = ctx.device_type == "gpu"
        self._pipe = build_graph(
            source,
            output,
            batch_size,
            device_id=ctx.device_id if on_gpu else None,
            threads=threads,
            depth=depth,
            antialias=antialias,
            hw_decoder_load=hw_decoder_load,
            apply_orientation=reader.apply_orientation,
            borders=self._borders,
            affine=reader.planner.affine,
        )
        self._types = interpolation_types()
        self._postprocess: CudaPostprocess | HostPostprocess = (
            CudaPostprocess(output, ctx) if on_gpu else HostPostprocess(output)
        )
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._primed = self._warned = False
        self._generation = 0
        self._workers = Workers(1, "gpuio-dali")
        self._workers.submit(self._drive)

    def submit(self, indices: BatchIndices) -> Future[LoadedBatch]:
        """Start a batch; see `Executor`."""
        future: Future[LoadedBatch] = Future()
        self._requests.put(_Request(indices, future, self._generation))
        return future

    def cancel_pending(self) -> None:
        """Drop the batches submitted so far; see `Executor`."""
        self._generation += 1

    def close(self) -> None:
        """Stop at once; see `Executor`."""
        self._workers.stopped.set()
        self._requests.put(None)
        self._workers.stop()

    def _drive(self) -> None:
        """Keep `depth` batches in the graph, and collect the oldest."""
        in_flight: collections.deque[tuple[_Request, ImageBatch]] = collections.deque()
        while not self._workers.stopped.is_set():
            if len(in_flight) < self.depth:
                try:
                    request = self._requests.get(block=not (in_flight and self._primed))
                except queue.Empty:
                    pass
                else:
                    if request is None:
                        return
                    if request.generation == self._generation:
                        try:
                            in_flight.append((request, self._begin(request)))
                        except BaseException as error:
                            request.future.set_exception(error)
                    continue
            if in_flight:
                self._collect(*in_flight.popleft())

    def _begin(self, request: _Request) -> ImageBatch:
        batch = self._reader.read(request.indices)
        assert batch.plan is not None, "the batch has been planned"
        assert self._borders or not batch.plan.borders, "the graph was built without borders"
        self._exclude_unsafe(batch)
        size = (self._output.width, self._output.height)
        channels = self._output.channels
        self._feeds.append(make_feed(batch, size, channels, self._types, self._borders))
        # The first run of a pipeline asks for as many batches as may be in flight.
        if self._primed or len(self._feeds) == self.depth:
            self._primed = True
            self._pipe.schedule_run()
        return batch

    def _exclude_unsafe(self, batch: ImageBatch) -> None:
        """Mark what DALI does not reject, but corrupts memory with: gray JPEGs as RGBA."""
        if self._output.channels != 4:
            return
        for row, header in enumerate(batch.headers):
            if header is not None and header.format == "jpeg" and header.channels == 1:
                batch.errors[row] = DecodeError("the image has 1 channels, data_shape asks for 4")

    def _collect(self, request: _Request, batch: ImageBatch) -> None:
        """Take the oldest batch out of the graph and finish it."""
        tensors = None
        try:
            try:
                (tensors,) = self._pipe.share_outputs(self._postprocess.stream)
                if request.generation != self._generation:
                    return  # no longer wanted
                pixels = self._postprocess.pixels(tensors)
                self._check_shape(pixels)
            except (RuntimeError, ValueError, TypeError) as error:
                if request.generation != self._generation:
                    return
                pixels = self._postprocess.upload(self._decode_on_host(batch, error))
            source = self._reader.source
            resolution = resolve_bad_records(batch, source, self._on_error)
            data = None
            if not resolution.all_bad:
                assert batch.plan is not None, "the batch has been planned"
                data = self._postprocess.assemble(pixels, batch.plan, resolution.rows)
            request.future.set_result(finish_batch(batch, data, resolution, source))
        except BaseException as error:
            request.future.set_exception(error)
        finally:
            if tensors is not None:
                self._postprocess.keep(tensors)
                self._pipe.release_outputs()

    def _check_shape(self, pixels: Array) -> None:
        expected = (self._output.height, self._output.width, self._output.channels)
        if pixels.shape[1:] != expected:
            raise DecodeError(f"DALI gave samples of shape {pixels.shape[1:]}, not {expected}")

    def _decode_on_host(self, batch: ImageBatch, failure: Exception) -> NDArray[np.uint8]:
        """Decode a batch that failed in the graph, and find its bad records.

        On a GPU that has failed, whatever follows fails too, with CUDA's error.
        """
        output = self._output
        known = len(batch.errors)
        pixels = np.zeros((len(batch), output.height, output.width, output.channels), np.uint8)
        for row in range(len(batch)):
            if row not in batch.errors:
                try:
                    size = (output.width, output.height)
                    # Jitter is left to the postprocessing, as for the graph's samples.
                    pixels[row] = render_sample(
                        batch, row, size, output.channels, self._antialias, jitter=False
                    )
                except DecodeError as error:
                    batch.errors[row] = error
        if len(batch.errors) == known and not self._warned:
            self._warned = True
            log.warning(
                "DALI rejected a batch whose records can all be decoded on the host, where such "
                "batches are now decoded, more slowly; DALI said: %s",
                failure,
            )
        return pixels
