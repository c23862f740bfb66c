"""Chunks of records: their bounds, and the order in which they come."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.recordio import MXRecordIO, RecordSet
from gpuio.sampling.chunks import Chunks, cut_chunks
from gpuio.sampling.order import Order


@given(st.lists(st.integers(1, 9), min_size=1, max_size=20), st.integers(0, 99), st.integers(0, 5))
def test_each_epoch_has_each_record_once_and_chunks_in_order(
    lengths: list[int], seed: int, epoch: int
) -> None:
    chunks = Chunks(np.cumsum([0, *lengths]), seed)
    size = sum(lengths)
    found = chunks.records(np.full(size, epoch), np.arange(size))
    assert sorted(found.tolist()) == list(range(size))
    starts = set(chunks.starts.tolist())
    for previous, record in itertools.pairwise(found.tolist()):
        assert record == previous + 1 or record in starts
    # A place does not depend on what else is asked for.
    place = size // 2
    assert chunks.records(np.array([epoch]), np.array([place]))[0] == found[place]


def test_epochs_and_seeds_differ() -> None:
    chunks, other = (Chunks(np.arange(0, 101, 5), seed) for seed in (0, 1))
    places, zero = np.arange(100), np.zeros(100, np.int64)
    first = chunks.records(zero, places)
    assert (chunks.records(zero + 1, places) != first).any()
    assert (other.records(zero, places) != first).any()
    mixed = chunks.records(np.array([0, 1, 0]), np.array([3, 3, 4]))
    assert mixed.tolist() == [first[3], chunks.records(zero + 1, places)[3], first[4]]
    assert chunks.identity() == [20, 0]


@pytest.fixture
def records(tmp_path: Path) -> RecordSet:
    """50 records, of about 1 MiB together."""
    generator = np.random.default_rng(0)
    with MXRecordIO(tmp_path / "x.rec", "w") as writer:
        for _ in range(50):
            writer.write(bytes(int(generator.integers(100, 42000))))
    return RecordSet(tmp_path / "x.rec")


def test_chunks_have_about_equal_numbers_of_bytes(records: RecordSet) -> None:
    # 50 parts of a fiftieth are one part: the count follows from the size of all files.
    for parts, megabytes in ((2, 1), (1, 10**30), (1, 10**5000), (2**31, 1)):
        assert cut_chunks(range(50), records, parts, megabytes, 0) is None
    chunks = cut_chunks(range(50), records, 1, 1, 0)
    assert records.nbytes * 1.1 > 1 << 20 and chunks is not None
    assert chunks.starts[0] == 0 and chunks.starts[-1] == 50 and len(chunks.starts) == 3
    middle = records.starts[chunks.starts[1]] / records.nbytes
    assert 0.45 < middle < 0.55
    subset = np.arange(10, 40, 3)
    chunks = cut_chunks(subset, records, 1, 1, 0)
    assert chunks is not None and chunks.starts[-1] == len(subset)


def test_an_order_visits_chunks() -> None:
    chunks = Chunks(np.array([0, 3, 5, 9]), 4)
    subset = np.arange(100, 118, 2)
    order = Order(9, 2, subset=subset, chunks=chunks, last_batch="pad")
    seen = np.concatenate([order.batch_at(position).record for position in range(0, 8, 2)])
    expected = subset[chunks.records(np.zeros(8, np.int64), np.arange(8))]
    np.testing.assert_array_equal(seen, expected)
    assert order.identity()["chunks"] == [3, 4]
    assert "chunks" not in Order(9, 2).identity()
