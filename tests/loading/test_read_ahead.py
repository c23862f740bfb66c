"""Reading ahead: which batches are asked for, and when."""

import numpy as np
import pytest

from gpuio.loading.loader import Loader
from gpuio.loading.outcome import Outcome
from gpuio.loading.read_ahead import AT_ONCE, ReadAhead
from gpuio.sampling.blocks import BlockOptions, Blocks
from gpuio.sampling.order import BatchIndices, Order
from tests.loading.fakes import MemorySource, ReadyExecutor


class Slow(MemorySource):
    """Notes what is asked for; each record has 10 bytes."""

    def __init__(self, count: int, readahead: int) -> None:
        super().__init__([b"0123456789"] * count)
        self.readahead = readahead
        self.asked: list[list[int]] = []

    def read_ahead(self, indices: np.ndarray) -> int:
        self.asked.append(indices.tolist())
        return 10 * len(indices)


@pytest.mark.parametrize("shuffle", [False, True])
def test_what_follows_is_asked_for_across_epochs(shuffle: bool) -> None:
    source, order = Slow(20, 80), Order(20, 4, shuffle, 7)
    loader = Loader(order, ReadyExecutor(), 2, ReadAhead(source, order))
    found = []
    for _ in range(3):
        while (batch := loader.next()) is not None:
            found.append(batch)
        loader.reset()
    # 80 bytes are two batches, after those that are being read.
    assert source.asked[:15] == found
    assert len(source.asked) == 15 + 2
    loader.close()


def test_a_batch_is_asked_for_before_it_is_read() -> None:
    class Checking(ReadyExecutor):
        def submit(self, at: BatchIndices) -> Outcome[list[int]]:
            asked = {record for records in source.asked for record in records}
            assert asked.issuperset(at.record.tolist())
            return super().submit(at)

    source, order = Slow(20, 80), Order(20, 4, True)
    loader = Loader(order, Checking(), 2, ReadAhead(source, order))
    for _ in range(5):
        assert loader.next() is not None


def test_nothing_is_asked_for_where_reading_is_fast() -> None:
    source, order = Slow(20, 0), Order(20, 4)
    loader = Loader(order, ReadyExecutor(), 2, ReadAhead(source, order))
    loader.next()
    assert not source.asked


def test_only_a_few_batches_are_asked_for_at_a_time() -> None:
    source, order = Slow(1000, 10**6), Order(1000, 4)
    ahead = ReadAhead(source, order)
    ahead.advance(0)
    assert len(source.asked) == AT_ONCE
    ahead.advance(4)
    assert len(source.asked) == 2 * AT_ONCE
    assert np.concatenate(source.asked).tolist() == list(range(4 * 2 * AT_ONCE))


def test_whole_pools_are_asked_for() -> None:
    blocks = Blocks(np.arange(0, 61, 5), BlockOptions(1, 3))  # four pools of 15 records
    source, order = Slow(60, 160), Order(60, 4, True, 7, "pad", 0, 2, blocks=blocks)
    ahead = ReadAhead(source, order)
    stream = order.records(np.arange(120) // 60, np.arange(120) % 60).tolist()
    pools = [stream[begin : begin + 15] for begin in range(0, 120, 15)]
    # 160 bytes are a little more than a pool: at position 16 there are 140 after it.
    for position, count in ((0, 2), (8, 2), (14, 2), (16, 3), (24, 3), (32, 4), (56, 5), (63, 6)):
        ahead.advance(position)
        assert source.asked == pools[:count]
    ahead.restart()
    ahead.advance(7)
    assert source.asked[6:] == pools[:2]


def test_another_position_begins_anew() -> None:
    source, order = Slow(40, 80), Order(40, 4)
    loader = Loader(order, ReadyExecutor(), 1, ReadAhead(source, order))
    loader.next()
    state = loader.state()
    loader.next()
    loader.restore(state)
    loader.next()
    starts = [asked[0] for asked in source.asked]
    assert starts == [0, 4, 8, 4, 8]


def test_a_source_that_fails_is_asked_again() -> None:
    class Failing(Slow):
        def read_ahead(self, indices: np.ndarray) -> int:
            super().read_ahead(indices)
            raise OSError

    source, order = Failing(20, 80), Order(20, 4)
    loader = Loader(order, ReadyExecutor(), 1, ReadAhead(source, order))
    assert loader.next() is not None and loader.next() is not None
    assert [asked[0] for asked in source.asked] == [0, 4]
