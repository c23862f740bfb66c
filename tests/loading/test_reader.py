"""Reading: from indices to encoded images and their plan."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gpuio.decoding.structure import Structure
from gpuio.errors import DecodeError, RecordError
from gpuio.loading.reader import BatchReader
from gpuio.loading.source import FileSource
from gpuio.planning.crop import CropPlanner
from gpuio.planning.crop_options import CropOptions
from gpuio.planning.plan import Plan
from gpuio.planning.planner import PlannedBatch, Planner, Samples
from gpuio.recordio.lists import ListItem
from tests.io.records import jpeg
from tests.loading.fakes import MemorySource, indices


class Noted(Planner):
    """Notes what it is given; one of the records cannot be planned."""

    def __init__(self, bad: int | None = None) -> None:
        self.bad = bad

    def plan(self, samples: Samples) -> PlannedBatch:
        self.given = samples
        count = len(samples.record)
        plan = Plan(np.zeros((count, 4)), np.zeros((count, 4), np.int64),
                    np.ones(count, np.int64), np.zeros(count, bool))  # fmt: skip
        labels: list[Any] = [None if each is None else each + 100 for each in samples.labels]
        if self.bad is None:
            return PlannedBatch(plan, labels, {})
        labels[self.bad] = None
        return PlannedBatch(plan, labels, {self.bad: RecordError("a bad label")})


def test_a_planned_batch_has_everything() -> None:
    source, planner = MemorySource([jpeg(0, 40, 30), jpeg(1, 20, 50), jpeg(2, 8, 9)]), Noted()
    batch = BatchReader(source, planner, ()).read(indices(3, 2, 2, seed=1))
    assert batch.record.tolist() == [2, 0] and batch.epoch.tolist() == [0, 0]
    assert planner.given.sizes.tolist() == [[8, 9], [40, 30]]
    assert planner.given.labels == [2, 0]
    assert batch.labels.shape == (2, 1) and batch.labels.dtype == np.float32
    assert batch.labels.ravel().tolist() == [102, 100] and not batch.errors
    for row, record in enumerate((2, 0)):
        encoded, header = batch.encoded[row], batch.headers[row]
        assert encoded is not None and header is not None
        assert bytes(encoded.data) == source.payloads[record]
        assert (header.width, header.height) == tuple(planner.given.sizes[row])
    assert batch.plan is not None and batch.indices.pad == 1


def test_bad_records_are_left_to_their_rows() -> None:
    source = MemorySource([jpeg(0), None, b"no image", b"", jpeg(4)])
    planner = Noted(bad=4)
    batch = BatchReader(source, planner, (), label_fill=-1).read(indices(5, 5))
    assert {row: type(error) for row, error in batch.errors.items()} == {
        1: RecordError, 2: DecodeError, 3: DecodeError, 4: RecordError,
    }  # fmt: skip
    assert planner.given.sizes.tolist()[1:4] == [[1, 1]] * 3
    assert planner.given.labels[1:4] == [None] * 3
    assert batch.labels.ravel().tolist() == [100, -1, -1, -1, -1]
    assert batch.encoded[1] is batch.encoded[2] is None


def test_without_a_planner_records_are_only_read() -> None:
    source = MemorySource([b"anything", None, b""])
    batch = BatchReader(source, None, (2, 5), label_fill=-1).read(indices(3, 3))
    assert batch.plan is None and batch.headers == [None] * 3
    assert list(batch.errors) == [1] and bytes(batch.encoded[0].data) == b"anything"  # type: ignore[union-attr]
    assert batch.labels.shape == (3, 2, 5) and (batch.labels == -1).all()


@pytest.mark.parametrize("applied", [True, False])
def test_orientation_is_applied_or_not(applied: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    source, planner = MemorySource([jpeg(0, 40, 30, exif=exif.tobytes())]), Noted()
    reader = BatchReader(source, planner, (), apply_orientation=applied)
    batch = reader.read(indices(1, 1))
    assert planner.given.sizes.tolist() == [[30, 40] if applied else [40, 30]]
    header = batch.headers[0]
    assert header is not None and (header.orientation == 1) == (not applied)


def test_a_batch_is_the_same_in_each_epoch() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    payloads = [jpeg(0), jpeg(1, exif=exif.tobytes()), b"no image", None, jpeg(4)[:-2]]
    reader = BatchReader(MemorySource(payloads), CropPlanner(CropOptions(8, 9), 0, 1), ())
    first, second = (
        reader.plan(at, reader.read_whole(at), strict=True) for at in [indices(5, 5)] * 2
    )
    assert first.headers == second.headers and first.labels.tolist() == second.labels.tolist()
    assert {row: str(error) for row, error in first.errors.items()} == {
        row: str(error) for row, error in second.errors.items()
    }
    np.testing.assert_array_equal(first.plan.window, second.plan.window)  # type: ignore[union-attr]
    for batch in (first, second):
        assert batch.structures is not None
        assert batch.structures.tolist() == [
            Structure.COMPLETE, Structure.COMPLETE, Structure.UNKNOWN, Structure.UNKNOWN,
            Structure.UNTERMINATED,
        ]  # fmt: skip
    assert reader.read(indices(5, 5)).structures is None


def test_files_that_change_are_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    source = FileSource([ListItem(0, (1.0,), path.name)], str(tmp_path))
    reader = BatchReader(source, Noted(), ())
    for size in ((40, 30), (20, 50)):
        path.write_bytes(jpeg(0, *size))
        header = reader.read(indices(1, 1)).headers[0]
        assert header is not None and (header.width, header.height) == size


def test_labels_of_several_numbers() -> None:
    labels = [np.float32([1, 2]), np.float32([3, 4])]
    reader = BatchReader(MemorySource([jpeg(0), jpeg(1)], labels), Noted(), (2,))
    assert reader.read(indices(2, 2)).labels.tolist() == [[101, 102], [103, 104]]


def test_a_reader_says_what_it_reads_with() -> None:
    source, planner = MemorySource([jpeg(0)]), Noted()
    reader = BatchReader(source, planner, ())
    assert reader.source is source and reader.planner is planner and reader.apply_orientation
