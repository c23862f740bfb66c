"""Images of records and of batches, with their labels and problems."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import gpuio as mx
from gpuio.image.drawing import COLORS
from gpuio.recordio import RecordSet
from gpuio.tools.commands.show.images import of_batches, of_records
from tests.io.records import jpeg, write_records


def test_pixels_are_those_of_the_records(rec: str) -> None:
    with RecordSet(rec, rec.replace(".rec", ".idx")) as records:
        found = list(of_records(records, 12, 1000))
        small = list(of_records(records, 12, 45))
        assert [image.key for image in found if image.pixels is None] == [40, 70]
        stored = cv2.imdecode(records.record(2)[1], cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(found[2].pixels, stored[:, :, ::-1])
    assert found[2].details == "80 x 90 jpeg, " + found[2].details.split(", ")[1]
    assert small[2].pixels.shape == (45, 40, 3)
    assert [image.label for image in found[:4]] == ["0", "1", "2", "0"]


def test_every_format_is_shown(tmp_path: Path) -> None:
    pixels = np.zeros((6, 8, 4), np.uint8)
    pixels[:, :4] = 0, 0, 255, 255  # red, and to the right transparent
    encoded = [cv2.imencode(".png", each)[1].tobytes() for each in (pixels, pixels[:, :, :3])]
    encoded.append(cv2.imencode(".png", pixels[:, :, 2])[1].tobytes())
    encoded.append(jpeg(0, 8, 6, mode="CMYK"))
    encoded.append(cv2.imencode(".webp", pixels[:, :, :3])[1].tobytes())
    labels = [[1.0, 2.5], list(range(9)), 3, float("nan"), 0]
    rec = write_records(tmp_path / "x", encoded, labels)["path_imgrec"]
    with RecordSet(rec) as records:
        found = list(of_records(records, 9, 100))
    assert [image.pixels.shape for image in found] == [(6, 8, 3)] * 5
    np.testing.assert_array_equal(found[0].pixels[0, [0, 7]], [[255, 0, 0], [255, 255, 255]])
    np.testing.assert_array_equal(found[2].pixels[0, [0, 7]], [[255] * 3, [0] * 3])
    assert [image.label for image in found] == [
        "1, 2.5", "0, 1, 2, 3, 4, 5, …", "3", "nan", "0",
    ]  # fmt: skip


def test_boxes_are_drawn(tmp_path: Path) -> None:
    """Where the labels say, around the object that is there."""
    image = np.full((100, 200, 3), 255, np.uint8)
    image[20:60, 50:150] = 0
    encoded = cv2.imencode(".png", image)[1].tobytes()
    label = [2.0, 5.0, 1.0, 0.25, 0.2, 0.75, 0.6]
    rec = write_records(tmp_path / "x", [encoded], [label])["path_imgrec"]
    with RecordSet(rec) as records:
        (shown,) = of_records(records, 1, 1000)
    assert shown.label == "1 box"
    drawn = (shown.pixels == COLORS[1]).all(2)
    rows, columns = np.nonzero(drawn)
    np.testing.assert_allclose(
        [rows.min(), rows.max(), columns.min(), columns.max()], [20, 59, 50, 149], atol=1
    )
    assert not drawn[24:55, 55:145].any()


@pytest.mark.parametrize(
    "options",
    [
        {"resize": 80, "mean_r": 123.68, "mean_g": 116.28, "std_b": 57.375, "scale": 0.5},
        {"dtype": "float16", "layout": "NHWC", "mean_b": 100, "std_r": 60},
        {"dtype": "uint8", "mean_r": 50, "std_r": 60},
        {"dtype": "int8", "mean_r": 127.6, "mean_g": 128, "mean_b": 128},
        {"data_shape": (1, 40, 48), "mean_r": 80, "std_r": 3},
        {"mean_img": "nowhere/mean.nd", "std_r": 3, "rand_mirror": False},
    ],
)
def test_batches_are_denormalized(options: dict[str, Any], rec: str) -> None:
    """What is shown of a batch are the pixels that a uint8 iterator gives."""
    index = rec.replace(".rec", ".idx")
    options = {"data_shape": (3, 40, 48), **options}
    found = list(of_batches(rec, index, 7, 1000, options, None))
    plain = {name: options[name] for name in ("data_shape", "resize") if name in options}
    with mx.io.ImageRecordIter(
        path_imgrec=rec, path_imgidx=index, batch_size=7, on_error="skip", dtype="uint8",
        layout="NHWC", **plain,
    ) as iterator:  # fmt: skip
        batch = iterator.next()
    assert [image.key for image in found] == [0, 10, 20, 30, 50, 60, 80]
    rows = 7 - batch.pad
    limited = 127 if options.get("dtype") == "int8" else 255
    for image, pixels in zip(found, batch.data[0].asnumpy()[:rows], strict=False):
        expected = np.broadcast_to(pixels, image.pixels.shape).astype(int)
        close = np.abs(image.pixels.astype(int) - expected) <= 1
        saturated = (image.pixels == 255) | (image.pixels == 0)
        assert (close | saturated if limited == 127 else close).all()
        assert close.mean() > 0.95


@pytest.mark.parametrize("mode", ["force", "fit", "shrink"])
def test_boxes_of_batches_are_drawn(mode: str, tmp_path: Path) -> None:
    """Around the object, wherever the iterator has moved it to."""
    image = np.full((100, 200, 3), 255, np.uint8)
    image[20:60, 50:150] = 0
    encoded = cv2.imencode(".png", image)[1].tobytes()
    label = [3.0, 5.0, 7.0, 1.0, 0.25, 0.2, 0.75, 0.6]
    rec = str(write_records(tmp_path / "x", [encoded], [label])["path_imgrec"])
    options = {"data_shape": (3, 300, 400), "resize_mode": mode}
    (shown,) = of_batches(rec, rec.replace(".rec", ".idx"), 1, 1000, options, None)
    assert shown.label == "1 box" and shown.pixels.shape == (300, 400, 3)
    scale = {"force": (3, 2), "fit": (2, 2), "shrink": (1, 1)}[mode]
    rows, columns = np.nonzero((shown.pixels == COLORS[1]).all(2))
    np.testing.assert_allclose(
        [rows.min(), rows.max() + 1, columns.min(), columns.max() + 1],
        [20 * scale[0], 60 * scale[0], 50 * scale[1], 150 * scale[1]],
        atol=2,
    )
