"""Shards: what the arguments and the launcher ask for, and which records they are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.errors import ArgumentError
from gpuio.recordio import RecordSet
from gpuio.sampling.sharding import (
    Shard,
    contiguous_shard,
    equal_shard,
    resolve_shard,
)
from tests.io.records import write_records


def test_integers_name_a_contiguous_shard() -> None:
    assert resolve_shard(3, 1, None, {}) == Shard(1, 3, "contiguous")
    assert resolve_shard(np.int64(3), np.uint8(1), None, {}) == Shard(1, 3, "contiguous")
    assert resolve_shard(3, 1, "global", {}) == Shard(1, 3, "global")


def test_auto_asks_the_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"RANK": "2", "WORLD_SIZE": "5"}
    assert resolve_shard("auto", 0, None, environment) == Shard(2, 5, "global")
    assert resolve_shard("auto", 0, "contiguous", environment) == Shard(2, 5, "contiguous")
    assert resolve_shard("auto", 0, None, {}) == Shard(0, 1, "global")
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert resolve_shard("auto", 0, None) == Shard(3, 4, "global")


@pytest.mark.parametrize(
    ("parts", "part", "mode", "environment", "said"),
    [
        (0, 0, None, {}, "num_parts must be at least 1, not 0"),
        (2, 2, None, {}, r"below num_parts \(2\), not 2"),
        (2, -1, None, {}, "part_index must be at least 0"),
        ("all", 0, None, {}, "num_parts must be an integer"),
        (2.0, 0, None, {}, "num_parts must be an integer"),
        (True, 0, None, {}, "num_parts must be an integer"),
        (2, "0", None, {}, "part_index must be an integer"),
        (10**30, 0, None, {}, "num_parts must be at most"),
        (10**4000, 10**4000, None, {}, "num_parts must be at most"),
        (2, 10**4000, None, {}, "part_index must be at most"),
        (2, 0, "random", {}, "partition must be 'contiguous' or 'global', not 'random'"),
        ("auto", 0, None, {"RANK": "x", "WORLD_SIZE": "2"}, "torchrun's RANK='x'"),
        ("auto", 0, None, {"RANK": "2", "WORLD_SIZE": "2"}, "torchrun's RANK"),
        ("auto", 0, None, {"RANK": "0", "WORLD_SIZE": "0"}, "no rank and number of processes"),
    ],
)
def test_what_names_no_shard(
    parts: Any, part: Any, mode: str | None, environment: dict[str, str], said: str
) -> None:
    with pytest.raises(ArgumentError, match=said):
        resolve_shard(parts, part, mode, environment)


def test_states_of_global_shards_fit_any_number_of_shards() -> None:
    assert Shard(0, 2, "global").identity == Shard(1, 3, "global").identity
    identities = {Shard(index, count, "contiguous").identity for index, count in
                  ((0, 2), (1, 2), (0, 3))}  # fmt: skip
    assert len(identities) == 3 and Shard(0, 1, "global").identity not in identities


@pytest.mark.parametrize("count", [1, 2, 3, 7, 12])
@pytest.mark.parametrize("index", [True, False])
def test_contiguous_shards_cover_each_record_once(index: bool, count: int, tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", [b"x" * (7 * number + 1) for number in range(12)])
    paths = [files["path_imgrec"], files["path_imgidx"] if index else None]
    with RecordSet(*paths) as records:
        shards = [
            list(contiguous_shard(range(12), records, Shard(number, count, "contiguous")))
            for number in range(count)
        ]
        assert [record for shard in shards for record in shard] == list(range(12))
        if index:  # equal numbers of records, rounded up
            assert {len(shard) for shard in shards[:-1]} <= {-(-12 // count)}
        else:  # equal numbers of bytes
            assert len(shards[0]) >= len(shards[-1])
        images = np.array([1, 4, 5, 9])  # others hold no images
        shards = [
            contiguous_shard(images, records, Shard(number, count, "contiguous")).tolist()
            for number in range(count)
        ]
        assert [record for shard in shards for record in shard] == images.tolist()


def test_without_an_index_a_record_belongs_to_where_it_begins(tmp_path: Path) -> None:
    # The payloads take a few bytes more: a first record of half the file, and small ones.
    files = write_records(tmp_path / "x", [b"x" * 4000, *[b"y" * 400] * 10])
    with RecordSet(files["path_imgrec"], None) as records:
        first, second = (
            list(contiguous_shard(range(11), records, Shard(number, 2, "contiguous")))
            for number in range(2)
        )
    assert 0 in first and len(first) < len(second) and [*first, *second] == list(range(11))


@given(st.integers(1, 60), st.integers(1, 9))
def test_equal_shares_are_rounded_down(images: int, count: int) -> None:
    shards = [Shard(number, count, "contiguous") for number in range(count)]
    if images < count:
        with pytest.raises(ArgumentError, match=f"cannot be divided into {count} parts"):
            equal_shard(range(images), shards[0])
        return
    found = [list(equal_shard(range(images), shard)) for shard in shards]
    assert [len(share) for share in found] == [images // count] * count
    assert [image for share in found for image in share] == list(range(images // count * count))


def test_a_global_shard_has_all_images() -> None:
    images = np.array([3, 5, 8])
    assert equal_shard(images, Shard(1, 9, "global")) is images


def test_only_global_shards_share_an_order() -> None:
    assert Shard(1, 3, "global").rank_and_size == (1, 3)
    assert Shard(1, 3, "contiguous").rank_and_size == (0, 1)
