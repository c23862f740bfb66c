"""Decoded images of record files and of lists of files."""

from pathlib import Path

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import DecodeError, RecordError
from gpuio.image.source import read_image
from gpuio.loading.source import FileSource, RecordSource
from gpuio.recordio import RecordSet
from gpuio.recordio.lists import items_of
from tests.io.records import jpeg, write_records


def test_both_sources(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    files = write_records(tmp_path / "x", [jpeg(1)], [[3, 4]])
    expected = mx.image.imdecode(jpeg(1))
    sources = [
        FileSource(items_of([[[3, 4], "a.jpg"]]), str(tmp_path)),
        RecordSource(RecordSet(files["path_imgrec"], files["path_imgidx"])),
    ]
    for source in sources:
        image, label = read_image(source, 0, 1)
        np.testing.assert_array_equal(image, expected)
        assert list(label) == [3, 4]  # type: ignore[arg-type]
        assert read_image(source, 0, 0)[0].shape == (50, 60, 1)


@pytest.mark.gpu
def test_images_are_on_the_host_whatever_the_current_context(tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", [jpeg(1)])
    with mx.gpu():
        image, _ = read_image(RecordSource(RecordSet(files["path_imgrec"])), 0, 1)
    assert image.context == mx.cpu()


def test_errors_have_the_location(tmp_path: Path) -> None:
    files = write_records(tmp_path / "x", [b"text"])
    source = RecordSource(RecordSet(files["path_imgrec"], files["path_imgidx"]))
    with pytest.raises(DecodeError, match=r"x\.rec, key 0, byte 0: Decoding failed"):
        read_image(source, 0, 1)
    with pytest.raises(RecordError, match=r"none\.jpg, key 1: the file cannot be read"):
        read_image(FileSource(items_of([[0, "none.jpg"]]), str(tmp_path)), 0, 1)
