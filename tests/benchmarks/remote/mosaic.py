"""Mosaic Streaming, which has a format of its own: shards that are fetched as a whole.

It reads the same images in an order of its own: shards in random order, shuffled within some of
them.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.remote.contestants import BATCH, BUCKET, Epoch, Job

FOLDER = "mosaic"

# Its default: bytes of a shard.
SHARD = 1 << 26


def write(images: Iterable[bytes], folder: Path) -> None:
    """Write images as shards."""
    from streaming import MDSWriter

    with MDSWriter(
        out=str(folder / FOLDER), columns={"image": "bytes"}, size_limit=SHARD
    ) as writer:
        for image in images:
            writer.write({"image": image})


def epochs(job: Job, stack: ExitStack) -> Callable[[], Epoch]:
    """Read in this process, with an empty cache each time."""
    from streaming import StreamingDataset
    from streaming.base.util import clean_stale_shared_memory

    cache = job.cache / FOLDER
    stack.callback(shutil.rmtree, cache, ignore_errors=True)
    stack.callback(clean_stale_shared_memory)
    os.environ |= {
        "S3_ENDPOINT_URL": str(job.server), "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
    }  # fmt: skip

    def epoch() -> Epoch:
        shutil.rmtree(cache, ignore_errors=True)
        clean_stale_shared_memory()
        dataset = StreamingDataset(
            remote=f"s3://{BUCKET}/{FOLDER}", local=str(cache), shuffle=True, batch_size=BATCH,
            num_canonical_nodes=1,
        )  # fmt: skip
        samples = iter(dataset)
        while count := sum(1 for _ in itertools.islice(samples, BATCH)):
            yield count

    return epoch
