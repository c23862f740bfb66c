"""Compare reading the records of a remote file with other clients, and with a local file.

The server is another process of this machine, and so competes for its CPUs; compare figures of one
run with each other. All contestants read the same records of about 100 kB, in the same order but
for shuffle="blocks", and take turns; figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from gpuio.io import ImageRecordIter
from gpuio.sampling.blocks import BlockOptions
from gpuio.tools.commands.bench.measure import OWN_PROCESS, wait_until_idle
from tests.benchmarks.photographs import photographs, write_records
from tests.benchmarks.remote import mosaic
from tests.benchmarks.remote.contestants import BUCKET, NAME, PEERS, Epoch, Job, Parts, Reader
from tests.benchmarks.remote.server import Counts, Server, serving

RECORDS, ROUNDS, DELAYS = 2000, 5, (0.0, 0.02)

# The package of each peer.
MOSAIC = "Mosaic Streaming"
PACKAGES = {"obstore alone": "obstore", "s3fs": "s3fs", "boto3": "boto3", MOSAIC: "streaming"}

COLUMNS = ("records/s", "CPU-ms per record", "first batch, ms", "requests", "MB")
DIGITS = 0, 2, 0, 0, 0


class Sample(NamedTuple):
    """One epoch of one contestant.

    Attributes
    ----------
    per_second : records, by wall time
    cpu_ms : CPU milliseconds per record, user and system, of this process
    first_ms : milliseconds until the first batch
    requests, megabytes : that the server has sent
    """

    per_second: float
    cpu_ms: float
    first_ms: float
    requests: float
    megabytes: float


# Runs one epoch, after what is not measured.
Begin = Callable[[], Epoch]


def is_installed(name: str) -> bool:
    """Whether a peer is installed."""
    return importlib.util.find_spec(PACKAGES[name]) is not None


def write(folder: Path, records: int) -> str:
    """Write a record file of photographs, and its index; a description."""
    with tempfile.TemporaryDirectory() as samples:
        paths, description = photographs(Path(samples))
        images = [path.read_bytes() for path in paths]
    repeated = list(itertools.islice(itertools.cycle(images), records))
    write_records(repeated, folder / f"{NAME}.rec", folder / f"{NAME}.idx")
    if is_installed(MOSAIC):
        mosaic.write(repeated, folder)
    return description


def sample(begin: Begin, server: Server) -> Sample:
    """Measure one epoch."""
    epoch, before = begin(), server.counts()
    wait_until_idle()
    begun, cpu = time.perf_counter(), OWN_PROCESS.cpu_seconds()
    count = next(epoch)
    first = time.perf_counter() - begun
    count += sum(epoch)
    seconds = wait_until_idle() - begun
    used = OWN_PROCESS.cpu_seconds() - cpu
    sent: Counts = server.counts() - before
    return Sample(
        count / seconds, 1e3 * used / count, 1e3 * first, sent.requests, sent.nbytes / 1e6
    )


class Turns:
    """gpuio's epochs: with an empty cache, and again with what the epoch before has cached."""

    def __init__(self, job: Job, stack: ExitStack) -> None:
        self._job, self._reader = job, None
        stack.callback(self._close)

    _reader: Reader | None

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        shutil.rmtree(self._job.cache, ignore_errors=True)

    def first(self) -> Epoch:
        """An epoch with an empty cache; opening the files is part of it."""
        self._close()

        def epoch() -> Epoch:
            self._reader = Reader(self._job)
            yield from self._reader.epoch(0)

        return epoch()

    def second(self) -> Epoch:
        """The epoch after it."""
        assert self._reader is not None, "it follows the first"
        return self._reader.epoch(1)


def reading(server: Server, folder: Path, stack: ExitStack) -> dict[str, Begin]:
    """The contestants that read records; prints which are missing."""
    cache = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    job = Job(server.url, folder, True, cache / "permuted")
    permuted = Turns(job, stack)
    in_blocks = Turns(job._replace(shuffle=BlockOptions(), cache=cache / "blocks"), stack)
    local = Reader(job._replace(server=None))
    stack.callback(local.close)
    found: dict[str, Begin] = {
        "gpuio, shuffle=True": permuted.first,
        "gpuio, shuffle=True, second epoch": permuted.second,
        'gpuio, shuffle="blocks"': in_blocks.first,
        'gpuio, shuffle="blocks", second epoch': in_blocks.second,
        "gpuio, a local file": lambda: local.epoch(0),
    }
    parts = Parts.of(folder)
    for name, peer in PEERS.items():
        if is_installed(name):
            found[name] = peer(job, parts, stack)
    if is_installed(MOSAIC):
        found[f"{MOSAIC}, its own format and order"] = mosaic.epochs(job, stack)
    for name in PACKAGES:
        if not is_installed(name):
            print(f"{name} is left out: it is not installed")
    return found


def decoding(server: Server, folder: Path, stack: ExitStack) -> dict[str, Begin]:
    """ImageRecordIter over a file that is in the cache, and over a local one."""
    cache = stack.enter_context(tempfile.TemporaryDirectory())
    os.environ["GPUIO_CACHE_DIR"] = cache
    stack.callback(os.environ.pop, "GPUIO_CACHE_DIR")

    def epochs(where: str) -> Begin:
        iterator = stack.enter_context(
            ImageRecordIter(
                path_imgrec=f"{where}/{NAME}.rec", path_imgidx=f"{where}/{NAME}.idx",
                data_shape=(3, 224, 224), resize=256, batch_size=64, shuffle=True,
                preprocess_threads=2, round_batch=False, verbose=False,
            )
        )  # fmt: skip

        def epoch() -> Iterator[int]:
            for batch in iterator:
                yield 64 - (batch.pad or 0)

        def begin() -> Epoch:
            iterator.reset()
            return epoch()

        sum(epoch())  # fills the cache
        return begin

    return {
        "ImageRecordIter, from the cache": epochs(f"{server.url}/{BUCKET}"),
        "ImageRecordIter, a local file": epochs(str(folder)),
    }


def in_turns(contestants: dict[str, Begin], server: Server, rounds: int) -> None:
    """Measure the contestants in turns, and print a table."""
    samples: dict[str, list[Sample]] = {name: [] for name in contestants}
    for turn in range(1 + rounds):
        for name, begin in contestants.items():
            found = sample(begin, server)
            if turn:  # the first one warms up
                samples[name].append(found)
    print(f"\n| | {' | '.join(COLUMNS)} |\n| --- |{' --- |' * len(COLUMNS)}")
    for name, several in samples.items():
        medians = [statistics.median(values) for values in zip(*several, strict=True)]
        cells = [f"{median:,.{digits}f}" for median, digits in zip(medians, DIGITS, strict=True)]
        spread = [min(several).per_second, max(several).per_second]
        cells[0] += f" [{spread[0]:,.0f} to {spread[1]:,.0f}]"
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Measure everything, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--delays", type=float, nargs="+", default=DELAYS, metavar="SECONDS")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        description = write(folder, given.records)
        print(f"{given.records} records of {description}")
        for delay in given.delays:
            with ExitStack() as stack:
                server = stack.enter_context(serving(folder, BUCKET, delay))
                print(f"\nAnswers after {1e3 * delay:.0f} ms:")
                in_turns(reading(server, folder, stack), server, given.rounds)
        with ExitStack() as stack:
            server = stack.enter_context(serving(folder, BUCKET, 0))
            print("\nDecoded, resized and cropped to 224 x 224:")
            in_turns(decoding(server, folder, stack), server, given.rounds)


if __name__ == "__main__":
    main()
