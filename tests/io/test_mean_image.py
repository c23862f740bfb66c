"""Mean images: read, written, computed."""

import os
from pathlib import Path

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import (
    ArgumentError,
    DataFileError,
    DataFileNotFoundError,
    DecodeError,
    Error,
)
from gpuio.io import mean_image
from gpuio.storage.array_files import StoredArray, write
from tests.io.records import EXECUTORS, RUNS, jpeg, open_iter, write_records

SHAPE = (3, 24, 28)


def mean_of(**options: object) -> np.ndarray:
    """The mean of all images of an iterator."""
    with open_iter(**{"batch_size": 4, **options}) as iterator:
        return np.concatenate([batch.data[0].asnumpy() for batch in iterator]).mean(0)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_missing_mean_image_is_computed_once(
    executor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mean.nd"
    options = {**RUNS[executor], "resize": 40, "mirror": True, "scale": 0.5, "std_r": 2.0}
    with open_iter(mean_img=path, **options) as iterator:
        found = np.concatenate([batch.data[0].asnumpy() for batch in iterator])[:12]
    unflipped = mean_of(resize=40, **RUNS[executor])
    written = mean_image.read(path, SHAPE)
    np.testing.assert_allclose(written, unflipped, atol=1e-4)
    with open_iter(batch_size=12, **options) as iterator:
        plain = iterator.next().data[0].asnumpy()
    factor = np.float32([0.25, 0.5, 0.5]).reshape(3, 1, 1)
    np.testing.assert_allclose(found, plain - written[:, :, ::-1] * factor, atol=1e-4)
    stamp = path.stat().st_mtime_ns
    with open_iter(mean_img=str(path), batch_size=12, **options) as iterator:
        np.testing.assert_array_equal(iterator.next().data[0].asnumpy(), found)
    assert path.stat().st_mtime_ns == stamp
    assert os.listdir(tmp_path) == ["mean.nd"]


@pytest.mark.gpu
@pytest.mark.skipif(mx.num_gpus() < 2, reason="needs two GPUs")
def test_the_mean_is_computed_on_the_iterators_gpu(tmp_path: Path) -> None:
    path = tmp_path / "mean.nd"
    open_iter(ctx="gpu:1", mean_img=path, resize=40).close()
    np.testing.assert_allclose(mean_image.read(path, SHAPE), mean_of(ctx="gpu:0", resize=40))


def test_the_mean_is_that_of_all_parts(tmp_path: Path) -> None:
    whole = mean_of()
    for part in range(2):
        path = tmp_path / f"{part}.nd"
        open_iter(mean_img=path, num_parts=2, part_index=part, batch_size=2).close()
        np.testing.assert_allclose(mean_image.read(path, SHAPE), whole, atol=1e-4)


def test_bad_records_are_what_on_error_says(tmp_path: Path) -> None:
    good = [jpeg(number) for number in range(3)]
    files = write_records(tmp_path / "x", [*good[:2], b"no image", good[2]])
    with pytest.raises(DecodeError):
        open_iter(**files, mean_img=tmp_path / "mean.nd", batch_size=2)
    assert not (tmp_path / "mean.nd").exists()
    open_iter(**files, mean_img=tmp_path / "mean.nd", batch_size=2, on_error="skip").close()
    (tmp_path / "good").mkdir()
    expected = mean_of(**write_records(tmp_path / "good" / "x", good), batch_size=3)
    np.testing.assert_allclose(mean_image.read(tmp_path / "mean.nd", SHAPE), expected, atol=1e-4)
    files = write_records(tmp_path / "bad", [b"no image"] * 2)
    with pytest.raises(Error, match="no image that can be used"):
        open_iter(**files, mean_img=tmp_path / "new.nd", batch_size=2, on_error="skip")


@pytest.mark.parametrize("name", ["mean_img", "", "another"])
def test_any_single_array_is_read(name: str, tmp_path: Path) -> None:
    mean = np.random.default_rng(0).uniform(0, 255, SHAPE).astype(np.float32)
    write(tmp_path / "m.nd", [StoredArray(mean)], [name] if name else [])
    np.testing.assert_array_equal(mean_image.read(tmp_path / "m.nd", SHAPE), mean)
    mean_image.write(tmp_path / "m.nd", mean + 1)
    np.testing.assert_array_equal(mean_image.read(tmp_path / "m.nd", SHAPE), mean + 1)


def test_another_file_is_refused(tmp_path: Path) -> None:
    mean = np.zeros(SHAPE, np.float32)
    path = tmp_path / "m.nd"
    write(path, [StoredArray(mean)] * 2)
    with pytest.raises(ArgumentError, match="one dense array"):
        open_iter(mean_img=path)
    write(path, [StoredArray(mean[:, 1:])])
    with pytest.raises(ArgumentError, match=r"shape \(3, 23, 28\), data_shape is \(3, 24, 28\)"):
        open_iter(mean_img=path)
    path.write_bytes(b"no arrays at all")
    with pytest.raises(DataFileError, match="not a file of arrays"):
        open_iter(mean_img=path)
    with pytest.raises(DataFileError):
        mean_image.write(tmp_path / "nowhere" / "m.nd", mean)


def test_integers_subtract_it_rounded_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "m.nd"
    mean_image.write(path, np.full(SHAPE, 99.5, np.float32))
    with open_iter(dtype="uint8") as plain, open_iter(dtype="uint8", mean_img=path) as same:
        pixels = plain.next().data[0].asnumpy()
        np.testing.assert_array_equal(same.next().data[0].asnumpy(), pixels)
    with open_iter(dtype="int8", mean_img=path) as iterator:
        expected = (pixels.astype(int) - 100).clip(-128, 127)
        np.testing.assert_array_equal(iterator.next().data[0].asnumpy(), expected)
    missing = tmp_path / "missing.nd"
    open_iter(dtype="uint8", mean_img=missing).close()
    assert not missing.exists()


def test_mxnet_reads_what_is_written(tmp_path: Path) -> None:
    mean_image.write(tmp_path / "m.nd", np.ones(SHAPE, np.float32))
    assert isinstance(mx.nd, object)
    content = (tmp_path / "m.nd").read_bytes()
    assert content[:2] == b"\x12\x01" and b"mean_img" in content


def test_a_place_that_cannot_be_written_is_noticed_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(loader: object) -> np.ndarray:
        raise AssertionError("computed in vain")

    monkeypatch.setattr(mean_image, "compute", compute)
    missing = tmp_path / "no" / "mean.nd"
    with pytest.raises(DataFileNotFoundError, match=f"^{missing}: its directory does not exist"):
        open_iter(mean_img=missing)
    with pytest.raises(DataFileError, match=f"mean image {tmp_path}/{'m' * 256} cannot be written"):
        open_iter(mean_img=tmp_path / ("m" * 256))
    assert os.listdir(tmp_path) == []
