"""gpuio stats: means and standard deviations that normalize an iterator's batches."""

import json
from pathlib import Path

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, RecordFileNotFoundError
from gpuio.tools.cli import main
from tests.io.records import jpeg, write_records


@pytest.fixture
def rec(tmp_path: Path) -> str:
    """Images of different sizes, two of them broken."""
    images = [jpeg(number, 60 + number, 50) for number in range(9)]
    images.insert(3, b"no image")
    images.append(b"")
    return str(write_records(tmp_path / "x", images)["path_imgrec"])


def test_they_normalize(rec: str) -> None:
    """With them, the batches have mean 0 and deviation 1."""
    shape = {"data_shape": (3, 32, 40), "resize": 48}
    found = mx.tools.stats(rec, **shape)
    assert (found.images, found.looked_at, found.unreadable) == (11, 9, 2)
    assert found.error == (0, 0, 0)
    arguments = {
        name: float(value)
        for name, value in (argument.split("=") for argument in found.arguments.split(", "))
    }
    assert list(arguments) == ["mean_r", "mean_g", "mean_b", "std_r", "std_g", "std_b"]
    with mx.io.ImageRecordIter(
        path_imgrec=rec, batch_size=11, on_error="skip", last_batch_handle="pad", **shape,
        **arguments,
    ) as iterator:  # fmt: skip
        batch = iterator.next()
    assert batch.pad == 2
    values = batch.data[0].asnumpy()[:9].astype(np.float64)
    np.testing.assert_allclose(values.mean((0, 2, 3)), 0, atol=2e-3)
    np.testing.assert_allclose(values.std((0, 2, 3)), 1, atol=2e-3)
    first = float(found.shares.split("[")[1].split(",")[0])
    assert first == pytest.approx(found.mean[0] / 255, abs=1e-4)


def test_standard_errors_of_samples(tmp_path: Path) -> None:
    """Of 100 samples, about 95 have the file's mean within 1.96 standard errors."""
    rng = np.random.default_rng(0)
    values = rng.integers(20, 230, 60)
    images = [jpeg_of(value) for value in values]
    rec = str(write_records(tmp_path / "x", images)["path_imgrec"])
    shape = {"data_shape": (3, 8, 8), "resize": 8}
    whole = mx.tools.stats(rec, sample=0, **shape)
    assert whole.mean[0] == pytest.approx(values.mean(), abs=1)
    within = 0
    for seed in range(100):
        some = mx.tools.stats(rec, sample=20, seed=seed, **shape)
        assert some.looked_at == 20 and some.error[0] > 0
        within += abs(some.mean[0] - whole.mean[0]) < 1.96 * some.error[0]
    assert 88 <= within <= 100
    again = mx.tools.stats(rec, sample=20, seed=99, threads=1, **shape)
    assert again == some


def jpeg_of(value: int) -> bytes:
    import cv2

    return cv2.imencode(".jpg", np.full((8, 8, 3), value, np.uint8))[1].tobytes()


def test_one_channel_and_four(tmp_path: Path) -> None:
    import cv2

    pixels = np.random.default_rng(0).integers(0, 256, (3, 20, 20, 4), np.uint8)
    pngs = [cv2.imencode(".png", each)[1].tobytes() for each in pixels]
    rec = str(write_records(tmp_path / "x", pngs)["path_imgrec"])
    found = mx.tools.stats(rec, data_shape=(4, 20, 20), resize=-1)
    upright = pixels[..., [2, 1, 0, 3]].astype(float)
    np.testing.assert_allclose(found.mean, upright.mean((0, 1, 2)))
    np.testing.assert_allclose(found.std, upright.std((0, 1, 2)))
    assert "mean_a=" in found.arguments
    gray = mx.tools.stats(rec, data_shape=(1, 20, 20), resize=-1)
    assert gray.arguments.startswith("mean_r=") and gray.arguments.count("=") == 2


def test_the_command(rec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["stats", rec, "--data-shape", "3,32,32", "--resize", "40"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert (
        out.startswith("mean_r=") and "from 9 of 11 images: shorter side 40, center 32 x 32" in out
    )
    assert "2 could not be read; list them with: gpuio verify" in out
    assert main([*arguments, "--sample", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["looked_at"] == 4 and len(found["mean"]) == 3
    assert main([*arguments, "--sample", "4"]) == 0
    assert "the means are accurate to" in capsys.readouterr().out
    assert main(["stats", rec, "--sample", "-1"]) == 2
    assert main(["stats", str(tmp_path / "none.rec")]) == 2
    with pytest.raises(ArgumentError, match="sample must be at least 0"):
        mx.tools.stats(rec, sample=-1)
    with pytest.raises(RecordFileNotFoundError):
        mx.tools.stats(tmp_path / "none.rec")
    empty = tmp_path / "empty.rec"
    empty.touch()
    with pytest.raises(mx.Error):
        mx.tools.stats(empty)


def test_each_device(rec: str, ctx: mx.Context) -> None:
    shape = {"data_shape": (3, 32, 40), "resize": 48}
    found = mx.tools.stats(rec, ctx=ctx, **shape)
    np.testing.assert_allclose(found.mean, mx.tools.stats(rec, **shape).mean, atol=1)
