"""Moments of images, measured here and in tasks."""

from pathlib import Path

import numpy as np
import pytest

from gpuio.errors import Error
from gpuio.tools.commands import moments
from gpuio.tools.commands.moments import BATCH_SIZE, Moments, Reading, measured, measured_in_tasks
from tests.io.records import jpeg, write_records
from tests.tools.in_process import InProcess


def reading(rec: Path, shuffle: bool = False) -> Reading:
    idx = str(rec.with_suffix(".idx"))
    return Reading(str(rec), idx, (3, 16, 16), 18, shuffle, 3, 1 << 20)


def written(path: Path, count: int, bad: set[int]) -> Path:
    images = [b"bad" if number in bad else jpeg(number % 9) for number in range(count)]
    return write_records(path, images)["path_imgrec"]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "LEAST_BATCHES", 1)


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_same_moments(shuffle: bool, tmp_path: Path) -> None:
    """Also where a batch has nothing that can be read, the third here."""
    bad = {3, 100, *range(2 * BATCH_SIZE, 3 * BATCH_SIZE), 260}
    read = reading(written(tmp_path / "a", 4 * BATCH_SIZE + 7, bad), shuffle)
    with read.iterator(None, 1) as iterator:
        expected = list(measured(iterator))
    with read.iterator(None, 1) as iterator:
        found = list(measured_in_tasks(read, None, iterator, BATCH_SIZE, InProcess(3)))
    assert [each.number for each in found] == [each.number for each in expected]
    assert sum(len(each.means) for each in found) == 4 * BATCH_SIZE + 7 - len(bad)
    for ours, theirs in zip(found, expected, strict=True):
        assert np.array_equal(ours.means, theirs.means)
        assert np.array_equal(ours.squares, theirs.squares)


def test_moments_are_those_of_the_pixels(tmp_path: Path) -> None:
    read = reading(written(tmp_path / "a", 1, set()))
    with read.iterator(None, 1) as iterator:
        (pixels,) = (batch.data[0].asnumpy()[0].astype(float) for batch in iterator)
        iterator.reset()
        (found,) = measured(iterator)
    assert isinstance(found, Moments)
    np.testing.assert_allclose(found.means, pixels.mean((0, 1))[None])
    np.testing.assert_allclose(found.squares, (pixels**2).mean((0, 1))[None])


def test_more_is_read_only_if_it_is_asked_for(tmp_path: Path) -> None:
    class Counting(InProcess):
        def map(self, function, pieces, name):  # type: ignore[no-untyped-def]
            asked.extend(pieces)
            return super().map(function, list(asked), name)

    asked: list[tuple[int, int]] = []
    read = reading(written(tmp_path / "a", 5 * BATCH_SIZE, set()))
    with read.iterator(None, 1) as iterator:
        results = measured_in_tasks(read, None, iterator, BATCH_SIZE + 1, Counting())
        assert next(results).number == 0
        assert max(end for _, end in asked) == 2
        results.close()


def test_nothing_can_be_read(tmp_path: Path) -> None:
    read = reading(written(tmp_path / "a", 150, set(range(150))))
    with (
        read.iterator(None, 1) as iterator,
        pytest.raises(Error, match="not one record"),
    ):
        list(measured_in_tasks(read, None, iterator, 150, InProcess()))
