"""What local and remote files have in common."""

from pathlib import Path

import numpy as np
import pytest

from gpuio.storage.data_file import DataFile
from gpuio.storage.local import LocalFile
from gpuio.storage.parts import Bulk
from tests.storage.remote.stores import BytesStore, open_file, random_bytes, small_cache

CONTENT = random_bytes(5001)


@pytest.fixture(params=["local", "remote"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> DataFile:
    if request.param == "remote":
        return open_file(BytesStore({"x.rec": CONTENT}), small_cache(tmp_path))
    path = tmp_path / "x.rec"
    path.write_bytes(CONTENT)
    return LocalFile(str(path))


@pytest.mark.parametrize(
    "part", [slice(None), slice(10, 20), slice(-5, None), slice(4990, 9000), slice(9, 3)]
)
def test_slices_are_the_file_s_bytes(file: DataFile, part: slice) -> None:
    data = file[part]
    assert data.tobytes() == CONTENT[part]
    assert data.dtype == np.uint8 and not data.flags.writeable


@pytest.mark.parametrize("use_bulk", [False, True])
def test_parts_are_read_in_any_order(file: DataFile, use_bulk: bool) -> None:
    bulk = Bulk(lambda size: np.full(size, 7, np.uint8), lambda tasks: [task() for task in tasks])
    begins = np.array([4000, 8, 1000, 8, 4992])
    ends = np.array([5000, 900, 1001, 24, 5001])
    data, places = file.read_parts(begins, ends, bulk if use_bulk else None)
    for begin, end, place in zip(begins, ends, places, strict=True):
        assert data[place : place + end - begin].tobytes() == CONTENT[begin:end]
    assert not (places % 8).any() and not data.flags.writeable


def test_no_parts(file: DataFile) -> None:
    none = np.empty(0, np.int64)
    data, places = file.read_parts(none, none)
    assert len(data) == len(places) == 0
    file.advise(none, none)


def test_what_is_known_of_a_file(file: DataFile) -> None:
    assert file.path.endswith("x.rec")
    assert len(file) == file.nbytes == len(CONTENT)
    assert not file.has_changed()
    file.check_size()
    assert (file.descriptor is None) == (file.version is not None)
