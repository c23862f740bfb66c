"""ImageRecordIter beside its parts, and beside what people use instead."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gpuio.context import Context, as_context
from gpuio.decoding.header import probe
from gpuio.errors import ArgumentError, DecodeError, Error, RecordError, UnsupportedError
from gpuio.progress import progress
from gpuio.recordio import RecordSet
from gpuio.sampling.order import permute
from gpuio.storage.local import Path, local_path
from gpuio.tools.bench.measure import Figures, Round, measure
from gpuio.tools.files import find_index, iterator_files, open_records
from gpuio.tools.im2rec import cpu_count
from gpuio.tools.tasks import SHAPE, TASKS

if TYPE_CHECKING:
    from gpuio.io import ImageRecordIter

ROUNDS = 5

# Seconds that a round should take, at least.
ROUND = 0.4

# Seconds, and bytes, after which the storage is known.
STORAGE_SECONDS, STORAGE_BYTES = 1.0, 1 << 30

# Images that a decoding thread takes at once.
CHUNK = 16

# Above this share of the processors' time they are taken to be what limits; storage limits that is
# not so many times as fast as the loader.
BUSY, SPARE = 0.75, 1.25

ITERATOR, READING, DECODING, DALI = (
    "ImageRecordIter",
    "reading alone",
    "decoding alone",
    "DALI readers.mxnet",
)


class Stage(NamedTuple):
    """What was measured of one contestant.

    Attributes
    ----------
    name : "ImageRecordIter"; "reading alone": the records' bytes, one after another in the order in
        which they are loaded; "decoding alone": the host's decoder on whole pictures, in as many
        threads; "DALI readers.mxnet": DALI's own reader and operators for the same task,
        antialiased, as is its default, unless the options say otherwise
    images_per_second : by the clock, median of the rounds
    cpu_ms : processor milliseconds for an image, user and system, all threads; median
    least_cpu_ms, most_cpu_ms : of the rounds
    """

    name: str
    images_per_second: float
    cpu_ms: float
    least_cpu_ms: float
    most_cpu_ms: float


class _GaveUpError(Error):
    """DALI's pipeline has failed, for good."""


class Bench(NamedTuple):
    """How fast a record file loads.

    Attributes
    ----------
    rec : the file
    images : in it
    device : where batches are made
    cpus, threads : processors that may be used, and decoding threads
    batch_size : images in a batch
    stages : the contestants, ImageRecordIter first
    left_out : why others were not measured, by name
    cached : whether reading alone found the file in the system's cache; None: it does not say
    limit : what limits, in words
    step : seconds of a training step, as given; None: not given
    needed : images a second that training takes; None: not given
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

    def stage(self, name: str) -> Stage | None:
        """The contestant of a name."""
        return next((stage for stage in self.stages if stage.name == name), None)

    @property
    def verdict(self) -> str:
        """Whether the loader keeps up with training, in words; empty where that was not asked."""
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
) -> Bench:
    """Measure how fast ImageRecordIter loads a file, and what limits it.

    The contestants take turns in short rounds. Their processor time is that of the whole process:
    leave the machine alone meanwhile.

    Parameters
    ----------
    rec : the record file
    idx : its index; None: that beside the file, if there is one. DALI's reader needs one
    ctx : the device
    batch_size : images in a batch
    threads : decoding threads; None: one for each CPU
    step : seconds that training takes for a batch; None: unknown
    rounds : turns that each contestant gets
    options : of ImageRecordIter; None: those of evaluation as on ImageNet

    Raises
    ------
    RecordFileNotFoundError, RecordError : the files are missing or damaged.
    ArgumentError : a number is out of its range, there are no images, or the iterator does not take
        the options.
    ContextError : the device is not there.
    """
    threads = cpu_count() if threads is None else threads
    for name, value in (("batch_size", batch_size), ("threads", threads), ("rounds", rounds)):
        if value < 1:
            raise ArgumentError(f"{name} must be at least 1, not {value!r}")
    if step is not None and not step > 0:
        raise ArgumentError(f"step must be more than 0 seconds, not {step!r}")
    path, index = local_path(rec), find_index(rec, idx)
    device = as_context(ctx)
    arguments: dict[str, Any] = {
        "data_shape": SHAPE,
        "batch_size": batch_size,
        "preprocess_threads": threads,
        "on_error": "skip",
        "verbose": False,
        **(TASKS["eval"] if options is None else options),
    }
    batch_size, threads = arguments["batch_size"], arguments["preprocess_threads"]
    with ExitStack() as stack:
        iterator = _iterator(path, index, device, arguments)
        stack.enter_context(iterator)
        records = stack.enter_context(open_records(path, index))
        images = np.asarray(records.image_ordinals(), np.int64)
        if not len(images):
            raise ArgumentError(f"{path} has no images")
        order = images
        if arguments.get("shuffle"):
            order = images[permute(np.arange(len(images)), len(images), 0, 0)]
        reading, cached = _read(path, records, order)
        contestants = {ITERATOR: _endless(iterator)}
        channels = arguments["data_shape"][0]
        pool = stack.enter_context(ThreadPoolExecutor(threads, "gpuio-bench"))
        contestants[DECODING] = _decoder(records, order, channels, pool)
        left_out = {}
        try:
            contestants[DALI] = _dali(path, index, device, arguments)
        except (Error, RuntimeError) as error:
            left_out[DALI] = _reason(error)
        try:
            figures = _contest(contestants, rounds, batch_size)
        except _GaveUpError as error:  # a whole batch, over an image that gpuio leaves out
            del contestants[DALI]
            left_out[DALI] = str(error)
            figures = _contest(contestants, rounds, batch_size)
    stages = [_stage(name, figures[name]) for name in contestants]
    stages.insert(1, reading)
    found = Bench(
        path,
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
    )
    return found._replace(limit=describe_limit(found))


def _iterator(
    path: str, index: str | None, device: Context, arguments: dict[str, Any]
) -> ImageRecordIter:
    from gpuio.io import ImageRecordIter

    try:
        return ImageRecordIter(**iterator_files(path, index), ctx=device, **arguments)
    except TypeError as error:  # no such option
        raise ArgumentError(str(error)) from error


def _contest(
    contestants: dict[str, Callable[[int], int]], rounds: int, batch_size: int
) -> dict[str, Figures]:
    """Measure, in rounds that are long enough for the clocks."""
    sizes = {}
    for name, load in contestants.items():
        load(batch_size)  # what is done only once
        begun = time.perf_counter()
        sizes[name] = 0
        while time.perf_counter() < begun + ROUND:
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


def _endless(iterator: ImageRecordIter) -> Callable[[int], int]:
    """Load at least so many images, epoch after epoch."""

    def batches() -> Iterator[Any]:
        while True:
            yield from iterator
            iterator.reset()

    stream = batches()

    def load(count: int) -> int:
        done = 0
        while done < count:
            batch = next(stream)
            done += len(batch.data[0])
        batch.data[0].wait_to_read()
        return done

    return load


def _decoder(
    records: RecordSet, order: Any, channels: int, pool: ThreadPoolExecutor
) -> Callable[[int], int]:
    """Decode at least so many whole pictures in threads."""
    from gpuio.decoding.host import decode

    ordinals = cycle(order.tolist())

    def chunk(some: list[int]) -> None:
        for ordinal in some:
            with suppress(RecordError, DecodeError):
                image = records.record(ordinal)[1]
                decode(image, probe(image), channels)

    def load(count: int) -> int:
        chunks = [list(islice(ordinals, CHUNK)) for _ in range(-(-count // CHUNK))]
        list(pool.map(chunk, chunks))
        return len(chunks) * CHUNK

    return load


def _dali(
    path: str, index: str | None, device: Context, arguments: dict[str, Any]
) -> Callable[[int], int]:
    """Run DALI's own pipeline for at least so many images."""
    from gpuio.iterators.arguments import crop_ranges
    from gpuio.tools.bench.dali_reader import NOT_FOLLOWED, reader_pipeline

    if index is None:
        raise UnsupportedError("it needs an index; make one with 'gpuio index'")
    others = [name for name in NOT_FOLLOWED if name in arguments]
    if others:
        raise UnsupportedError(f"its operators are not told what {others[0]} means")
    given = arguments.get
    ranges = crop_ranges(
        given("random_resized_crop", False),
        given("min_random_area", 1.0),
        given("max_random_area", 1.0),
        given("min_aspect_ratio"),
        given("max_aspect_ratio", 0.0),
    )
    pipe = reader_pipeline(
        path,
        index,
        device_id=None if device.device_type == "cpu" else device.device_id,
        data_shape=arguments["data_shape"],
        batch_size=arguments["batch_size"],
        threads=arguments["preprocess_threads"],
        resize=given("resize", -1),
        rand_crop=given("rand_crop", False),
        random_resized_crop=given("random_resized_crop", False),
        rand_mirror=given("rand_mirror", False),
        mirror=given("mirror", False),
        mean=[given(f"mean_{name}", 0.0) for name in "rgb"],
        std=[given(f"std_{name}", 1.0) for name in "rgb"],
        shuffle=given("shuffle", False),
        antialias=given("antialias", True),
        **ranges,
    )
    size: int = arguments["batch_size"]

    def load(count: int) -> int:
        runs = -(-count // size)
        try:
            for _ in range(runs):
                pipe.run()
        except RuntimeError as error:
            raise _GaveUpError(f"it gave up: {_reason(error)}") from error
        return runs * size

    return load


def _reason(error: Exception) -> str:
    """What DALI says, less where in its own sources it was."""
    text = str(error).split("encountered:")[-1].split("Current pipeline")[0]
    return " ".join(text.split())[:200]


def _read(path: str, records: RecordSet, order: Any) -> tuple[Stage, bool | None]:
    """Read records from storage, as far as the system lets go of what it has cached."""
    count = size = 0
    with open(path, "rb", buffering=0) as file:
        descriptor = file.fileno()
        with suppress(AttributeError, OSError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        cached = _is_cached(descriptor, records.place(int(order[0]))[1])
        begun, cpu_begun = time.perf_counter(), time.process_time()
        for ordinal in order.tolist():
            size += len(records.payload(ordinal).tobytes())
            count += 1
            if size > STORAGE_BYTES or time.perf_counter() - begun > STORAGE_SECONDS:
                break
        seconds = max(time.perf_counter() - begun, 1e-9)
        cpu = (time.process_time() - cpu_begun) / count * 1e3
    return Stage(READING, count / seconds, cpu, cpu, cpu), cached


def _is_cached(descriptor: int, offset: int) -> bool | None:
    """Whether the system has a place of a file in its cache; None: it does not say."""
    try:
        os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except (AttributeError, OSError):
        return None
    return True


def _stage(name: str, figures: Figures) -> Stage:
    milliseconds = (1e3 * seconds for seconds in (figures.cpu, figures.least, figures.most))
    return Stage(name, figures.per_second, *milliseconds)


def describe_limit(found: Bench) -> str:
    """What limits the loader, in words."""
    whole, reading, decoding = (found.stage(name) for name in (ITERATOR, READING, DECODING))
    assert whole and reading and decoding
    if reading.images_per_second < SPARE * whole.images_per_second:
        return (
            f"storage: reading alone gives {reading.images_per_second:,.0f} images/s; a faster "
            "disk, or a file that fits into memory, would help"
        )
    busy = whole.images_per_second * whole.cpu_ms / 1e3 / found.cpus
    if busy < BUSY:
        used = f"only {busy:.0%} of the time of {found.cpus} processors is used"
        if found.device.startswith("gpu"):
            return f"the GPU: {used}"
        if found.threads < found.cpus:
            return f"the threads: {used}; raise preprocess_threads above {found.threads}"
        return f"waiting: {used}; other programs may be running, or batches are too small"
    share = decoding.cpu_ms / whole.cpu_ms
    if share > 0.5:
        return (
            f"decoding: about {min(share, 1):.0%} of the processors' time, of which {busy:.0%} is "
            "used; smaller pictures (gpuio im2rec --resize), more processors or a GPU would help"
        )
    return (
        f"resizing and normalising: about {1 - share:.0%} of the processors' time, of which "
        f"{busy:.0%} is used; more processors or a GPU would help"
    )
