"""Benchmark an iterator against its own parts and against DALI's reader."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpuio.context import Context, as_context
from gpuio.errors import ArgumentError, Error, UnsupportedError
from gpuio.iterators.arguments import as_shuffle
from gpuio.iterators.stats import Stats
from gpuio.loading.cpus import cpu_count
from gpuio.progress import progress
from gpuio.recordio import RecordSet
from gpuio.sampling.blocks import cut_blocks
from gpuio.sampling.order import Order
from gpuio.storage.local import Path
from gpuio.storage.remote.opening import any_remote, location
from gpuio.storage.remote.options import RemoteOptions
from gpuio.storage.remote.statistics import Statistics, statistics
from gpuio.storage.remote.url import shown
from gpuio.tools.commands.bench.contestants import (
    DaliError,
    Load,
    dali_load,
    dali_message,
    decoder_load,
    iterator_load,
    read_remote,
    read_storage,
)
from gpuio.tools.commands.bench.measure import Figures, Round, measure
from gpuio.tools.files import find_index
from gpuio.tools.layouts import DETECTION, layout_of
from gpuio.tools.tasks import SHAPE, open_iterator, task_options

ROUNDS = 5

# Minimum duration of a round, in seconds: longer than the clocks' resolution.
ROUND_SECONDS = 0.4

# The CPUs are the bottleneck if a larger fraction of their time is used; storage is, if it is not
# this many times as fast as the loader.
BUSY, SPARE = 0.75, 1.25

READING, DECODING, DALI = "reading alone", "decoding alone", "DALI readers.mxnet"


class Stage(NamedTuple):
    """Results of one contestant.

    Attributes
    ----------
    name : "ImageRecordIter" or "ImageDetRecordIter"; "reading alone": the records' bytes, in the
        order of loading; "decoding alone": the host's decoder on full images, with the same number
        of threads; "DALI readers.mxnet": DALI's own reader and operators for the same task, with
        antialiasing, its default, unless the options say otherwise
    images_per_second : by wall time, median over the rounds
    cpu_ms : CPU milliseconds per image, user and system, all threads; median over the rounds
    least_cpu_ms, most_cpu_ms : minimum and maximum over the rounds
    """

    name: str
    images_per_second: float
    cpu_ms: float
    least_cpu_ms: float
    most_cpu_ms: float


class Bench(NamedTuple):
    """Result of a benchmark.

    Attributes
    ----------
    rec : the file
    images : number of images in it
    device : where batches are made
    cpus, threads : number of available CPUs, and of decoding threads
    batch_size : images per batch
    stages : results, the iterator first
    left_out : names of contestants that were not measured, with the reason
    cached : whether reading alone found the file in the page cache; None: unknown
    limit : the bottleneck, in words
    step : duration of a training step in seconds, if given
    needed : images per second that training takes; None: step was not given
    remote : what reading remote files has cost meanwhile; None: there are none
    stats : the iterator's own, of a loop that only takes its batches; None: not asked for
    """

    rec: str
    images: int
    device: str
    cpus: int
    threads: int
    batch_size: int
    stages: list[Stage]
    left_out: dict[str, str]
    cached: bool | None
    limit: str
    step: float | None
    needed: float | None
    remote: Statistics | None = None
    stats: Stats | None = None

    def stage(self, name: str) -> Stage | None:
        """Find a contestant's results by name; None if it was not measured."""
        return next((stage for stage in self.stages if stage.name == name), None)

    @property
    def verdict(self) -> str:
        """Whether the loader keeps up with training, in words; empty if step was not given."""
        if self.needed is None:
            return ""
        speed = self.stages[0].images_per_second
        keeps_up = f"your loader keeps up with {speed:,.0f} images/s; you need {self.needed:,.0f}"
        if speed >= self.needed:
            return keeps_up
        return f"{keeps_up}: training would wait {1 - speed / self.needed:.0%} of the time"


def bench(
    rec: Path,
    idx: Path | None = None,
    *,
    ctx: Context | str | None = None,
    batch_size: int = 64,
    threads: int | None = None,
    step: float | None = None,
    rounds: int = ROUNDS,
    options: dict[str, Any] | None = None,
    remote: RemoteOptions | None = None,
    with_stats: bool = False,
) -> Bench:
    """Measure how fast ImageRecordIter loads a file, and find the bottleneck; for files with boxes,
    ImageDetRecordIter.

    Contestants take turns in short rounds. CPU time is that of the whole process, so it should not
    do anything else meanwhile.

    Parameters
    ----------
    rec : the record file
    idx : its index; None: FILE.idx if it exists. DALI's reader requires one
    ctx : the device
    batch_size : images per batch
    threads : decoding threads; None: one per CPU
    step : duration of a training step in seconds; None: unknown
    rounds : number of measurements of each contestant
    options : of the iterator; None: those of evaluation, as for ImageNet
    remote : how remote files are reached and cached; None: by the default options
    with_stats : also take the iterator's statistics, in one more round

    Raises
    ------
    RecordFileNotFoundError, RecordError : the files are missing or damaged.
    RemoteError : a remote file cannot be read.
    ArgumentError : a number is out of range, there are no images, or the iterator does not accept
        the options.
    ContextError : the device is not available.
    """
    threads = cpu_count() if threads is None else threads
    for name, value in (("batch_size", batch_size), ("threads", threads), ("rounds", rounds)):
        if value < 1:
            raise ArgumentError(f"{name} must be at least 1, not {value!r}")
    if step is not None and not step > 0:
        raise ArgumentError(f"step must be more than 0 seconds, not {step!r}")
    before = statistics()
    path, index = location(rec), find_index(rec, idx, remote)
    device = as_context(ctx)
    with ExitStack() as stack:
        indexes = None if index is None else [index]
        records = stack.enter_context(RecordSet([path], indexes, remote))
        layout = layout_of(records)
        arguments: dict[str, Any] = {
            "data_shape": SHAPE,
            "batch_size": batch_size,
            "preprocess_threads": threads,
            "on_error": "skip",
            "verbose": False,
            **(task_options("eval", layout) if options is None else options),
        }
        batch_size, threads = arguments["batch_size"], arguments["preprocess_threads"]
        iterator = open_iterator(path, index, device, arguments, layout, remote)
        stack.enter_context(iterator)
        images = np.asarray(records.image_ordinals(), np.int64)
        if not len(images):
            raise ArgumentError(f"{shown(path)} has no images")
        order = _reading_order(images, records, arguments)
        if records.is_remote:
            records_per_second, cpu_ms, cached = read_remote(records, order)
        else:
            records_per_second, cpu_ms, cached = read_storage(path, records, order)
        contestants = {type(iterator).__name__: iterator_load(iterator)}
        channels = arguments["data_shape"][0]
        pool = stack.enter_context(ThreadPoolExecutor(threads, "gpuio-bench"))
        contestants[DECODING] = decoder_load(records, order, channels, pool)
        left_out = {}
        try:
            if layout.name == DETECTION:
                raise UnsupportedError("it does not read boxes")
            if any_remote([path, *([] if index is None else [index])]):
                raise UnsupportedError("it does not read remote files")
            contestants[DALI] = dali_load(path, index, device, arguments)
        except (Error, RuntimeError) as error:
            left_out[DALI] = dali_message(error)
        try:
            figures = _measure(contestants, rounds, batch_size)
        except DaliError as error:  # for example at a bad image, which gpuio only leaves out
            del contestants[DALI]
            left_out[DALI] = str(error)
            figures = _measure(contestants, rounds, batch_size)
        stats = None
        if with_stats:
            speed = figures[type(iterator).__name__].per_second
            with open_iterator(path, index, device, arguments, layout, remote) as another:
                iterator_load(another)(2 * batch_size + int(speed * ROUND_SECONDS))
                stats = another.stats()
    stages = [_stage(name, figures[name]) for name in contestants]
    stages.insert(1, Stage(READING, records_per_second, cpu_ms, cpu_ms, cpu_ms))
    found = Bench(
        shown(path),
        len(images),
        str(device),
        cpu_count(),
        threads,
        batch_size,
        stages,
        left_out,
        cached,
        "",
        step,
        None if step is None else batch_size / step,
        statistics().since(before) if records.is_remote else None,
        stats,
    )
    return found._replace(limit=describe_limit(found))


def _reading_order(
    images: NDArray[np.int64], records: RecordSet, arguments: Mapping[str, Any]
) -> NDArray[np.int64]:
    """The records in the order in which the iterator reads them in its first epoch."""
    shuffle = as_shuffle(
        "gpuio bench",
        arguments.get("shuffle", False),
        arguments.get("block_size", "8MB"),
        arguments.get("pool_blocks", 16),
    )
    blocks = None if isinstance(shuffle, bool) else cut_blocks(images, records, shuffle)
    order = Order(len(images), 1, bool(shuffle), subset=images, blocks=blocks)
    return order.records(np.zeros(len(images), np.int64), np.arange(len(images)))


def _measure(contestants: dict[str, Load], rounds: int, batch_size: int) -> dict[str, Figures]:
    """Measure in rounds of at least `ROUND_SECONDS` seconds."""
    sizes = {}
    for name, load in contestants.items():
        load(batch_size)  # one-time initialization
        begun = time.perf_counter()
        sizes[name] = 0
        while time.perf_counter() < begun + ROUND_SECONDS:
            sizes[name] += load(batch_size)
    turns = (1 + rounds) * len(contestants)
    with progress("measuring", "rounds", turns, delay=0) as bar:

        def turn(name: str) -> Round:
            def run() -> float:
                done = contestants[name](sizes[name])
                bar.update()
                return done

            return run

        return measure({name: turn(name) for name in contestants}, rounds)


def _stage(name: str, figures: Figures) -> Stage:
    milliseconds = (1e3 * seconds for seconds in (figures.cpu, figures.least, figures.most))
    return Stage(name, figures.per_second, *milliseconds)


def describe_limit(found: Bench) -> str:
    """Describe the loader's bottleneck."""
    loader, reading, decoding = found.stages[0], found.stage(READING), found.stage(DECODING)
    assert reading and decoding
    if reading.images_per_second < SPARE * loader.images_per_second:
        return f"storage: reading alone reaches {reading.images_per_second:,.0f} images/s; " + (
            "a faster disk, or a file that fits into memory, would help"
            if found.remote is None
            else "a warm cache ('gpuio cache fill'), or a faster network, would help"
        )
    busy = loader.images_per_second * loader.cpu_ms / 1e3 / found.cpus
    if busy < BUSY:
        used = f"only {busy:.0%} of the time of {found.cpus} CPUs is used"
        if found.device.startswith("gpu"):
            return f"the GPU: {used}"
        if found.threads < found.cpus:
            return f"the threads: {used}; raise preprocess_threads above {found.threads}"
        return f"waiting: {used}; other programs may be running, or batches are too small"
    share = decoding.cpu_ms / loader.cpu_ms
    if share > 0.5:
        return (
            f"decoding: about {min(share, 1):.0%} of the CPU time, of which {busy:.0%} is used; "
            "smaller images (gpuio im2rec --resize), more CPUs or a GPU would help"
        )
    return (
        f"resizing and normalizing: about {1 - share:.0%} of the CPU time, of which {busy:.0%} is "
        "used; more CPUs or a GPU would help"
    )
