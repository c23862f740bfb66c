"""The DALI executor: a DALI graph that decodes and resamples windows, and assembles batches from
them.

One function builds the graph for either kind of device. On a GPU the mixed decoder and the resize
run there and ``kernels/assemble.cu`` writes the batch; with no GPU the same graph is built of CPU
operators, which is how it is tested. A thread of its own feeds the graph and collects from it, a
few batches ahead of the caller.

DALI fails a batch as a whole, and does not always say for which sample. Such a batch is given to
the host's decoder, which knows each record apart.
"""

from __future__ import annotations

import collections
import logging
import queue
from concurrent.futures import Future
from typing import Any, NamedTuple

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from gpuio.context import Context
from gpuio.errors import ContextError, DecodeError, Error
from gpuio.execution.assemble import Output
from gpuio.execution.host import sample
from gpuio.execution.postprocess import CudaPostprocess, HostPostprocess
from gpuio.loading.batch import (
    BadRecordResolution,
    BatchReader,
    LoadedBatch,
    PlannedWork,
    finish,
    resolve_bad_records,
)
from gpuio.loading.workers import Workers
from gpuio.planning.plan import AREA, CUBIC, LANCZOS, LINEAR, NEAREST, Plan
from gpuio.sampling.order import BatchIndices

# Pixels to each side of a window that its interpolation reads, in pixels of the coarser of the two
# grids.
SUPPORT = {NEAREST: 1, LINEAR: 1, CUBIC: 2, AREA: 1, LANCZOS: 4}

# DALI's nearest neighbour takes the pixel under the output pixel's centre, OpenCV's (and MXNet's)
# the one under its corner. Half an output pixel less, and a hair more against rounding, makes the
# one into the other.
CORNER, HAIR = 0.5, 1e-3

log = logging.getLogger("gpuio")

JPEG_START = (0xFF, 0xD8)
JPEG_END = np.array([0xFF, 0xD9], np.uint8)

# Stands in the graph for a record that is known to be bad: one black pixel. Four channels come out
# as they are stored.
BLANK = np.frombuffer(simplejpeg.encode_jpeg(np.zeros((1, 1, 3), np.uint8)), np.uint8)
BLANK_RGBA = cv2.imencode(".png", np.zeros((1, 1, 4), np.uint8))[1]

INSTALL = "pip install 'gpuio[dali]' (or 'gpuio[cuda12]', 'gpuio[cuda13]' with a GPU)"


def _interpolation_types() -> dict[int, int]:
    """MXNet's numbers to DALI's nearest relatives."""
    from nvidia.dali import types

    names = {
        NEAREST: types.INTERP_NN,
        LINEAR: types.INTERP_LINEAR,
        CUBIC: types.INTERP_CUBIC,
        AREA: types.INTERP_TRIANGULAR,
        LANCZOS: types.INTERP_LANCZOS3,
    }
    return {method: int(name) for method, name in names.items()}


def graph(
    source: Any,
    output: Output,
    batch_size: int,
    *,
    device_id: int | None,
    threads: int,
    depth: int,
    antialias: bool,
    hw_decoder_load: float,
    upright: bool = True,
    canvases: bool = False,
) -> Any:
    """Build the graph: encoded bytes and windows in, uint8 samples of one size out.

    Parameters
    ----------
    source : called for each batch, gives `feed`'s arrays; the last two only with `canvases`
    device_id : the GPU, or None for CPU operators
    threads : DALI's CPU threads
    depth : batches in flight
    hw_decoder_load : share of the images offered to the GPU's JPEG engines, 0 to 1
    upright : turn pictures as EXIF says
    canvases : pictures may fill a part of the output only; what it is painted with comes later

    Returns
    -------
    a built DALI pipeline with one output, uint8 (batch_size, height, width, channels), on the
    device

    Raises
    ------
    ContextError : DALI is not installed, or has not the executor that leaves held outputs alone.
    """
    try:
        from nvidia.dali import Pipeline, fn, types
    except ImportError as error:
        raise ContextError(f"NVIDIA DALI is missing; install it with {INSTALL}") from error

    place = "cpu" if device_id is None else "mixed"
    colours = {1: types.GRAY, 3: types.RGB, 4: types.ANY_DATA}
    pipe = Pipeline(
        batch_size=batch_size,
        num_threads=threads,
        device_id=device_id,
        prefetch_queue_depth=depth,
        exec_dynamic=True,
    )
    tuning: dict[str, Any] = {} if device_id is None else {"hw_decoder_load": hw_decoder_load}
    with pipe:
        numbers = [(1, types.UINT8), (1, types.INT32), (1, types.INT32), (1, types.FLOAT),
                   (1, types.FLOAT), (0, types.INT32)]  # fmt: skip
        if canvases:
            numbers += [(1, types.FLOAT), (1, types.INT32)]
        encoded, anchor, shape, start, end, method, *part = fn.external_source(
            source=source,
            num_outputs=len(numbers),
            batch=True,
            no_copy=True,
            ndim=[axes for axes, _ in numbers],
            dtype=[kind for _, kind in numbers],
        )
        pixels = fn.decoders.image_slice(
            encoded,
            anchor,
            shape,
            axes=[0, 1],
            device=place,
            output_type=colours[output.channels],
            adjust_orientation=upright,
            jpeg_fancy_upsampling=True,  # the GPU's default is off, and its pixels then differ
            **tuning,
        )
        whole = output.height, output.width
        samples = fn.resize(
            pixels,
            roi_start=start,
            roi_end=end,
            size=part[0] if canvases else whole,
            antialias=antialias,
            interp_type=fn.cast(method, dtype=types.INTERP_TYPE),
        )
        if canvases:
            samples = fn.slice(
                samples, start=part[1], shape=whole, axes=[0, 1], out_of_bounds_policy="pad"
            )
        pipe.set_outputs(samples)
    pipe.build()
    if not pipe.exec_dynamic:
        raise ContextError("this DALI overwrites batches that are held; install DALI 1.50 or later")
    return pipe


Feed = tuple[
    list[NDArray[np.uint8]],
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.int32],
    NDArray[np.float32],
    NDArray[np.int32],
]


def feed(work: PlannedWork, size: tuple[int, int], channels: int, types: dict[int, int]) -> Feed:
    """A batch as the graph takes it.

    Parameters
    ----------
    size : width and height of the output in pixels
    channels : of the output
    types : MXNet's interpolation methods to DALI's

    Returns
    -------
    encoded : B uint8 arrays, views of the record files where nothing has to be mended; a single
        black pixel stands for a bad record
    anchor, shape : int32 (B, 2), rows and columns: the region to decode
    start, end : float32 (B, 2), rows and columns within that region: the window to resample
    method : int32 (B,), DALI's interpolation
    shown : float32 (B, 2), rows and columns that show the picture
    corner : int32 (B, 2), rows and columns from where those begin to where the output does
    """
    plan = work.plan
    # DALI reads outside of its memory for windows far beside a picture: it gets what is visible, or
    # where nothing is, the picture's first pixel, which is painted over.
    shown = plan.visible(size)
    hidden = (shown[:, 2:] <= shown[:, :2]).any(1)
    shown[hidden] = 0, 0, 1, 1
    part = shown[:, 2:] - shown[:, :2]
    pixel = plan.window[:, 2:] / size
    window = np.concatenate([plan.window[:, :2] + shown[:, :2] * pixel, part * pixel], axis=1)
    window[hidden, :2], window[hidden, 2:] = plan.bounds[hidden, :2], 1
    region = _region(plan, window, part)
    blank = BLANK_RGBA if channels == 4 else BLANK
    encoded = [_closed(image) if image is not None else blank for image in work.image]
    for row in work.errors:
        encoded[row], region[row], window[row] = blank, (0, 0, 1, 1), (0, 0, 1, 1)
    start = window[:, 1::-1] - region[:, 1::-1]
    extent = window[:, :1:-1]
    corner = np.where(plan.method == NEAREST, CORNER, 0)[:, None] * extent / part[:, ::-1]
    nudge = HAIR * (corner > 0) - corner
    if plan.turned is not None:
        nudge[plan.turned, 1] *= -1
    start = start + nudge
    return (
        encoded,
        region[:, 1::-1].astype(np.int32),
        (region[:, :1:-1] - region[:, 1::-1]).astype(np.int32),
        start.astype(np.float32),
        (start + extent).astype(np.float32),
        np.array([types[method] for method in plan.method.tolist()], np.int32),
        part[:, ::-1].astype(np.float32),
        -shown[:, 1::-1].astype(np.int32),
    )


def _region(plan: Plan, window: NDArray[np.float64], size: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 (N, 4), x0, y0, x1, y1: the pixels that resampling windows to sizes, both (N, …) as in
    a plan, reads within the bounds.
    """
    support = np.array([SUPPORT[method] for method in plan.method.tolist()])[:, None]
    margin = support * np.maximum(window[:, 2:] / size, 1) + 1
    low = np.floor(window[:, :2] - margin)
    high = np.ceil(window[:, :2] + window[:, 2:] + margin)
    return np.concatenate(
        [np.maximum(low, plan.bounds[:, :2]), np.minimum(high, plan.bounds[:, 2:])], axis=1
    ).astype(np.int64)


def _closed(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image, with the end marker that DALI insists on where a JPEG has been cut off."""
    jpeg = image[0] == JPEG_START[0] and image[1] == JPEG_START[1]
    if jpeg and (image[-2] != JPEG_END[0] or image[-1] != JPEG_END[1]):
        return np.concatenate([image, JPEG_END])
    return image


class DaliExecutor:
    """Runs plans as a DALI graph, on a GPU or, with `ctx` a CPU, on CPU operators.

    Parameters
    ----------
    preparer : makes the work
    output : the batches
    ctx : the device
    batch_size : rows of a batch
    antialias : see `Augment`
    policy : what to do about bad records, see `resolve_bad_records`
    threads : DALI's CPU threads
    depth : batches in flight in the graph; the caller must submit at least as many before it waits
        for one
    hw_decoder_load : share of the images offered to the GPU's JPEG engines, 0 to 1
    """

    def __init__(
        self,
        preparer: BatchReader,
        output: Output,
        ctx: Context,
        *,
        batch_size: int,
        antialias: bool,
        policy: str,
        threads: int,
        depth: int,
        hw_decoder_load: float,
    ) -> None:
        self._preparer = preparer
        self._output = output
        self._antialias = antialias
        self._policy = policy
        self.depth = depth
        feeds: collections.deque[Feed] = collections.deque()
        self._feeds = feeds
        arrays = 8 if preparer.canvases else 6

        def source() -> Any:  # DALI looks into its source, and takes Python functions only
            return feeds.popleft()[:arrays]

        on_gpu = ctx.device_type == "gpu"
        self._pipe = graph(
            source,
            output,
            batch_size,
            device_id=ctx.device_id if on_gpu else None,
            threads=threads,
            depth=depth,
            antialias=antialias,
            hw_decoder_load=hw_decoder_load,
            upright=preparer.upright,
            canvases=preparer.canvases,
        )
        self._types = _interpolation_types()
        self._half: CudaPostprocess | HostPostprocess = (
            CudaPostprocess(output, ctx) if on_gpu else HostPostprocess(output)
        )
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._primed = self._warned = False
        self._generation = 0
        self._workers = Workers(1, "gpuio-dali")
        self._workers.submit(self._drive)

    def submit(self, take: BatchIndices) -> Future[LoadedBatch]:
        """Begin a batch. The future gives the finished batch, or raises what made it fail."""
        future: Future[LoadedBatch] = Future()
        self._requests.put(_Request(take, future, self._generation))
        return future

    def cancel_pending(self) -> None:
        """Drop the batches that have been submitted so far; their futures may never be done."""
        self._generation += 1

    def retain(self, loaded: LoadedBatch) -> None:
        """Note that the caller now gets this batch; called on the caller's thread."""
        self._half.retain(loaded.data)

    def close(self) -> None:
        """Stop at once; batches that are not finished never will be. May be called twice."""
        self._workers.stopped.set()
        self._requests.put(None)
        self._workers.stop()

    def _drive(self) -> None:
        """Keep `depth` batches in the graph, and collect the oldest."""
        in_flight: collections.deque[tuple[_Request, PlannedWork]] = collections.deque()
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

    def _begin(self, request: _Request) -> PlannedWork:
        work = self._preparer(request.take)
        assert self._preparer.canvases or not work.plan.canvases, "the graph was built for none"
        self._keep_from_dali(work)
        size = (self._output.width, self._output.height)
        self._feeds.append(feed(work, size, self._output.channels, self._types))
        # The first run of a pipeline asks for as many batches as it may have in flight.
        if self._primed or len(self._feeds) == self.depth:
            self._primed = True
            self._pipe.schedule_run()
        return work

    def _keep_from_dali(self, work: PlannedWork) -> None:
        """Note what DALI does not refuse, but damages memory with: gray JPEGs as RGBA."""
        for row, info in enumerate(work.info):
            gray = info is not None and info.format == "jpeg" and info.channels == 1
            if self._output.channels == 4 and gray:
                work.errors[row] = DecodeError("the image has 1 channels, data_shape asks for 4")

    def _collect(self, request: _Request, work: PlannedWork) -> None:
        """Take the oldest batch out of the graph and finish it."""
        images = None
        try:
            try:
                (images,) = self._pipe.share_outputs(self._half.stream)
                if request.generation != self._generation:
                    return  # nobody wants it any more
                pixels = self._half.pixels(images)
                self._check(pixels)
            except (RuntimeError, ValueError, TypeError) as error:
                if not _decoder_failed(error):
                    raise Error(f"DALI failed: {error}") from error
                pixels = self._half.upload(self._decode_on_host(work, error))
            records = self._preparer.records
            settlement: BadRecordResolution = resolve_bad_records(work, records, self._policy)
            batch = None
            if not settlement.all_bad:
                batch = self._half.assemble(pixels, work.plan, settlement.rows)
            request.future.set_result(finish(work, batch, settlement, records))
        except BaseException as error:
            request.future.set_exception(error)
        finally:
            if images is not None:
                self._pipe.release_outputs()

    def _check(self, pixels: Any) -> None:
        expected = (self._output.height, self._output.width, self._output.channels)
        if pixels.shape[1:] != expected:
            raise DecodeError(f"decoders gave samples of {pixels.shape[1:]}, not {expected}")

    def _decode_on_host(self, work: PlannedWork, refusal: Exception) -> NDArray[np.uint8]:
        """Decode a batch that DALI refused, noting which records cannot be."""
        output = self._output
        known = len(work.errors)
        pixels = np.zeros((len(work), output.height, output.width, output.channels), np.uint8)
        for row in range(len(work)):
            if row not in work.errors:
                try:
                    # As the graph's pixels, which are jittered later.
                    size = (output.width, output.height)
                    pixels[row] = sample(
                        work, row, size, output.channels, self._antialias, jittered=False
                    )
                except DecodeError as error:
                    work.errors[row] = error
        if len(work.errors) == known and not self._warned:
            self._warned = True
            log.warning(
                "DALI refused a batch whose records can all be decoded on the host, where such "
                "batches are now decoded, more slowly; DALI said: %s",
                refusal,
            )
        return pixels


class _Request(NamedTuple):
    take: BatchIndices
    future: Future[LoadedBatch]
    generation: int


def _decoder_failed(error: Exception) -> bool:
    """Whether it was a record that DALI could not decode, or with which the samples are not of one
    shape, and not, say, the device that failed.
    """
    return "decoders" in str(error) or "uniform shape" in str(error)
