"""The DALI executor: runs plans as a DALI graph, on a GPU or on CPU operators.

Three threads of its own work a few batches ahead of the caller::

    submit ─► requests ─► reader ─► read ─► feeder ─► scheduled ─► collector ─► outcome

- The reader asks the system to read the records of all requests from the disk, reads them into
  memory, and passes them on, so that nobody else waits for the disk.
- The feeder plans the batch, waits for a free slot, and schedules it in the graph. A slot
  is a place in the graph, of which there are `depth`; the next batch is prepared meanwhile.
- The collector waits for the graph, postprocesses the samples, resolves bad records, and frees the
  slot.

What can go wrong with a batch:

- Reading, planning or scheduling it raises: its outcome is the exception. After an exception while
  scheduling, DALI may hold a part of its inputs: a new graph takes the following batches, the
  collector drops the old one when the batches before have come out of it.
- The graph fails it, perhaps because of an image: the collector runs it again in a second graph,
  without the samples that DALI refuses (`RefusedSamples`). These are decoded on the host, as they
  are from then on: their records are remembered.
- Memory, the driver or the GPU fails: its outcome is a `DeviceError`; a new graph takes over.
- The graph gives another batch than it should: it is replaced, and the batches in it run again.
- It is canceled: it passes through the graph, and is dropped behind it.

When the executor is closed, the reader ends first, then the feeder, then the collector, which lets
DALI finish what it reads from, drops the graphs and stops the threads that decode on the host.
"""

from __future__ import annotations

import atexit
import collections
import logging
import queue
import threading
import weakref
from collections.abc import Collection
from contextlib import suppress
from functools import cache, partial
from typing import NamedTuple

from gpuio.context import Context
from gpuio.errors import Error
from gpuio.execution.buffers import BufferPool
from gpuio.execution.dali_errors import GraphError
from gpuio.execution.dali_graph import (
    Feed,
    blank_feed,
    build_graph,
    host_reason,
    host_rows,
    interpolation_types,
    make_feed,
)
from gpuio.execution.dali_pipeline import DaliPipeline, MisplacedBatchError
from gpuio.execution.dali_refused import Canceled, RefusedSamples, Rerun
from gpuio.execution.host_samples import HostSamples, PendingSamples
from gpuio.execution.mixing import BatchMixer
from gpuio.execution.output import OutputSpec
from gpuio.execution.postprocess import CudaPostprocess, HostPostprocess
from gpuio.loading.bad_records import finish_batch, resolve_bad_records
from gpuio.loading.batch import ImageBatch, LoadedBatch
from gpuio.loading.outcome import Flag, Outcome
from gpuio.loading.reader import BatchReader
from gpuio.loading.source import Encoded
from gpuio.loading.stages import DECODE, FINISH
from gpuio.loading.workers import Workers
from gpuio.memory import explain_memory_error
from gpuio.sampling.order import BatchIndices
from gpuio.storage.parts import Bulk

log = logging.getLogger("gpuio")

# Threads that help to read a batch. One copies at 4 to 10 GB/s, 10 to 30 us for each photograph; a
# GPU's JPEG engines decode one in 55.
READERS = 3

# Records that DALI refuses of which an executor remembers that, 100 bytes each.
MAX_REFUSED = 1 << 17


class _Request(NamedTuple):
    indices: BatchIndices
    outcome: Outcome[LoadedBatch]
    generation: int


class _Read(NamedTuple):
    """A batch whose records are in memory; of each what was read, or why it cannot be used."""

    request: _Request
    records: list[Encoded | Error]


class _Scheduled(NamedTuple):
    """A batch in the graph.

    Attributes
    ----------
    number : see `DaliPipeline`
    on_host : the samples that are left out of the graph
    """

    request: _Request
    batch: ImageBatch
    pipeline: DaliPipeline
    number: int
    on_host: PendingSamples


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
    threads : DALI's CPU threads, and as many that decode what DALI refuses
    depth : batches in the graph
    hw_decoder_load : fraction of the images offered to the GPU's JPEG engines, 0 to 1
    mixer : mixes the batches; None: nothing does
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
        mixer: BatchMixer | None = None,
    ) -> None:
        planner = reader.planner
        assert planner is not None, "the graph runs plans"
        self._reader = reader
        self._output = output
        self._on_error = on_error
        self._mixer = mixer
        self.depth = depth
        self._borders = planner.borders
        on_gpu = ctx.device_type == "gpu"

        def create(depth: int) -> DaliPipeline:
            build = partial(
                build_graph,
                output=output,
                batch_size=batch_size,
                device_id=ctx.device_id if on_gpu else None,
                threads=threads,
                depth=depth,
                antialias=antialias,
                hw_decoder_load=hw_decoder_load,
                apply_orientation=reader.apply_orientation,
                borders=planner.borders,
                affine=planner.affine,
            )
            blank = blank_feed(output.channels, planner.borders, planner.affine is not None)
            # Images of four channels are decoded as they are stored.
            shape = (output.height, output.width, 4) if output.channels == 4 else None
            return DaliPipeline(build, depth, blank, shape)

        self._create = partial(create, depth)
        self._pipeline = self._create()
        self._types = interpolation_types()
        self._postprocess: CudaPostprocess | HostPostprocess = (
            CudaPostprocess(output, ctx) if on_gpu else HostPostprocess(output)
        )
        # Batches of encoded images: one is read while others are in the graph, and then comes back.
        self._memory = BufferPool(limit=2)
        self._host_samples = HostSamples(output, antialias, threads)
        self._refused_samples = RefusedSamples(partial(create, 1), self._postprocess.stream)
        self._refused_records: dict[int, None] = {}
        self._warned = False
        self._generation = 0
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._read: queue.SimpleQueue[_Read | None] = queue.SimpleQueue()
        self._slots: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(depth):
            self._slots.put(None)
        # A pipeline follows the last batch that was scheduled in it; None: there are no more.
        self._scheduled: queue.SimpleQueue[_Scheduled | DaliPipeline | None] = queue.SimpleQueue()
        self._stopped = Flag()
        self._workers: Workers | None = None
        self._roles = collections.deque([self._read_records, self._feed, self._collect])
        # Starting the threads, and closing, which a signal handler may do.
        self._lock = threading.RLock()
        _open.add(self)
        _close_at_exit()

    def submit(self, indices: BatchIndices) -> Outcome[LoadedBatch]:
        """Start a batch; see `Executor`. The first call starts the threads.

        Raises
        ------
        ArgumentError : the system does not allow so many threads; a later call tries again.
        """
        self._start()
        outcome: Outcome[LoadedBatch] = Outcome()
        self._requests.put(_Request(indices, outcome, self._generation))
        return outcome

    def cancel_pending(self) -> None:
        """Drop the batches submitted so far; see `Executor`."""
        self._generation += 1

    def close(self) -> None:
        """Stop at once, and wait until DALI has stopped reading; see `Executor`."""
        with self._lock:
            self._stopped.set()
            workers = self._workers
        if workers is None:
            self._pipeline.close()
            return
        # Where the garbage collector calls this on a thread of the executor's, waiting for another
        # could mean waiting for itself.
        own = workers.runs_current_thread or self._host_samples.runs_current_thread
        self._requests.put(None)
        self._slots.put(None)
        workers.stop(wait=not own, drop=False)  # each thread ends as the other needs it

    def _start(self) -> None:
        """Start the threads, unless they run or the executor is closed."""
        with self._lock:
            if self._stopped.is_set():
                return
            if self._workers is None:
                self._workers = Workers(len(self._roles) + READERS, "gpuio-dali")
            # Again where a signal handler raised before: a thread takes each role once.
            for _ in range(len(self._roles)):
                self._workers.submit(self._take_role)
            if self._stopped.is_set():  # a signal handler has closed it meanwhile
                self.close()

    def _take_role(self) -> None:
        try:
            role = self._roles.popleft()
        except IndexError:
            return
        role()

    def _is_wanted(self, request: _Request) -> bool:
        return request.generation == self._generation and not self._stopped.is_set()

    def _read_records(self) -> None:
        """Read what is submitted into memory, and pass it on."""
        assert self._workers is not None, "this runs on one of them"
        bulk = Bulk(self._memory.about, partial(self._workers.run, helpers=READERS))
        waiting: collections.deque[_Request] = collections.deque()
        try:
            while not self._stopped.is_set():
                self._read_ahead(waiting)
                if waiting:
                    request = waiting.popleft()
                    try:
                        if self._is_wanted(request):
                            records = self._reader.read_whole(request.indices, bulk)
                            self._read.put(_Read(request, records))
                            del records
                    except BaseException as error:
                        _fail(request.outcome, error)
                    del request  # an idle thread keeps nothing alive
        finally:
            self._read.put(None)

    def _read_ahead(self, waiting: collections.deque[_Request]) -> None:
        """Take what has been submitted, at least one batch, and have it read from the disk."""
        while not (waiting and self._requests.empty()):
            request = self._requests.get()
            if request is None:  # closed
                return
            if self._is_wanted(request):
                with suppress(Exception):  # reading the batch will raise it, too
                    self._reader.source.read_ahead(request.indices.record)
            waiting.append(request)

    def _feed(self) -> None:
        """Schedule the batches in the graph, in their order."""
        try:
            while not self._stopped.is_set():
                read = self._read.get()
                if read is None:
                    break
                try:
                    self._begin(*read)
                except BaseException as error:
                    _fail(read.request.outcome, error)
                del read  # an idle thread keeps nothing alive
        finally:
            self._scheduled.put(self._pipeline)
            self._scheduled.put(None)

    def _begin(self, request: _Request, records: list[Encoded | Error]) -> None:
        """Plan and schedule a batch."""
        if not self._is_wanted(request):
            return
        batch = self._reader.plan(request.indices, records, strict=True)
        assert batch.plan is not None, "the batch has been planned"
        assert self._borders or not batch.plan.borders, "the graph was built without borders"
        left_out = self._left_out(batch)
        feed = self._make_feed(batch, left_out)
        self._slots.get()
        try:
            if not self._is_wanted(request):
                raise Canceled
            if self._pipeline.broken:
                self._scheduled.put(self._pipeline)
                self._pipeline = self._create()
            on_host = self._host_samples.start(batch, left_out)
            number = self._pipeline.schedule(feed)
        except BaseException:
            self._slots.put(None)
            raise
        self._scheduled.put(_Scheduled(request, batch, self._pipeline, number, on_host))

    def _left_out(self, batch: ImageBatch) -> list[int]:
        """The samples of a batch that DALI must not be given, or that it has refused before."""
        rows = set(host_rows(batch, self._output.channels))
        if known := self._refused_records:
            rows |= {row for row, record in enumerate(batch.record.tolist()) if record in known}
        return sorted(rows - batch.errors.keys())

    def _make_feed(self, batch: ImageBatch, left_out: Collection[int]) -> Feed:
        """What the graph takes, with blanks where there are errors and samples are left out."""
        size = (self._output.width, self._output.height)
        return make_feed(batch, size, self._output.channels, self._types, self._borders, left_out)

    def _collect(self) -> None:
        """Take the batches out of the graph, in their order, and finish them."""
        try:
            while (scheduled := self._scheduled.get()) is not None:
                if isinstance(scheduled, DaliPipeline):
                    scheduled.close()
                else:
                    self._collect_one(scheduled)
                del scheduled
        finally:
            self._refused_samples.close()
            self._host_samples.close()
            self._memory.close()

    def _collect_one(self, scheduled: _Scheduled) -> None:
        outcome = scheduled.request.outcome
        try:
            loaded = self._finish(scheduled)
        except BaseException as error:
            _fail(outcome, error)
        else:
            outcome.set_result(loaded)
        finally:
            self._slots.put(None)

    def _finish(self, scheduled: _Scheduled) -> LoadedBatch:
        """Take a batch out of the graph and finish it."""
        with self._reader.stages.measure(DECODE):
            run, failure = self._samples(scheduled)
        with self._reader.stages.measure(FINISH):
            return self._postprocessed(scheduled, run, failure)

    def _postprocessed(
        self, scheduled: _Scheduled, run: Rerun, failure: GraphError | None
    ) -> LoadedBatch:
        """Finish a batch that has come out of the graph."""
        batch, source = scheduled.batch, self._reader.source
        assert batch.plan is not None, "the batch has been planned"
        tensors = run.tensors
        try:
            on_host = [scheduled.on_host, self._host_samples.start(batch, sorted(run.refused))]
            pixels = self._postprocess.pixels(tensors)
            for samples in on_host:
                if samples.rows:
                    self._postprocess.paste(pixels, samples.rows, samples.wait())
                    batch.errors.update(samples.errors)
            if failure is not None:
                self._remember(batch, run, failure)
            self._note_left_out(batch, scheduled.on_host.rows)
            resolution = resolve_bad_records(batch, source, self._on_error)
            data = mix = None
            if not resolution.all_bad:
                mix = None if self._mixer is None else self._mixer.draw(batch, resolution)
                data = self._postprocess.assemble(pixels, batch.plan, resolution.rows, mix)
        finally:
            self._postprocess.keep(tensors)
        loaded = finish_batch(batch, data, resolution, source)
        if self._mixer is None or mix is None:
            return loaded
        return self._mixer.mix_labels(loaded, mix)

    def _samples(self, scheduled: _Scheduled) -> tuple[Rerun, GraphError | None]:
        """The graph's samples of a batch, and how it failed before; None: it did not.

        Raises
        ------
        DeviceError : DALI failed, and not because of the images.
        Canceled : the batch is no longer wanted.
        """
        request, batch, pipeline = scheduled.request, scheduled.batch, scheduled.pipeline
        failure = None
        try:
            if not pipeline.broken:
                tensors = pipeline.collect(scheduled.number, self._postprocess.stream)
                self._refused_samples.count_good()
                if not self._is_wanted(request):
                    raise Canceled
                return Rerun(tensors, set(), set()), None
        except GraphError as error:
            failure = error.with_traceback(None)
        except MisplacedBatchError as error:
            log.warning("the DALI graph is replaced: %s", error)
        left_out = scheduled.on_host.rows
        rows = [row for row in range(len(batch)) if row not in batch.errors and row not in left_out]
        run = self._refused_samples.run(
            lambda more: self._make_feed(batch, {*left_out, *more}),
            rows,
            failure,
            lambda: self._is_wanted(request),
        )
        return run, failure

    def _remember(self, batch: ImageBatch, run: Rerun, failure: GraphError) -> None:
        """Leave the records of refused samples out of the graph from now on."""
        for record in batch.record[sorted(run.alone)].tolist():
            self._refused_records[record] = None
        while len(self._refused_records) > MAX_REFUSED:
            del self._refused_records[next(iter(self._refused_records))]
        if self._warned:
            return
        self._warned = True
        if not run.alone:
            log.warning(
                "DALI failed a batch, but none of its images when they were alone; it said: %s",
                failure,
            )
            return
        log.warning(
            "DALI refused %s; what it refuses is decoded on the host, more slowly; it said: %s",
            self._reader.source.location(int(batch.record[min(run.alone)])),
            failure,
        )

    def _note_left_out(self, batch: ImageBatch, rows: list[int]) -> None:
        """Log, once, that good images are not decoded by DALI."""
        good = [row for row in rows if row not in batch.errors]
        if good and not self._warned:
            self._warned = True
            log.warning(
                "some images are decoded on the host, more slowly; the first is %s: %s",
                self._reader.source.location(int(batch.record[good[0]])),
                host_reason(batch, good[0]),
            )


_open: weakref.WeakSet[DaliExecutor] = weakref.WeakSet()


@cache
def _close_at_exit() -> None:
    """Close what is open when Python ends. DALI destroys all pipelines then; this is registered
    later, hence called before.
    """
    atexit.register(_close_all)


def _close_all() -> None:
    for executor in list(_open):
        executor.close()


def _fail(outcome: Outcome[LoadedBatch], error: BaseException) -> None:
    """Give a batch's exception to whoever waits for it, unless it is no longer wanted."""
    if not isinstance(error, Canceled):
        outcome.set_exception(explain_memory_error(error))
