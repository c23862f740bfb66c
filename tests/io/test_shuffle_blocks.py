"""shuffle="blocks": the iterators over record files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, StateError
from gpuio.recordio.quarantine import Entry, write_quarantine
from tests.io.image_iterators import (
    KINDS,
    assert_equal_samples,
    open_kind,
    open_random,
    samples_of,
    write_images,
)
from tests.io.records import open_iter
from tests.io.threads import gpuio_threads
from tests.servers.faulty import faulty_server

COUNT = 40
# Three or so of the images in a block.
BLOCKS: dict[str, Any] = {"shuffle": "blocks", "block_size": "8kB", "pool_blocks": 4}
OF_RECORDS = [name for name in KINDS if "of a list" not in name]
OF_FILES = [name for name in KINDS if "of a list" in name]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the images of all kinds."""
    folder = tmp_path_factory.mktemp("images")
    write_images(folder, COUNT)
    return folder


def keys_of(iterator: Any, epochs: int = 1) -> Iterator[int]:
    """The records' keys, without the rows that only fill a batch."""
    for _ in range(epochs):
        for batch in iterator:
            yield from batch.index[: iterator.batch_size - batch.padding].tolist()
        iterator.reset()


@pytest.mark.parametrize("name", OF_RECORDS)
def test_samples_are_those_of_a_permutation_in_another_order(name: str, folder: Path) -> None:
    orders, found = [], []
    for options in ({}, BLOCKS):
        with open_random(name, "host", folder, **options) as iterator:
            found.append(samples_of(iterator, 2))
        orders.append([key for _, key in found[-1]])
    assert_equal_samples(*found)
    permuted, in_blocks = orders
    assert permuted != in_blocks
    assert in_blocks[:COUNT] != in_blocks[COUNT:]
    # The first pool is four blocks of at most three records, wherever they are.
    assert len({key // 10 for key in permuted[:12]}) == 12
    near = sum(abs(a - b) <= 30 for a in in_blocks[:8] for b in in_blocks[:8])
    assert near > sum(abs(a - b) <= 30 for a in permuted[:8] for b in permuted[:8])


@pytest.mark.parametrize("saved", [1, 2])
@pytest.mark.parametrize("name", ["ImageRecordIter", "ImageIter of records"])
def test_another_number_of_ranks_goes_on_where_one_was(
    name: str, saved: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(world: int, rank: int) -> Any:
        monkeypatch.setenv("WORLD_SIZE", str(world))
        monkeypatch.setenv("RANK", str(rank))
        sizes = {"num_parts": "auto", "batch_size": 12 // world, "last_batch_handle": "roll_over"}
        return open_kind(name, "host", folder, seed=3, **sizes, **BLOCKS)

    with opened(1, 0) as whole:
        expected = list(keys_of(whole, 3))
    with opened(saved, 0) as iterator:
        iterator.next()
        state = iterator.state_dict()
    ranks = []
    for rank in range(3):
        with opened(3, rank) as iterator:
            iterator.load_state_dict(state)
            ranks.append(list(keys_of(iterator, 2)))
    together = [
        key for at in range(0, len(ranks[0]), 4) for keys in ranks for key in keys[at : at + 4]
    ]
    assert together == expected[12 : 12 + len(together)] and len(together) >= 60


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"block_size": "9kB"}, "block_size=8000, here it is 9000"),
        ({"pool_blocks": 5}, "pool_blocks=4, here it is 5"),
        ({"shuffle": True}, "shuffle='blocks', here it is True"),
        ({"shuffle": False}, "shuffle='blocks', here it is False"),
        ({"seed": 4}, "seed=3, here it is 4"),
    ],
)
def test_a_state_of_another_order_is_refused(
    changes: dict[str, Any], words: str, folder: Path
) -> None:
    options = {"seed": 3, **BLOCKS}
    with open_kind("ImageRecordIter", "host", folder, **options) as iterator:
        state = iterator.state_dict()
    with open_kind("ImageRecordIter", "host", folder, **{**options, **changes}) as iterator:
        with pytest.raises(StateError, match=words):
            iterator.load_state_dict(state)
        other = iterator.state_dict()
    iterator = open_kind("ImageRecordIter", "host", folder, **options)
    with iterator, pytest.raises(StateError):
        iterator.load_state_dict(other)


def test_contiguous_parts_shuffle_their_own_records(folder: Path) -> None:
    for part in range(3):
        options = {"num_parts": 3, "part_index": part, "round_batch": False, **BLOCKS}
        with open_kind("ImageRecordIter", "host", folder, **options) as iterator:
            found = list(keys_of(iterator))
        expected = [10 * number for number in range(14 * part, min(14 * part + 14, COUNT))]
        assert sorted(found) == expected != found


def test_records_of_a_quarantine_leave_the_blocks_as_they_are(folder: Path, tmp_path: Path) -> None:
    with mx.recordio.RecordSet(folder / "x.rec", folder / "x.idx") as records:
        bad = [Entry("x.rec", int(records.starts[row]), 10 * row, "bad") for row in (0, 17)]
    write_quarantine(tmp_path / "bad.tsv", bad)
    # In pools of one block the blocks show: each is a run of neighbours.
    options = {**BLOCKS, "pool_blocks": 1, "round_batch": False}
    runs = []
    for quarantine in (None, tmp_path / "bad.tsv"):
        with open_kind(
            "ImageRecordIter", "host", folder, quarantine=quarantine, **options
        ) as iterator:
            keys = list(keys_of(iterator))
        assert sorted(keys) == [10 * n for n in range(COUNT) if not (quarantine and n in (0, 17))]
        runs.append(keys)
    places = {key: place for place, key in enumerate(runs[0])}
    # Blocks come in the same order, and only within them the permutation is another.
    moved = [abs(places[key] - place) for place, key in enumerate(runs[1])]
    assert max(moved) <= 5


def test_options_may_be_strings_as_in_mxnet(folder: Path) -> None:
    strings = {"shuffle": "blocks", "block_size": "8000", "pool_blocks": "4"}
    found = []
    for options in (BLOCKS, strings):
        with open_kind("ImageRecordIter", "host", folder, **options) as iterator:
            found.append(list(keys_of(iterator)))
    assert found[0] == found[1]


@pytest.mark.parametrize("name", OF_FILES)
def test_image_files_have_no_blocks(name: str, folder: Path) -> None:
    with pytest.raises(ArgumentError, match=r"'blocks' is for record files.*use shuffle=True"):
        open_kind(name, "host", folder, **BLOCKS)
    assert not gpuio_threads()


def test_wrong_options() -> None:
    for options, words in (
        ({"shuffle": "block"}, "did you mean 'blocks'"),
        ({"block_size": "8 MX"}, "such as '8MB'"),
        ({"pool_blocks": 0}, "pool_blocks must be at least 1"),
    ):
        with pytest.raises(ArgumentError, match=words):
            open_iter(**options)
    assert not gpuio_threads()


def test_options_without_effect_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="gpuio"):
        open_iter(shuffle=True, block_size="1MB", verbose=False).close()
        open_iter(shuffle="blocks", shuffle_chunk_size=1, verbose=False).close()
    first, second = [record.getMessage() for record in caplog.records]
    assert first == "ImageRecordIter: block_size has no effect without shuffle='blocks'"
    assert "shuffle_chunk_size has no effect with shuffle" in second


@pytest.mark.parametrize("shuffle", [True, "blocks"])
def test_remote_files_are_read_in_the_order_of_local_ones(
    shuffle: bool | str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUIO_CACHE_DIR", str(tmp_path))
    options: dict[str, Any] = {**BLOCKS, "shuffle": shuffle, "batch_size": 5}
    with open_kind("ImageRecordIter", "host", folder, **options) as iterator:
        expected = samples_of(iterator, 2)
    with faulty_server() as server:
        for name in ("x.rec", "x.idx"):
            server.put(f"b/{name}", (folder / name).read_bytes())
        url = f"{server.url}/b/x"
        with open_iter(
            path_imgrec=f"{url}.rec", path_imgidx=f"{url}.idx", round_batch=True,
            **{**options, "data_shape": expected[0, 0][0].shape},
        ) as iterator:  # fmt: skip
            found = samples_of(iterator, 2)
            assert list(found) == list(expected)
            assert_equal_samples(found, expected)
            sent = server.total()
            samples_of(iterator)
            assert server.total() == sent


def test_each_block_is_requested_once_and_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first batch on, whose records are spread over all blocks of its pool."""
    monkeypatch.setenv("GPUIO_CACHE_DIR", str(tmp_path / "cache"))
    rng, count = np.random.default_rng(0), 300
    with mx.recordio.MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "w") as writer:
        for key in range(count):  # of about 10 kB
            image = rng.integers(0, 256, (56, 56, 3), np.uint8)
            header = mx.recordio.IRHeader(0, float(key), key, 0)
            writer.write_idx(key, mx.recordio.pack_img(header, image, img_fmt=".png"))
    with faulty_server() as server:
        for name in ("x.rec", "x.idx"):
            server.put(f"b/{name}", (tmp_path / name).read_bytes())
        url = f"{server.url}/b/x"
        with open_iter(
            path_imgrec=f"{url}.rec", path_imgidx=f"{url}.idx", data_shape=(3, 56, 56),
            batch_size=10, shuffle="blocks", block_size="200kB", pool_blocks=5, prefetch_buffer=3,
        ) as iterator:  # fmt: skip
            assert sum(len(batch.data[0]) for batch in iterator) == count
        sent = server.requests["GET b/x.rec"]
    blocks = -(-(tmp_path / "x.rec").stat().st_size // 200_000)
    # One more has the version of the file; neighbouring blocks of a pool come together.
    assert 2 < sent <= 1 + blocks < 20
