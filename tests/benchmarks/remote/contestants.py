"""What reads records of a remote file: gpuio, and the clients that people use instead."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from gpuio.loading.read_ahead import ReadAhead
from gpuio.loading.source import RecordSource
from gpuio.recordio import RecordSet
from gpuio.sampling.blocks import BlockOptions, cut_blocks
from gpuio.sampling.order import Order
from gpuio.storage.parts import Bulk
from gpuio.storage.remote.options import RemoteOptions

T = TypeVar("T")
R = TypeVar("R")

BUCKET, NAME = "bucket", "train"

# Records of a batch, and requests of a peer that run at a time.
BATCH, AT_ONCE = 64, 64

# Whole records are read at once, on the caller's thread.
WHOLE = Bulk(lambda size: np.empty(size, np.uint8), lambda jobs: [job() for job in jobs] and None)


class Job(NamedTuple):
    """What is read.

    Attributes
    ----------
    server : URL of its root; None: the local files
    folder : that has the files
    shuffle : see `Order`
    cache : folder of gpuio's cache
    """

    server: str | None
    folder: Path
    shuffle: bool | BlockOptions
    cache: Path

    @property
    def storage_options(self) -> dict[str, Any]:
        """How gpuio and obstore reach the server."""
        return {
            "endpoint": self.server, "region": "us-east-1", "skip_signature": True,
            "allow_http": True,
        }  # fmt: skip


# Gives the number of records of an epoch: first after the first batch, and at the end the rest.
Epoch = Iterator[int]


class Reader:
    """gpuio: batches through the cache, read ahead as the iterators have it."""

    def __init__(self, job: Job) -> None:
        where: str = str(job.folder) if job.server is None else f"s3://{BUCKET}"
        remote = None
        if job.server is not None:
            remote = RemoteOptions.create(
                job.cache, storage_options=job.storage_options, readahead="64MB"
            )
        records = RecordSet(f"{where}/{NAME}.rec", f"{where}/{NAME}.idx", remote)
        self.source = RecordSource(records)
        size, blocks = len(records), None
        if isinstance(job.shuffle, BlockOptions):
            blocks = cut_blocks(range(size), records, job.shuffle)
        self._order = Order(size, BATCH, bool(job.shuffle), 0, "pad", blocks=blocks)

    def epoch(self, number: int) -> Epoch:
        """Read an epoch."""
        order = self._order
        ahead = ReadAhead(self.source, order)
        position, end = number * order.size, (number + 1) * order.size
        ahead.advance(position)
        while position < end:
            indices = order.batch_at(position)
            ahead.advance(indices.next_position)
            batch = self.source.read_batch(indices.record, WHOLE)
            size = order.batch_size - indices.pad
            assert batch[0].data[0] == 0xFF  # type: ignore[union-attr]
            position = indices.next_position
            yield size

    def close(self) -> None:
        """Close the files."""
        self.source.close()


class Parts(NamedTuple):
    """The records as clients see them.

    Attributes
    ----------
    begins, ends : int64 (n,), their bytes in the file
    order : int64 (n,), in which they are read
    """

    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    order: NDArray[np.int64]

    @classmethod
    def of(cls, folder: Path) -> Parts:
        """Of the file in a folder, in the order of shuffle=True."""
        with RecordSet(folder / f"{NAME}.rec", folder / f"{NAME}.idx") as records:
            size = len(records)
            order = Order(size, BATCH, True).records(np.zeros(size, np.int64), np.arange(size))
            return cls(records.starts, np.append(records.starts[1:], records.nbytes), order)

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Begin and end of the records, in their order."""
        begins, ends = self.begins[self.order].tolist(), self.ends[self.order].tolist()
        return zip(begins, ends, strict=True)


def ahead(pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Results in order, with a bounded number of calls ahead."""
    running: collections.deque[Future[R]] = collections.deque()
    for item in items:
        running.append(pool.submit(function, item))
        if len(running) > 4 * AT_ONCE:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


def counted(found: Iterable[Any], parts: Parts) -> Epoch:
    """Check the lengths of what was read; counts in batches."""
    sizes = (end - begin for begin, end in parts.ranges())
    checked = (len(data) == size for data, size in zip(found, sizes, strict=True))
    while batch := list(itertools.islice(checked, BATCH)):
        assert all(batch)
        yield len(batch)


def obstore_epochs(job: Job, parts: Parts, stack: ExitStack) -> Callable[[], Epoch]:
    """obstore alone, called by threads."""
    from obstore import get_range
    from obstore.store import S3Store

    options: dict[str, Any] = job.storage_options
    store = S3Store(BUCKET, **options, client_options={"allow_http": True})
    pool = stack.enter_context(ThreadPoolExecutor(AT_ONCE, "obstore"))

    def read(part: tuple[int, int]) -> Any:
        return get_range(store, f"{NAME}.rec", start=part[0], end=part[1])

    return lambda: counted(ahead(pool, read, parts.ranges()), parts)


def boto3_epochs(job: Job, parts: Parts, stack: ExitStack) -> Callable[[], Epoch]:
    """boto3, called by threads."""
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    client = boto3.client(
        "s3", endpoint_url=job.server, region_name="us-east-1",
        config=Config(signature_version=UNSIGNED, max_pool_connections=AT_ONCE,
                      s3={"addressing_style": "path"}),
    )  # fmt: skip
    pool = stack.enter_context(ThreadPoolExecutor(AT_ONCE, "boto3"))

    def read(part: tuple[int, int]) -> bytes:
        range_of = f"bytes={part[0]}-{part[1] - 1}"
        body = client.get_object(Bucket=BUCKET, Key=f"{NAME}.rec", Range=range_of)["Body"]
        data: bytes = body.read()
        return data

    return lambda: counted(ahead(pool, read, parts.ranges()), parts)


def s3fs_epochs(job: Job, parts: Parts, stack: ExitStack) -> Callable[[], Epoch]:
    """s3fs, many ranges at a time."""
    import s3fs

    system = s3fs.S3FileSystem(
        anon=True, endpoint_url=job.server, skip_instance_cache=True,
        client_kwargs={"region_name": "us-east-1"},
        config_kwargs={"max_pool_connections": AT_ONCE, "s3": {"addressing_style": "path"}},
    )  # fmt: skip

    def found() -> Iterator[bytes]:
        ranges = parts.ranges()
        while some := list(itertools.islice(ranges, 4 * AT_ONCE)):
            begins, ends = map(list, zip(*some, strict=True))
            yield from system.cat_ranges(
                [f"{BUCKET}/{NAME}.rec"] * len(some), begins, ends, batch_size=AT_ONCE
            )

    return lambda: counted(found(), parts)


PEERS = {"obstore alone": obstore_epochs, "s3fs": s3fs_epochs, "boto3": boto3_epochs}
