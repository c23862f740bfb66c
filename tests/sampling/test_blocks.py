"""Blocks of records: their bounds, and the order in which their records come."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gpuio.errors import ArgumentError
from gpuio.recordio import MXRecordIO, RecordSet
from gpuio.sampling import blocks as blocks_module
from gpuio.sampling import philox
from gpuio.sampling.blocks import BlockOptions, Blocks, cut_blocks
from gpuio.sampling.order import Order
from gpuio.sampling.permutation import permute
from gpuio.storage.remote.options import RemoteOptions
from tests.servers.faulty import faulty_server

SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=40)
POOLS = st.integers(1, 12)


def blocks_of(lengths: list[int], pool: int) -> Blocks:
    """Blocks with these numbers of records."""
    return Blocks(np.cumsum([0, *lengths]), BlockOptions(1, pool))


def reference(blocks: Blocks, seed: int, epoch: int) -> list[int]:
    """An epoch's records, one after another."""
    count = len(blocks.starts) - 1
    order = permute(np.arange(count), count, seed, epoch).tolist()
    pools = -(-count // blocks.options.pool)
    found = []
    for pool in range(pools):
        chosen = order[pool * count // pools : (pool + 1) * count // pools]
        assert 1 <= len(chosen) <= blocks.options.pool
        unshuffled = [
            record
            for block in chosen
            for record in range(blocks.starts[block], blocks.starts[block + 1])
        ]
        places = np.arange(len(found), len(found) + len(unshuffled))
        words = philox.words(seed, np.full(len(places), epoch), places, philox.BLOCKS, 2).tolist()
        drawn = [(high << 32 | low) % 2 ** (64 - len(words).bit_length()) for high, low in words]
        found += [record for _, record in sorted(zip(drawn, unshuffled, strict=True))]
    return found


def stream(order: Order, count: int) -> NDArray[np.int64]:
    """The records of the next batches."""
    position, found = 0, []
    for _ in range(count):
        taken = order.batch_at(position)
        found.append(taken.record)
        position = taken.next_position
    return np.concatenate(found)


@given(SIZES, POOLS, st.integers(-(2**63), 2**64), st.integers(0, 2**40))
@settings(max_examples=50)
def test_an_epoch_is_that_of_the_reference(
    lengths: list[int], pool: int, seed: int, epoch: int
) -> None:
    blocks = blocks_of(lengths, pool)
    size = sum(lengths)
    order = Order(size, 1, True, seed, blocks=blocks)
    expected = reference(blocks, seed, epoch)
    found = order.records(np.full(size, epoch), np.arange(size))
    assert found.tolist() == expected
    assert sorted(expected) == list(range(size))
    # A place does not depend on what else is asked for, nor in which order.
    places = np.array([size - 1, 0, size // 2])
    assert order.records(np.full(3, epoch), places).tolist() == found[places].tolist()


@given(SIZES, POOLS, st.integers(1, 30), st.integers(1, 4))
@settings(max_examples=40)
def test_ranks_share_one_stream_whatever_their_number(
    lengths: list[int], pool: int, batch_size: int, world_size: int
) -> None:
    """Batches of 1 sample up to several pools, and over the ends of epochs."""
    blocks, size = blocks_of(lengths, pool), sum(lengths)
    if batch_size * world_size > size:
        return
    expected = np.array([record for epoch in range(3) for record in reference(blocks, 5, epoch)])
    ranks = [
        Order(size, batch_size, True, 5, "wrap", rank, world_size, blocks=blocks)
        for rank in range(world_size)
    ]
    batches = 2 * size // (batch_size * world_size)
    rows = [stream(rank, batches).reshape(batches, batch_size) for rank in ranks]
    together = np.stack(rows, axis=1).ravel()
    np.testing.assert_array_equal(together, expected[: len(together)])


def test_epochs_and_seeds_differ() -> None:
    blocks = blocks_of([5] * 20, 4)
    orders = {
        tuple(stream(Order(100, 100, True, seed, blocks=blocks), 3)[100 * epoch :][:100].tolist())
        for seed in (0, 1)
        for epoch in (0, 1, 2)
    }
    assert len(orders) == 6


def test_pools_are_of_blocks_far_apart_and_the_last_is_no_smaller() -> None:
    blocks = blocks_of([10] * 33, 16)
    found = stream(Order(330, 110, True, 1, blocks=blocks), 3).reshape(3, 110) // 10
    for pool in found:  # 33 blocks are three pools of 11
        assert len(np.unique(pool)) == 11
        assert np.ptp(pool) > 15
    assert set(found.ravel().tolist()) == set(range(33))


def test_all_orders_of_a_few_records_come_equally_often() -> None:
    """Of two blocks of two records each in one pool: any permutation."""
    blocks, epochs = blocks_of([2, 2], 2), 1200
    found = stream(Order(4, 4, True, 2, blocks=blocks), epochs).reshape(epochs, 4)
    counts = np.unique(found, axis=0, return_counts=True)[1]
    assert len(counts) == 24
    assert ((counts - 50) ** 2 / 50).sum() < 23 + 5 * np.sqrt(46)


def test_a_pool_is_computed_once() -> None:
    order = Order(40_000, 1000, True, 0, blocks=blocks_of([10] * 4000, 3000))
    begin, pool = order.run(1, 5)
    assert begin == 0 and len(pool) == 20_000
    assert order.run(1, 19_999)[1] is pool
    assert order.run(1, 20_000)[0] == 20_000
    with pytest.raises(ValueError, match="read-only"):
        pool[0] = 1
    np.testing.assert_array_equal(np.sort(stream(order, 40)), np.arange(40_000))


def test_an_order_of_blocks_selects_from_a_subset() -> None:
    subset = np.arange(100, 118, 2)
    blocks = blocks_of([3, 2, 4], 2)
    order = Order(9, 9, True, 3, subset=subset, blocks=blocks)
    assert order.batch_at(0).record.tolist() == subset[reference(blocks, 3, 0)].tolist()
    assert Order(9, 9, True, 3, blocks=blocks).batch_at(0).as_slice is None


def test_states_name_the_options() -> None:
    identity = Order(9, 2, True, 3, blocks=Blocks(np.array([0, 9]), BlockOptions(70, 5))).identity()
    assert identity["shuffle"] == "blocks"
    assert (identity["block_size"], identity["pool_blocks"]) == (70, 5)
    assert Order(9, 2, True).identity()["shuffle"] is True
    assert "block_size" not in Order(9, 2, True).identity()


@given(SIZES, POOLS, st.integers(0, 700))
@settings(max_examples=40)
def test_a_pool_is_read_together(lengths: list[int], pool: int, position: int) -> None:
    blocks, size = blocks_of(lengths, pool), sum(lengths)
    subset = np.arange(7, 7 + 3 * size, 3)
    ranks = min(2, size)
    order = Order(size, 1, True, 5, "wrap", ranks - 1, ranks, subset=subset, blocks=blocks)
    records, after = order.read_together(position)
    epoch, place = divmod(position, size)
    end = after - epoch * size
    assert position < after and end <= size
    expected = subset[reference(blocks, 5, epoch)]
    assert records.tolist() == expected[end - len(records) : end].tolist()
    assert end - len(records) <= place
    chosen = np.searchsorted(blocks.starts, (records - 7) // 3, side="right")
    assert len(np.unique(chosen)) <= pool
    # What follows begins there.
    assert order.read_together(after)[1] > after


def test_a_batch_is_read_together_without_blocks() -> None:
    for order in (Order(10, 4, True, 3, "pad", 0, 2), Order(10, 4, last_batch="discard")):
        position = 0
        for _ in range(4):
            batch = order.batch_at(position)
            records, position = order.read_together(position)
            assert records.tolist() == batch.record.tolist() and position == batch.next_position


@contextmanager
def written(files: list[list[int]]) -> Iterator[RecordSet]:
    """Files of records of these numbers of bytes, the frames included: multiples of 4."""
    with TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.rec") for number in range(len(files))]
        for path, sizes in zip(paths, files, strict=True):
            with MXRecordIO(path, "w") as writer:
                for size in sizes:
                    writer.write(bytes(size - 8))
        with RecordSet(paths) as records:
            yield records


WORDS = st.lists(st.integers(2, 30).map(lambda words: 4 * words), max_size=12)


@given(st.lists(WORDS, min_size=1, max_size=4), st.integers(1, 200), st.integers(1, 5))
@settings(max_examples=30)
def test_blocks_are_cut_at_bytes_of_each_file(
    files: list[list[int]], nbytes: int, step: int
) -> None:
    if not any(files):
        return
    cells = [
        (number, int(offset) // nbytes)
        for number, sizes in enumerate(files)
        for offset in np.cumsum([0, *sizes])[:-1]
    ]
    with written(files) as records:
        # All; every few, as with a quarantine; and a part in the middle.
        for images in (
            range(len(cells)),
            np.arange(0, len(cells), step),
            range(len(cells) // 3, len(cells) // 3 + 1 + len(cells) // 2),
        ):
            chosen = [cells[image] for image in images if image < len(cells)]
            kept = images[: len(chosen)]
            first = [row for row in range(len(chosen)) if not row or chosen[row] != chosen[row - 1]]
            blocks = cut_blocks(kept, records, BlockOptions(nbytes))
            assert blocks.starts.tolist() == [*first, len(chosen)]


@pytest.mark.parametrize(
    ("nbytes", "blocks"),
    [
        (1, [[0], [1], [2], [3], [4]]),
        (100, [[0], [1, 2], [3, 4]]),
        (440, [[0, 1], [2], [3, 4]]),
        (10**6, [[0, 1, 2], [3, 4]]),
        (2**62, [[0, 1, 2], [3, 4]]),
    ],
    ids=str,
)
def test_blocks_of_records_smaller_and_larger_than_a_block(
    nbytes: int, blocks: list[list[int]]
) -> None:
    with written([[400, 40, 400], [], [20, 60]]) as records:
        assert records.file_starts.tolist() == [0, 840, 840]
        starts = cut_blocks(range(5), records, BlockOptions(nbytes)).starts
        assert starts.tolist() == [*(block[0] for block in blocks), 5]


def test_one_record() -> None:
    with written([[40]]) as records:
        order = Order(1, 1, True, 0, blocks=cut_blocks(range(1), records, BlockOptions()))
        assert stream(order, 3).tolist() == [0, 0, 0]


def test_a_pool_of_too_many_records_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "LARGEST_POOL", 4)
    with written([[20] * 4, [20] * 3]) as records:
        for options in (BlockOptions(80, 1), BlockOptions(40, 2), BlockOptions(20, 4)):
            cut_blocks(range(7), records, options)
        with pytest.raises(ArgumentError, match=r"2 blocks of 80 bytes may have 7 rec.*shuffle=Tr"):
            cut_blocks(range(7), records, BlockOptions(80, 2))


def test_the_cache_of_remote_files_must_hold_two_pools(tmp_path: Path) -> None:
    with faulty_server() as server, written([[4000] * 10]) as records:
        server.put("b/x.rec", Path(records.paths[0]).read_bytes())
        server.put("b/x.idx", "".join(f"{row}\t{4000 * row}\n" for row in range(10)).encode())
        url = f"{server.url}/b/x"
        remote = RemoteOptions.create(tmp_path, 30_000)
        with RecordSet(f"{url}.rec", f"{url}.idx", remote) as opened:
            for options in (BlockOptions(4000, 3), BlockOptions(15000, 1), BlockOptions(1, 100)):
                cut_blocks(range(10), opened, options)
            message = "2 pools of 4 blocks of 4000 bytes are 32000 bytes, and cache_limit is 30000"
            with pytest.raises(ArgumentError, match=message):
                cut_blocks(range(10), opened, BlockOptions(4000, 4))
        with RecordSet(
            f"{url}.rec", f"{url}.idx", RemoteOptions.create(tmp_path, 40_000)
        ) as opened:
            cut_blocks(range(10), opened, BlockOptions(10**9, 16))


def test_the_environment_may_have_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUIO_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("GPUIO_CACHE_LIMIT", "30kB")
    with faulty_server() as server, written([[4000] * 10]) as records:
        server.put("b/x.rec", Path(records.paths[0]).read_bytes())
        server.put("b/x.idx", "".join(f"{row}\t{4000 * row}\n" for row in range(10)).encode())
        url = f"{server.url}/b/x"
        with (
            RecordSet(f"{url}.rec", f"{url}.idx") as opened,
            pytest.raises(ArgumentError, match="cache_limit is 30000"),
        ):
            cut_blocks(range(10), opened, BlockOptions(4000, 4))
