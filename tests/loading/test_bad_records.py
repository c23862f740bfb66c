"""What is done about records that cannot be used."""

import numpy as np
import pytest

from gpuio.errors import DecodeError
from gpuio.loading.bad_records import (
    ON_ERROR_MODES,
    BadRecordResolution,
    finish_batch,
    resolve_bad_records,
)
from tests.loading.fakes import MemorySource, image_batch, indices

SOURCE = MemorySource([b"x"] * 10)


def rows(resolution: BadRecordResolution) -> list[int] | None:
    return None if resolution.rows is None else resolution.rows.tolist()


@pytest.mark.parametrize("on_error", ON_ERROR_MODES)
def test_a_good_batch_stays_as_it_is(on_error: str) -> None:
    for position, pad in ((0, 0), (8, 2)):
        resolution = resolve_bad_records(image_batch(indices(10, 4, position)), SOURCE, on_error)
        assert resolution.rows is None and resolution.pad == pad and not resolution.all_bad


def test_raise_names_the_first_bad_record() -> None:
    batch = image_batch(indices(10, 4, 4), {2: "second", 1: "first"})
    with pytest.raises(DecodeError, match=r"memory\.rec, key 50, byte 500: first; on_error='skip'"):
        resolve_bad_records(batch, SOURCE, "raise")


@pytest.mark.parametrize(
    ("bad", "position", "expected", "pad"),
    [
        ([1], 0, [0, 2, 3, 0], 1),
        ([0, 3], 0, [1, 2, 1, 2], 2),
        ([0, 1, 2], 0, [3, 3, 3, 3], 3),
        ([0], 8, [1, 2, 3, 1], 3),  # rows 2 and 3 only fill the batch
        ([2, 3], 8, [0, 1, 0, 1], 2),
        ([0, 1], 8, [2, 3, 2, 3], 4),  # none of the epoch's own is good
    ],
)
def test_skip_moves_the_others_up(
    bad: list[int], position: int, expected: list[int], pad: int
) -> None:
    batch = image_batch(indices(10, 4, position), dict.fromkeys(bad, "bad"))
    resolution = resolve_bad_records(batch, SOURCE, "skip")
    assert (rows(resolution), resolution.pad) == (expected, pad)


@pytest.mark.parametrize(
    ("bad", "expected"),
    [([1], [0, 2, 2, 3]), ([3], [0, 1, 2, 0]), ([0, 2], [1, 1, 3, 3]), ([1, 2, 3], [0] * 4)],
)
def test_substitute_takes_the_next_good_one(bad: list[int], expected: list[int]) -> None:
    for position, pad in ((0, 0), (8, 2)):
        batch = image_batch(indices(10, 4, position), dict.fromkeys(bad, "bad"))
        resolution = resolve_bad_records(batch, SOURCE, "substitute")
        assert (rows(resolution), resolution.pad) == (expected, pad)


@pytest.mark.parametrize("on_error", ["skip", "substitute"])
def test_all_may_be_bad(on_error: str) -> None:
    batch = image_batch(indices(10, 4), dict.fromkeys(range(4), "bad"))
    resolution = resolve_bad_records(batch, SOURCE, on_error)
    assert resolution.all_bad and resolution.pad == 4
    loaded = finish_batch(batch, None, resolution, SOURCE)
    assert loaded.data == [] and [bad.key for bad in loaded.bad] == [0, 10, 20, 30]


def test_a_finished_batch_has_labels_and_keys_of_the_rows_that_it_shows() -> None:
    batch = image_batch(indices(10, 4, 4), {2: "third", 0: "first"})
    resolution = resolve_bad_records(batch, SOURCE, "substitute")
    data = np.zeros((4, 3, 2, 2))
    loaded = finish_batch(batch, data, resolution, SOURCE)
    assert loaded.data[0] is data and loaded.pad == 0
    assert loaded.label[0].ravel().tolist() == [5, 5, 7, 7]
    assert loaded.keys is not None and loaded.keys.dtype == np.uint64
    assert loaded.keys.tolist() == [50, 50, 70, 70]
    first, third = loaded.bad
    assert (first.key, first.file, first.offset, first.reason) == (40, "memory.rec", 400, "first")
    assert third.place == "memory.rec, key 60, byte 600" and third.reason == "third"


def test_a_good_batch_is_finished_without_copies() -> None:
    batch = image_batch(indices(10, 4))
    loaded = finish_batch(batch, np.zeros(1), BadRecordResolution(None, 0), SOURCE)
    assert loaded.label[0] is batch.labels and loaded.bad == ()
