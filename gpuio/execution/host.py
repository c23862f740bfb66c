"""The host executor: a thread pool that makes batches sample by sample.

Each thread takes one sample after another from encoded bytes to its row of the batch, so that its
pixels stay in the core's cache; several batches are in flight, so that no thread waits for the last
sample of one. Threads take runs of samples that keep them busy for a millisecond or more: by the
native module these are made without the interpreter's lock, for which threads would wait otherwise.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gpuio.decoding.header_codes import pixels_of
from gpuio.errors import FILE_ERRORS, Error
from gpuio.execution.assemble_host import HostAssembler
from gpuio.execution.color import color_matrix
from gpuio.execution.mixing import BatchMixer, mix_batch
from gpuio.execution.native_samples import NativeRenderer
from gpuio.execution.operations import operate
from gpuio.execution.output import OutputSpec
from gpuio.execution.resample import render_sample
from gpuio.loading.bad_records import finish_batch, resolve_bad_records
from gpuio.loading.batch import ImageBatch, LoadedBatch
from gpuio.loading.cpus import cpu_count
from gpuio.loading.outcome import Outcome
from gpuio.loading.reader import BatchReader
from gpuio.loading.stages import DECODE, FINISH
from gpuio.loading.workers import Workers
from gpuio.memory import explain_memory_error
from gpuio.sampling.order import BatchIndices

# Samples that one thread makes without a look at anything else: a part of those of the native
# module; or rows.
Run: TypeAlias = "slice | list[int]"

# Microseconds that a run takes at least, if there are as many samples, so that threads rarely meet;
# and at most, unless a single sample takes longer, so that all have work and stop soon.
LEAST_RUN, MOST_RUN = 1000.0, 10000.0

# Microseconds that a sample takes: by the native module and without it, for each pixel of the image
# and of the output, for each of these and operation, and for each encoded byte. Roughly: only runs
# depend on it.
NATIVE_COST, PYTHON_COST, PIXEL_COST, OUTPUT_COST, OPERATION_COST, BYTE_COST = (
    15.0, 60.0, 3e-3, 1e-3, 3e-3, 5e-3
)  # fmt: skip


class SampleRenderer(Protocol):
    """Makes samples; called by several threads at once."""

    def prepare(self, batch: ImageBatch) -> NDArray[np.generic]:
        """Allocate the array of a batch, and prepare the batch for `write`."""

    def write(self, batch: ImageBatch, row: int, data: NDArray[np.generic]) -> None:
        """Make one sample and write it to its row of the batch's array.

        Raises
        ------
        Error : the record cannot be used.
        """

    def close(self) -> None:
        """Release all memory."""


class PlanRenderer:
    """Makes samples as a plan says: decodes, resamples, normalizes.

    Parameters
    ----------
    output : what the batches look like
    antialias : see `CropOptions`

    Attributes
    ----------
    assembler : writes the samples into batches
    """

    def __init__(self, output: OutputSpec, antialias: bool) -> None:
        self.assembler = HostAssembler(output)
        self._antialias = antialias

    def prepare(self, batch: ImageBatch) -> NDArray[np.generic]:
        """Allocate the array of a batch."""
        return self.assembler.empty(len(batch))

    def write(self, batch: ImageBatch, row: int, data: NDArray[np.generic]) -> None:
        """Make one sample and write it to its row of the batch's array."""
        output, plan = self.assembler.output, batch.plan
        assert plan is not None, "the batch has been planned"
        size = (output.width, output.height)
        pixels = render_sample(batch, row, size, output.channels, self._antialias)
        if plan.operations is not None:
            pixels = operate(pixels, plan.operations[row])
        matrix = color_matrix(plan.color, row, pixels)
        light = None if plan.light is None else plan.light[row]
        self.assembler.write(data, row, pixels, bool(plan.flip[row]), matrix, plan.rounding, light)

    def close(self) -> None:
        """Release the memory kept for further batches."""
        self.assembler.close()


class HostExecutor:
    """Makes batches on the CPU.

    Parameters
    ----------
    reader : reads and plans the batches
    renderer : makes their samples
    on_error : what to do about bad records, see `resolve_bad_records`
    threads : number of threads
    native : makes the samples that it can, if they have a plan, instead of `renderer`; None: none
    mixer : mixes the batches; None: nothing does
    """

    depth = 1

    def __init__(
        self,
        reader: BatchReader,
        renderer: SampleRenderer,
        *,
        on_error: str,
        threads: int,
        native: NativeRenderer | None = None,
        mixer: BatchMixer | None = None,
    ) -> None:
        self._reader = reader
        self.stages = reader.stages
        self.renderer = renderer
        self.native = native
        self._on_error = on_error
        self._mixer = mixer
        self.threads = threads
        self._generation = 0
        self._workers = Workers(threads, "gpuio-host")

    def submit(self, indices: BatchIndices) -> Outcome[LoadedBatch]:
        """Start a batch; see `Executor`."""
        outcome: Outcome[LoadedBatch] = Outcome()
        self._workers.submit(partial(self._begin, indices, outcome, self._generation), outcome)
        return outcome

    def cancel_pending(self) -> None:
        """Drop the batches submitted so far; see `Executor`."""
        self._generation += 1

    def close(self) -> None:
        """Stop at once; see `Executor`."""
        self._workers.stop()
        self.renderer.close()
        if self.native is not None:
            self.native.close()

    def _begin(self, indices: BatchIndices, outcome: Outcome[LoadedBatch], generation: int) -> None:
        if generation != self._generation:
            return
        try:
            batch = self._reader.read(indices)
            job = _Job(self, batch, self.renderer.prepare(batch), outcome, generation)
        except BaseException as error:
            outcome.set_exception(explain_memory_error(error))
            return
        for _ in range(job.threads):
            self._workers.submit(job.run, outcome)

    def is_canceled(self, generation: int) -> bool:
        """Whether the batches of a generation are no longer wanted."""
        return self._workers.stopped.is_set() or generation != self._generation

    def unchanging(self, batch: ImageBatch) -> NDArray[np.int64] | None:
        """The records of a batch; None: they may be others when they are read again."""
        return batch.record if self._reader.source.immutable else None

    def finish(self, batch: ImageBatch, data: NDArray[np.generic]) -> LoadedBatch:
        """Finish a batch whose samples have been made."""
        source = self._reader.source
        resolution = resolve_bad_records(batch, source, self._on_error)
        finished: NDArray[np.generic] | None = data
        if resolution.all_bad:
            finished = None
        elif resolution.rows is not None:
            finished = data[resolution.rows]
        loaded = finish_batch(batch, finished, resolution, source)
        if finished is None or self._mixer is None:
            return loaded
        mix = self._mixer.draw(batch, resolution)
        mix_batch(finished, mix, self._mixer.output)
        return self._mixer.mix_labels(loaded, mix)


class _Job:
    """One batch, worked on by all threads of the pool."""

    def __init__(
        self,
        executor: HostExecutor,
        batch: ImageBatch,
        data: NDArray[np.generic],
        outcome: Outcome[LoadedBatch],
        generation: int,
    ) -> None:
        self._executor = executor
        self._batch = batch
        self._data = data
        self._outcome = outcome
        self._generation = generation
        self._samples = None
        if executor.native is not None and batch.plan is not None:
            self._samples = executor.native.samples(batch, data)
        runs = self._divide()
        self.threads = min(executor.threads, max(len(runs), 1))
        self._runs = iter(runs)
        self._failure: BaseException | None = None
        self._running = self.threads
        self._lock = threading.Lock()

    def run(self) -> None:
        """Make samples until none is left; the last thread to end finishes the batch."""
        with self._executor.stages.measure(DECODE):
            while (run := self._next_run()) is not None:
                try:
                    self._make(run)
                except BaseException as error:
                    self._failure = error
        with self._lock:
            self._running -= 1
            ended = self._running == 0
        if not ended or self._executor.is_canceled(self._generation):
            return
        try:
            if self._failure is not None:
                raise self._failure
            with self._executor.stages.measure(FINISH):
                loaded = self._executor.finish(self._batch, self._data)
        except BaseException as error:
            self._outcome.set_exception(explain_memory_error(error))
        else:
            self._outcome.set_result(loaded)

    def _make(self, run: Run) -> None:
        native, samples = self._executor.native, self._samples
        if isinstance(run, slice):
            assert native is not None and samples is not None, "there are only rows without it"
            run = native.render(samples, run, self._executor.unchanging(self._batch))
        for row in run:
            if self._is_over():
                return
            try:
                self._executor.renderer.write(self._batch, row, self._data)
            except FILE_ERRORS:
                raise
            except Error as error:
                self._batch.errors[row] = error

    def _divide(self) -> list[Run]:
        """Divide the samples that can be used into runs."""
        batch, threads, native = self._batch, self._executor.threads, self._executor.native
        runs: list[Run] = []
        taken = list(batch.errors)
        if native is not None and self._samples is not None and len(self._samples.array):
            array = self._samples.array
            drawn = self._samples.operations
            steps = 0 if drawn is None else drawn.shape[1]
            same = NATIVE_COST + native.pixels * (OUTPUT_COST + steps * OPERATION_COST)
            runs += _cut(self._samples.pixels, array["place"], same, threads)
            if len(array) + len(taken) == len(batch):
                return runs
            taken += array["row"].tolist()
        rows = np.delete(np.arange(len(batch)), taken)
        if batch.plan is None:  # what the samples go through may take any time
            return [[row] for row in rows.tolist()]
        if len(rows):
            pixels = pixels_of(batch.codes[rows]).astype(np.float64)
            parts = _cut(pixels, batch.encoded.places[rows], PYTHON_COST, threads)
            runs += [rows[part].tolist() for part in parts]
        return runs

    def _is_over(self) -> bool:
        return self._failure is not None or self._executor.is_canceled(self._generation)

    def _next_run(self) -> Run | None:
        if self._is_over():
            return None
        with self._lock:
            return next(self._runs, None)


def _cut(
    pixels: NDArray[np.float64], places: NDArray[np.void], same: float, threads: int
) -> list[slice]:
    """Divide a sequence of samples into runs.

    Parameters
    ----------
    pixels : (n,), of the images
    places : PLACE (n,), where they are
    same : microseconds that each sample takes whatever its image
    threads : how many there are
    """
    if (places["file"] < 0).all():  # in memory: nobody waits for a disk while others work
        threads = min(threads, cpu_count())
    cost = (places["end"] - places["begin"]) * BYTE_COST + pixels * PIXEL_COST + same
    end = cost.cumsum()
    length = min(max(float(end[-1]) / threads, LEAST_RUN), MOST_RUN)
    found = np.searchsorted(end - cost, np.arange(0.0, float(end[-1]), length)).tolist()
    begins = sorted(set(found) - {len(cost)})
    return [slice(*each) for each in zip(begins, [*begins[1:], len(cost)], strict=True)]
