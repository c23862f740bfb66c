"""Reading records together, from files of both kinds."""

from pathlib import Path

import numpy as np
import pytest

from gpuio.recordio import Index, IRHeader, MXIndexedRecordIO, pack, record_reading
from gpuio.recordio.record_reading import BEGINNING, MAX_AHEAD, ends_ahead, read_records
from gpuio.recordio.stored_image import StoredImage
from gpuio.storage.data_file import DataFile
from gpuio.storage.local import LocalFile
from tests.storage.remote.stores import BytesStore, open_file, random_bytes, small_cache

IMAGES = [random_bytes(50_000, seed) for seed in range(4)]


@pytest.fixture(params=["local", "remote"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> DataFile:
    with MXIndexedRecordIO(tmp_path / "x.idx", tmp_path / "x.rec", "w") as writer:
        for key, image in enumerate(IMAGES):
            writer.write_idx(key, pack(IRHeader(0, float(key), key, 0), image))
    if request.param == "local":
        return LocalFile(str(tmp_path / "x.rec"))
    content = (tmp_path / "x.rec").read_bytes()
    return open_file(BytesStore({"x.rec": content}), small_cache(tmp_path))


@pytest.mark.parametrize("large", [10_000, 1 << 20])
def test_records_of_both_kinds(
    file: DataFile, tmp_path: Path, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where they are larger than what is read at first."""
    monkeypatch.setattr(record_reading, "MAX_BULK", large)
    starts = Index.load(tmp_path / "x.idx").offsets
    ends = np.append(starts[1:], len(file))
    until = ends_ahead(file, starts, ends)
    if file.descriptor is not None:
        assert (until == np.minimum(ends, starts + MAX_AHEAD)).all()
    elif large == 10_000:
        assert (until == starts + BEGINNING).all()
    else:
        assert (until == ends).all()
    order = np.array([2, 0, 3, 1])
    batch = read_records(file, starts[order], ends[order], None)
    assert list(batch.labels) == order.tolist() and batch.ids.tolist() == order.tolist()
    for image, number in zip(batch.images, order, strict=True):
        assert isinstance(image, StoredImage) == (file.descriptor is not None)
        data = image.read() if isinstance(image, StoredImage) else image
        assert data is not None and data.tobytes() == IMAGES[number]
