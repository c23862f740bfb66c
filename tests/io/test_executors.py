"""The host executor and the DALI graph agree, sample by sample."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.close import Tolerance, assert_images_close
from tests.io.records import (
    EXECUTORS,
    TRAIN,
    jpeg,
    open_iter,
    write_records,
)

CMYK = jpeg(6, mode="CMYK")
EXIF = Image.Exif()
EXIF[0x0112] = 6
KINDS = {
    "colour": jpeg(1, 160, 120),
    "large": jpeg(2, 640, 480),
    "444": jpeg(3, subsampling=0),
    "gray": jpeg(4, mode="L"),
    "progressive": jpeg(5, 120, 90, progressive=True),
    "odd": jpeg(7, 61, 47),
    "exif": jpeg(8, 70, 50, exif=EXIF.tobytes()),
    "small": jpeg(9, 20, 16),
    "one pixel": jpeg(10, 1, 1),
    "thin": jpeg(11, 7, 90),
    "truncated": jpeg(12, 200, 160)[:-900],
    "tail": jpeg(13) + b"\0 something after the end",
    "cmyk": CMYK,
}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_records(tmp_path_factory.mktemp("kinds") / "kinds", list(KINDS.values()))


CONFIGURATIONS = {
    "crop": {},
    "resize": {"resize": 40},
    "enlarge": {"data_shape": (3, 90, 100)},
    "gray": {"data_shape": (1, 24, 28), "resize": 30},
    "random crop": {"rand_crop": True, "resize": 40, "rand_mirror": True},
    "resized crop": TRAIN,
    "resize and resized crop": {**TRAIN, "resize": 33},
    "normalised": {**TRAIN, "mean_r": 100.0, "std_g": 50.0, "scale": 0.5},
    "nhwc half": {**TRAIN, "layout": "NHWC", "dtype": "float16"},
    "antialias": {"resize": 30, "antialias": True},
    "antialias resized crop": {**TRAIN, "antialias": True},
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_executors_agree(name: str, kinds: dict[str, Path]) -> None:
    changes = {**kinds, "batch_size": len(KINDS), **CONFIGURATIONS[name]}
    batches = {}
    for executor in EXECUTORS:
        with open_iter(**changes, executor=executor) as iterator:
            batches[executor] = iterator.next()
    host, dali = batches["host"], batches["dali"]
    np.testing.assert_array_equal(host.index, dali.index)
    np.testing.assert_array_equal(host.label[0].asnumpy(), dali.label[0].asnumpy())
    for row, key in enumerate(host.index.tolist()):
        kind = list(KINDS)[key // 10]
        # OpenCV's bilinear weights have 11 bits, DALI's are floats: one level. Pillow rounds
        # between its two passes: up to three. CMYK is converted to RGB with another rounding: one
        # more.
        tolerance = Tolerance(3, 0.3) if "antialias" in name else Tolerance(1, 0.2)
        if kind == "cmyk":
            tolerance = Tolerance(tolerance.largest + 1, 1.6)
        assert_images_close(
            dali.data[0].asnumpy()[row].astype(np.float32),
            host.data[0].asnumpy()[row].astype(np.float32),
            tolerance,
        )
