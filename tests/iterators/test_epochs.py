"""The rows of an epoch, and going to the beginning of any epoch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.iterators.epochs import go_to_epoch, rows_in_epoch
from gpuio.sampling.order import LAST_BATCH_MODES
from tests.io.records import jpeg, write_records

NUMBERS = np.arange(10, dtype=np.float32)


def epochs(train: Any, count: int) -> list[list[list[float]]]:
    """The labels of some epochs, batch by batch; those that only fill a batch, too."""
    found = []
    for _ in range(count):
        found.append([batch.label[0].tolist() for batch in train])
        train.reset()
    return found


@pytest.mark.parametrize("mode", LAST_BATCH_MODES)
def test_any_epoch_of_images(mode: str, tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", [jpeg(number) for number in range(10)])
    last: dict[str, Any] = {} if mode == "wrap" else {"last_batch_handle": mode}

    def images() -> mx.io.ImageRecordIter:
        return mx.io.ImageRecordIter(
            **files, data_shape=(3, 8, 8), batch_size=3, shuffle=True, seed=5, **last
        )

    with images() as train, images() as other:
        expected = epochs(train, 6)
        assert rows_in_epoch(other) == 10
        for epoch in (4, 0, 3, 5, 1, 2):
            assert go_to_epoch(other, epoch)
            assert other.epoch == epoch and not other.ended
            assert epochs(other, 1) == [expected[epoch]]


def test_any_epoch_of_rows() -> None:
    def rows() -> mx.io.NDArrayIter:
        return mx.io.NDArrayIter(NUMBERS, NUMBERS, 4, shuffle=True, seed=2)

    expected = epochs(rows(), 4)
    train = rows()
    next(train)
    go_to_epoch(train, 2)
    assert epochs(train, 2) == expected[2:]
    with pytest.raises(mx.MXNetError, match=f"there is no epoch {2**70}"):
        go_to_epoch(train, 2**70)
    with pytest.raises(mx.MXNetError, match="there is no epoch -1"):
        go_to_epoch(train, -1)
    assert train.epoch == 4


def test_iterators_that_do_not_know(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "x.csv", NUMBERS[:, None])
    text = mx.io.CSVIter(data_csv=tmp_path / "x.csv", data_shape=(1,), batch_size=4)
    for train in (text, mx.io.ResizeIter(text, 3)):
        with pytest.raises(TypeError, match="does not know the number of its rows"):
            rows_in_epoch(train)
        next(train)
        assert not go_to_epoch(train, 3) and train.epoch == 0
        assert len(list(train)) == 2
        train.reset()


def test_a_closed_iterator() -> None:
    train = mx.io.NDArrayIter(NUMBERS, batch_size=4)
    train.close()
    with pytest.raises(mx.MXNetError, match="closed"):
        go_to_epoch(train, 1)


def test_an_iterator_of_the_users_own() -> None:
    own = mx.io.DataIter(4)
    with pytest.raises(TypeError, match="DataIter does not know"):
        rows_in_epoch(own)
    own.num_data = 17  # type: ignore[attr-defined]
    assert rows_in_epoch(own) == 17
