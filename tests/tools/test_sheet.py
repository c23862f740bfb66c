"""Contact sheets, and pixel values recovered from normalized batches."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.tools import contact_sheet, denormalize
from gpuio.tools.sheet import BACKGROUND

MEAN, STD = (123.68, 116.28, 103.53), (58.395, 57.12, 57.375)


def solid(count: int, height: int = 60, width: int = 80, channels: int = 3) -> np.ndarray[Any, Any]:
    """Images of one pixel value each: 0, 1, 2, …"""
    values = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)
    return np.broadcast_to(values, (count, height, width, channels))


@pytest.mark.parametrize("channels", [1, 3])
def test_images_form_a_grid_with_even_margins(channels: int, tmp_path: Path) -> None:
    labels = ["short", "a label much too long for its image", "", "ä 北", "last"]
    sheet = contact_sheet(
        solid(5, channels=channels), labels, tmp_path / "x.png", columns=3, title="A title"
    )
    pixels = np.asarray(sheet)
    with Image.open(tmp_path / "x.png") as saved:
        np.testing.assert_array_equal(np.asarray(saved), pixels)
    corners = []
    for value in range(5):
        # Captions are drawn in other pixel values than those of the images.
        rows, columns = np.nonzero((pixels == value).all(2))
        top, left = int(rows.min()), int(columns.min())
        assert (pixels[top : top + 60, left : left + 80] == value).all()
        assert len(rows) == 60 * 80
        corners.append((top, left))
    tops, lefts = zip(*corners, strict=True)
    assert tops[0] == tops[1] == tops[2] < tops[3] == tops[4]
    assert lefts[0] == lefts[3] < lefts[1] == lefts[4] < lefts[2]
    assert lefts[0] == sheet.width - (lefts[2] + 80)
    ink = (pixels != BACKGROUND).any(2)
    margin = lefts[0]
    # Antialiased letters may extend beyond their box by a pixel.
    assert not ink[:, : margin - 1].any() and not ink[:, -margin:].any()
    assert not ink[: margin - 1].any()
    # No label extends into the gap next to its image.
    assert not ink[tops[0] :, margin + 80 : lefts[1] - 1].any()
    assert ink[tops[0] + 60 : tops[3], margin : margin + 80].any()


def test_letters_missing_from_the_font_are_replaced() -> None:
    def drawn(label: str) -> list[int]:
        return np.asarray(contact_sheet(solid(1), [label])).ravel().tolist()

    assert drawn("Bär 北") == drawn("Bar ?")
    assert drawn("Bär") != drawn("Bor")


@pytest.mark.parametrize("count", [1, 2, 7, 32])
def test_columns_make_a_sheet_wider_than_high(count: int) -> None:
    sheet = contact_sheet(solid(count, 50, 50), ["x"] * count)
    assert 0.7 < sheet.width / sheet.height < 3


@pytest.mark.parametrize(
    ("images", "labels", "options", "message"),
    [
        (np.zeros((1, 9, 9, 3), np.float32), ["x"], {}, "uint8 .*not float32 .*denormalize"),
        (np.zeros((1, 3, 9, 9), np.uint8), ["x"], {}, r"not uint8 \(1, 3, 9, 9\)"),
        (np.zeros((9, 9, 3), np.uint8), ["x"], {}, "uint8"),
        (solid(2), ["x"], {}, "2 images and 1 labels"),
        (solid(0), [], {}, "at least one"),
        (solid(2), ["x", "y"], {"columns": 0}, "columns must be at least 1"),
    ],
)
def test_wrong_arguments_are_refused(
    images: Any, labels: list[str], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        contact_sheet(images, labels, **options)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_denormalize_gives_the_pixels_back(ctx: mx.Context, layout: str, dtype: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), np.uint8)
    batch = ((pixels - np.float32(MEAN)) * (0.5 / np.float32(STD))).astype(dtype)
    if layout == "NCHW":
        batch = batch.transpose(0, 3, 1, 2)
    back = denormalize(mx.nd.array(batch, ctx=ctx, dtype=dtype), MEAN, STD, 0.5, layout)
    assert back.dtype == np.uint8 and back.shape == pixels.shape
    # float16 has 11 bits: 2.3 / 2**11 is a 16th of the step between pixel values, 0.5 / 58.
    np.testing.assert_array_equal(back, pixels)


def test_denormalize_without_arguments_keeps_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 1, 5, 6), np.uint8)
    np.testing.assert_array_equal(denormalize(pixels), pixels.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(
        denormalize(np.float32([[[[-9.0, 300.0, 1.6]]]])), [[[[0], [255], [2]]]]
    )


def test_wrong_batches_are_refused() -> None:
    with pytest.raises(ArgumentError, match="four axes"):
        denormalize(np.zeros((3, 4, 5)))
    with pytest.raises(ArgumentError, match="layout must be"):
        denormalize(np.zeros((1, 3, 4, 5)), layout="CHW")
    with pytest.raises(ArgumentError, match="each of 4 channels"):
        denormalize(np.zeros((1, 4, 4, 5)))
