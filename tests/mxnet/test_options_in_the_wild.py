"""ImageRecordIter's options, each as public calls set it."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.mxnet.files import record_iter

OPTIONS: list[dict[str, Any]] = [
    {"rand_mirror": True},
    {"rand_crop": True},
    {"num_parts": 2, "part_index": 1},
    {"shuffle": True},
    {"resize": 70},
    {"mean_r": 123.68, "mean_g": 116.779, "mean_b": 103.939},
    {"std_r": 58.4, "std_g": 57.1, "std_b": 57.4},
    {"scale": 1 / 255},
    {"fill_value": 127, "pad": 4, "rand_crop": True},
    {"max_rotate_angle": 10},
    {"random_h": 36, "random_s": 50, "random_l": 50},
    {"min_random_scale": 0.533, "max_random_scale": 1.0, "rand_crop": True},
    {"max_shear_ratio": 0.1},
    {"max_random_scale": 1.5},
    {"mean_img": "mean.bin"},
    {"max_aspect_ratio": 0.25},
    {"min_img_size": 128},
    {"max_img_size": 70},
    {"random_resized_crop": True, "min_random_area": 0.08, "max_aspect_ratio": 4 / 3,
     "min_aspect_ratio": 3 / 4},
    {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "pca_noise": 0.1},
    {"inter_method": 2, "resize": 70},
    {"max_crop_size": 80, "min_crop_size": 70},
    {"max_random_contrast": 0.3},
    {"max_random_illumination": 20},
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids="-".join)
def test_options_of_image_record_iter(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each changes the pixels, and the same seed gives the same ones."""
    monkeypatch.chdir(tmp_path)

    def epoch(**options: Any) -> np.ndarray:
        iterator = record_iter(tmp_path, preprocess_threads=2, **options)
        batches = list(iterator)
        assert all(batch.data[0].shape == (4, 3, 64, 64) for batch in batches)
        assert all(batch.label[0].shape == (4,) for batch in batches)
        return np.concatenate([batch.data[0].asnumpy() for batch in batches])

    found, again, plain = epoch(**options), epoch(**options), epoch()
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, again)
    assert found.shape != plain.shape or np.abs(found - plain).mean() > 0.1


def test_path_imglist_and_label_width(tmp_path: Path) -> None:
    (tmp_path / "train.lst").write_text("".join(f"{key}\t{key}\t7\tx\n" for key in range(10)))
    iterator = record_iter(tmp_path, path_imglist=str(tmp_path / "train.lst"), label_width=2)
    assert iterator.next().label[0].asnumpy().tolist() == [[key, 7] for key in range(4)]


@pytest.mark.parametrize(
    "options",
    [
        {"fill_value": 127},
        {"shuffle_chunk_size": 1024, "shuffle": True},
        {"shuffle_chunk_seed": 3, "shuffle": True},
        {"device_id": 1},
        {"verbose": False},
    ],
    ids=lambda options: next(iter(options)),
)
def test_options_without_effect(
    options: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "gpuio"):
        found = record_iter(tmp_path, **options)
    lines = [each.getMessage() for each in caplog.records if next(iter(options)) in each.message]
    assert len(lines) == (0 if "verbose" in options else 1)
    plain = record_iter(tmp_path, shuffle=options.get("shuffle", False))
    for batch, other in zip(found, plain, strict=True):
        np.testing.assert_array_equal(batch.data[0].asnumpy(), other.data[0].asnumpy())
