"""How well shuffle="blocks" mixes, and how many requests of a remote store it saves, beside
shuffle=True; computed from the order alone.

Run it with ``python -m tests.benchmarks.mixing``. The record file has as many records as
ImageNet's, 1,281,167 of about 110 kB in 1000 classes, either sorted by class or shuffled when it
was written (as im2rec does); an epoch in batches of 256. Columns:

- classes: different ones in a batch, on average;
- noise: standard deviation of a batch's share of each class, as a multiple of that of a batch that
  is drawn at random: the square of it is by how many times fewer samples such a batch is worth, as
  far as a gradient depends on classes;
- neighbours: pairs of records in a batch that follow each other in the file, on average;
- requests: reads of the file, as a fraction of the records, and how many times fewer than with
  shuffle=True. What is read ahead, a pool or 256 MB, is read together: in ranges that include gaps
  of up to 64 kB, and are divided after 8 MB.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuio.sampling.blocks import BlockOptions, Blocks
from gpuio.sampling.order import Order

RECORDS, CLASSES, BATCH = 1_281_167, 1000, 256

# A record's bytes: their mean and, of their logarithm, the standard deviation.
MEAN_BYTES, SPREAD = 110_000, 0.5

# Bytes that are read ahead; that a request may read between two records; and of a request.
READAHEAD, GAP, LONGEST = 256 * 10**6, 1 << 16, 8 << 20

ORDERS: dict[str, bool | BlockOptions] = {
    "shuffle=True": True,
    'shuffle="blocks"': BlockOptions(),
    'block_size="1MB", pool_blocks=128': BlockOptions(10**6, 128),
    "pool_blocks=64": BlockOptions(pool=64),
    "pool_blocks=256": BlockOptions(pool=256),
    "shuffle=False": False,
}


@dataclass(frozen=True)
class Mixing:
    """How well an order mixes; the columns of the table, for an epoch.

    Attributes
    ----------
    classes : different classes in a batch
    noise : standard deviation of the classes' shares, as a multiple of random batches'
    neighbours : pairs of neighbours in a batch
    requests : reads of the file
    """

    classes: float
    noise: float
    neighbours: float
    requests: int


def file_of(records: int) -> NDArray[np.int64]:
    """The offsets of records with random sizes, and the size of the file: int64 (records + 1,)."""
    sizes = np.random.default_rng(0).lognormal(0, SPREAD, records)
    words = np.ceil(sizes * (MEAN_BYTES / np.exp(SPREAD**2 / 2) / 4)).astype(np.int64)
    return np.concatenate([[0], np.cumsum(4 * words)])


def order_of(offsets: NDArray[np.int64], batch: int, shuffle: bool | BlockOptions) -> Order:
    """The order of a file's records."""
    size = len(offsets) - 1
    if isinstance(shuffle, bool):
        return Order(size, batch, shuffle, 1, "discard")
    inner = np.flatnonzero(np.diff(offsets[:-1] // shuffle.nbytes)) + 1
    blocks = Blocks(np.concatenate([[0], inner, [size]]), shuffle)
    return Order(size, batch, True, 1, "discard", blocks=blocks)


def mixing(
    offsets: NDArray[np.int64], labels: NDArray[np.int64], batch: int, shuffle: bool | BlockOptions
) -> Mixing:
    """Measure an epoch of an order.

    Parameters
    ----------
    offsets : as `file_of` gives them
    labels : int64 (records,), each in [0, classes); all equally frequent
    batch : the batch size
    """
    order, classes = order_of(offsets, batch, shuffle), int(labels.max()) + 1
    different, squares, neighbours, batches = 0, 0.0, 0, order.num_batches(0)
    for position in range(0, batches * batch, batch):
        records = order.batch_at(position).record
        counts = np.bincount(labels[records], minlength=classes)
        different += int(np.count_nonzero(counts))
        squares += float(((counts - batch / classes) ** 2).sum())
        neighbours += int((np.diff(np.sort(records)) == 1).sum())
    expected = batch * (1 - 1 / classes)  # of the multinomial distribution
    noise = float(np.sqrt(squares / batches / expected))
    return Mixing(different / batches, noise, neighbours / batches, requests(order, offsets))


def requests(order: Order, offsets: NDArray[np.int64]) -> int:
    """The number of reads of the file in an epoch."""
    found = 0
    for records in _read_together(order, offsets):
        chosen = np.sort(records)
        begins, ends = offsets[chosen], offsets[chosen + 1]
        first = np.flatnonzero(np.append(True, begins[1:] - ends[:-1] > GAP))
        last = np.append(first[1:], len(chosen)) - 1
        found += int((-(-(ends[last] - begins[first]) // LONGEST)).sum())
    return found


def _read_together(order: Order, offsets: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """The records that are read at once: a pool, or what is read ahead."""
    if order.blocks is None:
        everything = order.records(np.zeros(order.size, np.int64), np.arange(order.size))
        total = np.cumsum(offsets[everything + 1] - offsets[everything])
        yield from np.split(everything, np.flatnonzero(np.diff(total // READAHEAD)) + 1)
        return
    place = 0
    while place < order.size:
        first, pool = order.run(0, place)
        yield pool
        place = first + len(pool)


def main(arguments: list[str] | None = None) -> None:
    """Measure all orders, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--classes", type=int, default=CLASSES)
    parser.add_argument("--batch-size", type=int, default=BATCH)
    given = parser.parse_args(arguments)
    offsets = file_of(given.records)
    ordered = np.arange(given.records) * given.classes // given.records
    files = {
        "sorted by class": ordered,
        "shuffled when written": np.random.default_rng(1).permutation(ordered),
    }
    print("| file | order | classes | noise | neighbours | requests / records | fewer |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for file, labels in files.items():
        usual: Mixing | None = None
        for name, shuffle in ORDERS.items():
            found = mixing(offsets, labels, given.batch_size, shuffle)
            usual = usual or found
            cells = (
                f"{found.classes:.1f}",
                f"{found.noise:.2f}",
                f"{found.neighbours:.2f}",
                f"{found.requests / given.records:.3f}",
                f"{usual.requests / found.requests:.0f}",
            )
            print(f"| {file} | `{name}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
