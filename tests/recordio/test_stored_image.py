"""Images whose beginning is in memory: the rest is of the same record, or there is an error."""

import os
from pathlib import Path

import numpy as np
import pytest

from gpuio.errors import FileChangedError
from gpuio.recordio import IRHeader, MXIndexedRecordIO, RecordSet, pack
from gpuio.recordio.stored_image import StoredImage

IMAGES = [np.random.default_rng(seed).bytes(50_000) for seed in range(2)]


def stored(path: Path) -> tuple[RecordSet, StoredImage]:
    files = path.with_suffix(".rec"), path.with_suffix(".idx")
    with MXIndexedRecordIO(files[1], files[0], "w") as writer:
        for key, image in enumerate(IMAGES):
            writer.write_idx(key, pack(IRHeader(0, [1.0, 2.0], key, 0), image))
    records = RecordSet(*files)
    (image,) = records.read_many(np.array([1])).images
    assert isinstance(image, StoredImage)
    return records, image


def test_it_is_the_record_s_image(tmp_path: Path) -> None:
    records, image = stored(tmp_path / "x")
    assert image.nbytes == len(IMAGES[1])
    beginning = image.beginning.tobytes()
    assert 4096 <= len(beginning) < 5000 and IMAGES[1].startswith(beginning)
    records.close()
    (tmp_path / "x.rec").unlink()
    assert image.read().tobytes() == IMAGES[1]


def test_a_record_that_is_overwritten(tmp_path: Path) -> None:
    """Whether its header, with the label, or its image."""
    for at in (40, 2000):
        _, image = stored(tmp_path / "x")
        with (tmp_path / "x.rec").open("r+b") as file:
            file.seek(image.start + at)
            file.write(b"other")
        with pytest.raises(FileChangedError, match=r"x\.rec at byte \d+: .* overwritten while"):
            image.read()


def test_a_record_that_is_cut_off(tmp_path: Path) -> None:
    _, image = stored(tmp_path / "x")
    os.truncate(tmp_path / "x.rec", image.start + 20_000)
    with pytest.raises(FileChangedError, match=r"x\.rec has become shorter"):
        image.read()
    assert len(image.beginning) > 4000
