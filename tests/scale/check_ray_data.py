"""Record files as data sets of Ray Data, on a cluster of two nodes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio.ray
from gpuio.errors import ArgumentError
from gpuio.image import imdecode
from gpuio.recordio import MXIndexedRecordIO
from gpuio.tools import merge, shuffle
from tests.io.records import jpeg, write_records

pytestmark = [
    pytest.mark.usefixtures("ray_cluster"),
    # Ray's own.
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
    ),
]


@pytest.fixture
def rec(tmp_path: Path) -> Path:
    images = [jpeg(number, 40 + number, 50) for number in range(60)]
    return write_records(tmp_path / "a", images, [n % 3 for n in range(60)])["path_imgrec"]


def records(rec: Path | str) -> dict[int, bytes]:
    with MXIndexedRecordIO(Path(rec).with_suffix(".idx"), rec, "r") as reader:
        return {key: reader.read_idx(key) for key in reader.keys}


def test_reading(rec: Path) -> None:
    found = gpuio.ray.read_records(rec, override_num_blocks=5)
    assert found.count() == 60
    rows = {row["key"]: row for row in found.take_all()}
    assert sorted(rows) == list(range(0, 600, 10))
    assert rows[30]["payload"] == jpeg(3, 43, 50) and rows[50]["label"] == 2.0
    images = gpuio.ray.read_records(rec, columns=("key", "payload"), decode=True)
    shapes = images.map(lambda row: {"key": row["key"], "shape": row["image"].shape})
    assert {row["key"]: tuple(row["shape"]) for row in shapes.take_all()}[70] == (50, 47, 3)
    (row,) = images.filter(lambda row: row["key"] == 70).take_all()
    assert np.array_equal(row["image"], imdecode(jpeg(7, 47, 50)).asnumpy())


def test_what_is_read_can_be_written(rec: Path, tmp_path: Path) -> None:
    found = gpuio.ray.read_records(rec, override_num_blocks=4)
    written = gpuio.ray.write_records(found.filter(lambda row: row["label"] != 1), tmp_path / "out")
    assert len(written) >= 1
    names = [Path(each).name for each in written]
    assert names == [f"part-{number:05}.rec" for number in range(len(written))]
    assert len(list((tmp_path / "out").iterdir())) == 2 * len(written)
    merge(written, tmp_path / "merged.rec")
    expected = {key: each for key, each in records(rec).items() if key // 10 % 3 != 1}
    assert records(tmp_path / "merged.rec") == expected
    shuffle(tmp_path / "merged.rec", tmp_path / "again.rec", on="ray")
    assert records(tmp_path / "again.rec") == expected


def fails(row: dict[str, Any]) -> dict[str, Any]:
    if row["key"] == 400:
        raise ValueError("a bad row")
    return row


def test_a_failure_leaves_nothing(rec: Path, tmp_path: Path) -> None:
    found = gpuio.ray.read_records(rec, override_num_blocks=4).map(fails)
    with pytest.raises(Exception, match="a bad row"):
        gpuio.ray.write_records(found, tmp_path / "out")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_column_is_missing(rec: Path, tmp_path: Path) -> None:
    found = gpuio.ray.read_records(rec, columns=("key", "payload"))
    with pytest.raises(ArgumentError, match="and not label"):
        gpuio.ray.write_records(found, tmp_path / "out")
