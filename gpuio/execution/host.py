"""The host executor: a thread pool that makes batches sample by sample.

Each thread takes one sample at a time from encoded bytes to its row of the batch, so that the
pixels stay in the core's cache; several batches are in flight, so that no thread waits for the last
sample of one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Generic, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from gpuio.decoding.host import decode
from gpuio.errors import Error
from gpuio.execution.assemble import HostAssembler
from gpuio.execution.color import jitter_one, matrix
from gpuio.loading.batch import LoadedBatch, PlannedWork, Records, Work, finish, resolve_bad_records
from gpuio.loading.workers import Workers
from gpuio.planning.plan import AREA, CUBIC, LANCZOS, LINEAR, NEAREST, Plan
from gpuio.sampling.order import BatchIndices

OPENCV_METHODS = {
    NEAREST: cv2.INTER_NEAREST,
    LINEAR: cv2.INTER_LINEAR,
    CUBIC: cv2.INTER_CUBIC,
    AREA: cv2.INTER_AREA,
    LANCZOS: cv2.INTER_LANCZOS4,
}

# A window counts as lying on the grid of whole pixels when it misses it by no more than this.
GRID = 1e-6


def sample(
    work: PlannedWork,
    row: int,
    size: tuple[int, int],
    channels: int,
    antialias: bool,
    jittered: bool = True,
) -> NDArray[np.uint8]:
    """Decode one sample of a batch, resample its window, and paint what lies around it.

    Parameters
    ----------
    size : width and height of the output in pixels
    channels : 1, 3 or 4
    jittered : change hue, lightness, saturation and contrast, too

    Returns
    -------
    uint8 (height, width, channels), on the host; may be a view of a buffer of the calling thread,
    good until that thread decodes again

    Raises
    ------
    DecodeError : the image cannot be decoded.
    """
    data, info = work.image[row], work.info[row]
    assert data is not None and info is not None, "rows with errors are not sampled"
    picture, plan = decode(data, info, channels), work.plan
    window = tuple(plan.window[row].tolist())
    if not plan.canvases:
        pixels = resample(picture, window, plan, row, size, antialias)
        return jitter_one(plan, row, pixels) if jittered else pixels
    made = np.empty((size[1], size[0], channels), np.uint8)
    x0, y0, x1, y1 = 0, 0, *size
    for canvas in reversed(plan.canvases):
        made[y0:y1, x0:x1] = canvas.fill[row]
        left, top, right, bottom = canvas.inside[row].tolist()
        x0, y0, x1, y1 = max(x0, left), max(y0, top), min(x1, right), min(y1, bottom)
    if x0 < x1 and y0 < y1:
        x, y, w, h = window
        across, down = w / size[0], h / size[1]
        part = x + x0 * across, y + y0 * down, (x1 - x0) * across, (y1 - y0) * down
        pixels = resample(picture, part, plan, row, (x1 - x0, y1 - y0), antialias)
        made[y0:y1, x0:x1] = jitter_one(plan, row, pixels) if jittered else pixels
    return made


def resample(
    picture: NDArray[np.uint8],
    window: tuple[float, ...],
    plan: Plan,
    row: int,
    size: tuple[int, int],
    antialias: bool,
) -> NDArray[np.uint8]:
    """Resample one window of a picture, as row `row` of a plan says: uint8 (h, w, C) to uint8
    (height, width, C).

    Where the window lies on the pixel grid of the whole picture scaled to a whole number of pixels,
    as after MXNet's resize and crop, that is what is done, with MXNet's pixels as the result; where
    it does not, the window is sampled directly.
    """
    x0, y0, x1, y1 = plan.bounds[row].tolist()
    x, y, w, h = window
    region, x, y, method = picture[y0:y1, x0:x1], x - x0, y - y0, int(plan.method[row])
    if plan.turned is None or not plan.turned[row]:
        return _resample(region, (x, y, w, h), method, size, antialias)
    region = np.ascontiguousarray(region[:, ::-1])
    return _resample(region, (x1 - x0 - x - w, y, w, h), method, size, antialias)[:, ::-1]


def _resample(
    region: NDArray[np.uint8],
    window: tuple[float, float, float, float],
    method: int,
    size: tuple[int, int],
    antialias: bool,
) -> NDArray[np.uint8]:
    x, y, w, h = window
    width, height = size
    if antialias and (w > width or h > height):
        return _antialiased(region, (x, y, w, h), size, method)
    across, down = width / w, height / h  # output pixels for a source pixel
    high, wide = region.shape[:2]
    scaled = np.array([wide * across, high * down, x * across, y * down])
    whole = np.rint(scaled)
    if np.abs(scaled - whole).max() < GRID * max(1.0, float(whole.max())):
        full_width, full_height, left, top = whole.astype(int).tolist()
        if (full_width, full_height) != (wide, high):
            region = _resize(region, (full_width, full_height), method)
        return region[top : top + height, left : left + width]
    if method in (LINEAR, CUBIC, LANCZOS):
        to_source = np.array(
            [[1 / across, 0, x + 0.5 / across - 0.5], [0, 1 / down, y + 0.5 / down - 0.5]]
        )
        flags = OPENCV_METHODS[method] | cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(
            region, to_source, size, flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return warped.reshape(height, width, -1)  # type: ignore[return-value]
    left, top = min(max(round(x), 0), wide - 1), min(max(round(y), 0), high - 1)
    right, bottom = max(left + 1, round(x + w)), max(top + 1, round(y + h))
    return _resize(region[top:bottom, left:right], size, method)


def _resize(region: NDArray[np.uint8], size: tuple[int, int], method: int) -> NDArray[np.uint8]:
    resized = cv2.resize(region, size, interpolation=OPENCV_METHODS[method])
    return resized.reshape(size[1], size[0], -1)  # type: ignore[return-value]


def _antialiased(
    region: NDArray[np.uint8],
    window: tuple[float, float, float, float],
    size: tuple[int, int],
    method: int,
) -> NDArray[np.uint8]:
    """As DALI does it with antialias=True: a filter as wide as the pixels that fall into one."""
    from PIL import Image

    filters = {
        LINEAR: Image.Resampling.BILINEAR,
        CUBIC: Image.Resampling.BICUBIC,
        LANCZOS: Image.Resampling.LANCZOS,
    }
    x, y, w, h = window
    box = (x, y, min(x + w, region.shape[1]), min(y + h, region.shape[0]))
    picture = Image.fromarray(np.squeeze(region, 2) if region.shape[2] == 1 else region)
    resized = picture.resize(size, filters[method], box)
    return np.asarray(resized).reshape(size[1], size[0], -1)


W = TypeVar("W", bound=Work)
W_contra = TypeVar("W_contra", bound=Work, contravariant=True)


class Renderer(Protocol[W_contra]):
    """What makes a sample; called by several threads at once."""

    def empty(self, rows: int) -> NDArray[np.generic]:
        """Memory for a batch."""

    def write(self, work: W_contra, row: int, batch: NDArray[np.generic]) -> None:
        """Make one sample and write it to its row of the batch.

        Raises
        ------
        Error : the record cannot be used.
        """

    def close(self) -> None:
        """Let go of what is kept."""


class PlanRenderer:
    """Takes a sample from its encoded bytes to its row, as its plan says.

    Parameters
    ----------
    assembler : writes samples into batches
    antialias : see `Augment`
    """

    def __init__(self, assembler: HostAssembler, antialias: bool) -> None:
        self._assembler = assembler
        self._antialias = antialias

    def empty(self, rows: int) -> NDArray[np.generic]:
        """Memory for a batch."""
        return self._assembler.empty(rows)

    def write(self, work: PlannedWork, row: int, batch: NDArray[np.generic]) -> None:
        """Decode, resample, normalise."""
        output = self._assembler.output
        size = (output.width, output.height)
        pixels = sample(work, row, size, output.channels, self._antialias)
        colours = matrix(work.plan, row, pixels)
        self._assembler.write(batch, row, pixels, bool(work.plan.mirror[row]), colours)

    def close(self) -> None:
        """Let go of the memory that is kept for batches."""
        self._assembler.close()


class HostExecutor(Generic[W]):
    """Makes batches on the CPU.

    Parameters
    ----------
    prepare : makes the work of a slice of the stream
    renderer : makes its samples
    records : where they come from
    policy : what to do about bad records, see `resolve_bad_records`
    threads : number of threads
    """

    depth = 1

    def __init__(
        self,
        prepare: Callable[[BatchIndices], W],
        renderer: Renderer[W],
        records: Records,
        *,
        policy: str,
        threads: int,
    ) -> None:
        self._prepare = prepare
        self._renderer = renderer
        self._records = records
        self._policy = policy
        self.threads = threads
        self.generation = 0
        self._workers = Workers(threads, "gpuio-host")

    def submit(self, take: BatchIndices) -> Future[LoadedBatch]:
        """Begin a batch. The future gives the finished batch, or raises what made it fail."""
        future: Future[LoadedBatch] = Future()
        self._workers.submit(partial(self._begin, take, future, self.generation))
        return future

    def cancel_pending(self) -> None:
        """Drop the batches that have been submitted so far; their futures may never be done."""
        self.generation += 1

    def retain(self, loaded: LoadedBatch) -> None:
        """Nothing to do: nobody else writes to memory that is held."""

    def close(self) -> None:
        """Stop at once; batches that are not finished never will be. May be called twice."""
        self._workers.stop()
        self._renderer.close()

    def _begin(self, take: BatchIndices, future: Future[LoadedBatch], generation: int) -> None:
        if generation != self.generation:
            return
        try:
            work = self._prepare(take)
            job = _Job(self, work, self._renderer.empty(len(work)), future, generation)
        except BaseException as error:
            future.set_exception(error)
            return
        for _ in range(self.threads):
            self._workers.submit(job.share)

    def stale(self, generation: int) -> bool:
        """Whether work of that generation is no longer wanted."""
        return self._workers.stopped.is_set() or generation != self.generation

    def write(self, work: W, row: int, batch: NDArray[np.generic]) -> None:
        """Make one sample, or note why that fails."""
        try:
            self._renderer.write(work, row, batch)
        except Error as error:
            work.errors[row] = error

    def finish(self, work: W, batch: NDArray[np.generic]) -> LoadedBatch:
        """Settle what is to be done about bad records."""
        settlement = resolve_bad_records(work, self._records, self._policy)
        data: NDArray[np.generic] | None = batch
        if settlement.all_bad:
            data = None
        elif settlement.rows is not None:
            data = batch[settlement.rows]
        return finish(work, data, settlement, self._records)


class _Job(Generic[W]):
    """One batch, worked on by all threads of the pool."""

    def __init__(
        self,
        executor: HostExecutor[W],
        work: W,
        batch: NDArray[np.generic],
        future: Future[LoadedBatch],
        generation: int,
    ) -> None:
        self._executor = executor
        self._work = work
        self._batch = batch
        self._future = future
        self._generation = generation
        self._rows = iter([row for row in range(len(work)) if row not in work.errors])
        self._failure: BaseException | None = None
        self._shares_left = executor.threads
        self._lock = threading.Lock()

    def share(self) -> None:
        """Take rows until none is left; the last share to end finishes the batch."""
        while (row := self._next()) is not None:
            try:
                self._executor.write(self._work, row, self._batch)
            except BaseException as error:
                self._failure = error
        with self._lock:
            self._shares_left -= 1
            ended = self._shares_left == 0
        if not ended or self._executor.stale(self._generation):
            return
        try:
            if self._failure is not None:
                raise self._failure
            loaded = self._executor.finish(self._work, self._batch)
        except BaseException as error:
            self._future.set_exception(error)
        else:
            self._future.set_result(loaded)

    def _next(self) -> int | None:
        if self._failure is not None or self._executor.stale(self._generation):
            return None
        with self._lock:
            return next(self._rows, None)
