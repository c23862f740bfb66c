"""What is benchmarked: loaders as functions that process at least a number of images."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import suppress
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from gpuio.context import Context
from gpuio.decoding.header import read_header
from gpuio.errors import DecodeError, Error, RecordError, UnsupportedError
from gpuio.recordio import RecordSet
from gpuio.tools.commands.bench.dali_reader import SUPPORTED_OPTIONS, reader_pipeline
from gpuio.tools.payloads import read_payloads

if TYPE_CHECKING:
    from gpuio.io import ImageDetRecordIter, ImageRecordIter

# Takes a minimum number of images; returns how many were processed.
Load = Callable[[int], int]

# Limits of the measurement of storage, in seconds and bytes.
STORAGE_SECONDS, STORAGE_BYTES = 1.0, 1 << 30

# Options that DALI has for random resized crops only.
ASPECT_RATIOS = ("min_aspect_ratio", "max_aspect_ratio")

# Images per decoding task.
CHUNK = 16


class DaliError(Error):
    """DALI's pipeline failed while running, and cannot continue."""


def iterator_load(iterator: ImageRecordIter | ImageDetRecordIter) -> Load:
    """Load batches of an iterator, epoch after epoch."""

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


def decoder_load(records: RecordSet, order: Any, channels: int, pool: Executor) -> Load:
    """Decode full images in threads, cycling through the ordinals in `order`."""
    from gpuio.decoding.host import decode

    ordinals = cycle(order.tolist())

    def decode_all(chunk: list[int]) -> None:
        for ordinal in chunk:
            with suppress(RecordError, DecodeError):
                image = records.record(ordinal)[1]
                decode(image, read_header(image), channels)

    def load(count: int) -> int:
        chunks = [list(islice(ordinals, CHUNK)) for _ in range(-(-count // CHUNK))]
        list(pool.map(decode_all, chunks))
        return len(chunks) * CHUNK

    return load


def dali_load(path: str, index: str | None, device: Context, arguments: dict[str, Any]) -> Load:
    """Run DALI's own pipeline with the given arguments of ImageRecordIter.

    Raises
    ------
    UnsupportedError : the file has no index, or DALI has no counterpart of an option.
    ContextError : DALI is not installed.
    """
    from gpuio.iterators.arguments import crop_ranges

    if index is None:
        raise UnsupportedError("it needs an index; make one with 'gpuio index'")
    unsupported = sorted(set(arguments) - SUPPORTED_OPTIONS)
    if not arguments.get("random_resized_crop"):
        unsupported += [name for name in ASPECT_RATIOS if name in arguments]
    if isinstance(arguments.get("shuffle"), str):
        unsupported.append(f"shuffle={arguments['shuffle']!r}")
    if unsupported:
        raise UnsupportedError(f"it has no counterpart of the option {unsupported[0]}")
    given = arguments.get
    area, ratio = crop_ranges(
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
        area=area,
        ratio=ratio,
    )
    size: int = arguments["batch_size"]

    def load(count: int) -> int:
        runs = -(-count // size)
        try:
            for _ in range(runs):
                pipe.run()
        except RuntimeError as error:
            raise DaliError(f"it failed: {dali_message(error)}") from error
        return runs * size

    return load


def dali_message(error: Exception) -> str:
    """Shorten a message of DALI: without its own source location and pipeline state."""
    message = str(error).split("encountered:")[-1].split("Current pipeline")[0]
    return " ".join(message.split())[:200]


def read_storage(path: str, records: RecordSet, order: Any) -> tuple[float, float, bool | None]:
    """Read records in order, after asking the system to drop the file from its cache.

    Returns
    -------
    records per second, CPU milliseconds per record, and whether the file was in the page cache
    nevertheless; None: unknown
    """
    count = size = 0
    with open(path, "rb", buffering=0) as file:
        descriptor = file.fileno()
        with suppress(AttributeError, OSError):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        cached = _is_cached(descriptor, records.location(int(order[0])).offset or 0)
        begun, cpu_begun = time.perf_counter(), time.process_time()
        for ordinal in order.tolist():
            size += len(records.payload(ordinal).tobytes())
            count += 1
            if size > STORAGE_BYTES or time.perf_counter() - begun > STORAGE_SECONDS:
                break
        seconds = max(time.perf_counter() - begun, 1e-9)
        cpu = (time.process_time() - cpu_begun) / count * 1e3
    return count / seconds, cpu, cached


def read_remote(records: RecordSet, order: Any) -> tuple[float, float, bool | None]:
    """Read records of remote files in order, through the cache as it is.

    Returns
    -------
    records per second, CPU milliseconds per record, and None
    """
    count = size = 0
    begun, cpu_begun = time.perf_counter(), time.process_time()
    for payload in read_payloads(records, order):
        size += 0 if isinstance(payload, RecordError) else len(payload)
        count += 1
        if size > STORAGE_BYTES or time.perf_counter() - begun > STORAGE_SECONDS:
            break
    seconds = max(time.perf_counter() - begun, 1e-9)
    return count / seconds, (time.process_time() - cpu_begun) / count * 1e3, None


def _is_cached(descriptor: int, offset: int) -> bool | None:
    """Whether an offset of a file is in the page cache; None: unknown."""
    try:
        os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except (AttributeError, OSError):
        return None
    return True
