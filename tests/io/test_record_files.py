"""Opening the record files that the record iterators name."""

import logging
from pathlib import Path
from typing import Any

import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, RecordError, RecordFileNotFoundError
from gpuio.io.record_files import log_opened, open_records, write_bad_records
from gpuio.loading.batch import BadRecord
from gpuio.loading.labels import LabelTable
from gpuio.recordio.lists import ListItem
from gpuio.recordio.quarantine import Entry, read_quarantine
from gpuio.sampling.sharding import Shard
from tests.io.records import write_records

ALL = Shard(0, 1, "contiguous")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Seven records of equal size."""
    return write_records(tmp_path / "x", [b"image"] * 7)


def opened(files: dict[str, Path], shard: Shard = ALL, **options: Any) -> tuple[Any, list[int]]:
    values = {"table": None, "quarantine": (), **options}
    source, images = open_records(files["path_imgrec"], files["path_imgidx"], shard=shard, **values)
    source.close()
    return source, list(images)


def test_all_records_are_one_shard(files: dict[str, Path]) -> None:
    source, images = opened(files)
    assert images == list(range(7)) and len(source) == 7


def test_a_contiguous_shard_has_its_own_images(files: dict[str, Path]) -> None:
    found = [opened(files, Shard(number, 3, "contiguous"))[1] for number in range(3)]
    assert found == [[0, 1, 2], [3, 4, 5], [6]]


def test_a_global_shard_has_all_images(files: dict[str, Path]) -> None:
    for number in range(3):
        assert opened(files, Shard(number, 3, "global"))[1] == list(range(7))


def test_what_is_quarantined_is_left_out_before_records_are_divided(
    files: dict[str, Path],
) -> None:
    source, _ = opened(files)
    entries = [Entry("x.rec", source.location(index).offset, 10 * index, "bad") for index in (1, 2)]
    assert opened(files, quarantine=entries)[1] == [0, 3, 4, 5, 6]
    found = [
        opened(files, Shard(number, 2, "contiguous"), quarantine=entries)[1] for number in range(2)
    ]
    assert found == [[0, 3, 4], [5, 6]]


def test_labels_may_come_from_elsewhere(files: dict[str, Path]) -> None:
    table = LabelTable([ListItem(30, (0.5,), "x"), ListItem(40, (1.5,), "x")], "some.lst")
    source, _ = open_records(files["path_imgrec"], files["path_imgidx"], table, ALL, ())
    assert source.read(3).label.tolist() == [0.5]  # found by the id
    with pytest.raises(RecordError, match=r"some\.lst has no line for the record's id 50"):
        source.read(5)
    source.close()


def test_bad_records_become_a_quarantine(files: dict[str, Path], tmp_path: Path) -> None:
    source, _ = opened(files)
    offsets = [source.location(index).offset for index in (1, 4)]
    bad = [
        BadRecord(
            key, f"{files['path_imgrec']}, key {key}", "broken", str(files["path_imgrec"]), at
        )
        for key, at in zip((10, 40), offsets, strict=True)
    ]
    assert write_bad_records(bad, tmp_path / "bad.json") == 2
    entries = read_quarantine(tmp_path / "bad.json")
    assert opened(files, quarantine=entries)[1] == [0, 2, 3, 5, 6]
    assert write_bad_records([], tmp_path / "none.json") == 0


def test_without_an_index(files: dict[str, Path]) -> None:
    for missing in (None, ""):
        source, images = open_records(files["path_imgrec"], missing, None, ALL, ())
        assert list(images) == list(range(7)) and source.keys.tolist() == list(range(7))
        source.close()


def test_there_must_be_records(tmp_path: Path, files: dict[str, Path]) -> None:
    (tmp_path / "empty.rec").touch()
    with pytest.raises(ArgumentError, match=r"empty\.rec: there are no records"):
        open_records(tmp_path / "empty.rec", None, None, ALL, ())
    with pytest.raises(ArgumentError, match="part 7 of 8 has no records; there are 7 in total"):
        opened(files, Shard(7, 8, "contiguous"))
    with pytest.raises(RecordFileNotFoundError, match=r"none\.rec"):
        open_records(tmp_path / "none.rec", None, None, ALL, ())


def test_what_was_opened_is_logged(
    files: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    source, images = opened(files)
    with caplog.at_level(logging.INFO, "gpuio"):
        log_opened(source, len(images), mx.cpu())
    assert "x.rec: 7 records, 7 in this part, on cpu(0)" in caplog.text
