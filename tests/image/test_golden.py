"""Every result of mx.image's functions and augmenters that MXNet 1.9.1 gave."""

import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from tests.close import EXACT, Tolerance, assert_images_close
from tests.image.golden import DATA, encoded, manifest, results

CASE = manifest("image_functions")
RESULTS = results("imgfun.npz")
ENCODED = encoded("img", CASE["names"])

# Bicubic coefficients are rounded otherwise than in MXNet's OpenCV 3.4.2.
CUBIC = Tolerance(2, 0.06)

# Rotation samples in single precision there.
ROTATED = Tolerance(0.01, 0.001)

I = mx.image  # noqa: E741


def picture(name: str) -> Any:
    return I.imdecode(ENCODED[name])


def cut(x0: int = 20, y0: int = 20, w: int = 24, h: int = 20) -> Any:
    return I.fixed_crop(picture("odd444"), x0, y0, w, h)


def chw() -> Any:
    return mx.nd.wrap(np.ascontiguousarray(picture("small420").transpose(2, 0, 1), np.float32))


def drawn(augmenter: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What an augmenter makes where 0.3 is drawn."""
    monkeypatch.setattr(random, "uniform", lambda low, high: 0.3)
    return augmenter(cut().astype("float32"))


Make = Callable[[pytest.MonkeyPatch], Any]
CALLS: dict[str, tuple[Make, Tolerance]] = {
    "imdecode_gray": (lambda _: I.imdecode(ENCODED["odd444"], flag=0), EXACT),
    "imdecode_bgr": (lambda _: I.imdecode(ENCODED["odd444"], to_rgb=0), EXACT),
    "imresize_float": (
        lambda _: I.imresize(picture("odd444").astype("float32"), 50, 41, interp=2),
        Tolerance(1e-3, 1e-4),
    ),
    "fixed_crop": (lambda _: cut(5, 6, 40, 30), EXACT),
    "fixed_crop_resize": (
        lambda _: I.fixed_crop(picture("odd444"), 5, 6, 40, 30, (20, 22), interp=3), EXACT
    ),
    "color_normalize": (
        lambda _: I.color_normalize(
            cut(0, 0, 30, 30).astype("float32"),
            mx.nd.array([123.68, 116.28, 103.53]), mx.nd.array([58.395, 57.12, 57.375]),
        ),
        EXACT,
    ),
    "border_values": (
        lambda _: I.copyMakeBorder(cut(0, 0, 12, 10), 1, 2, 3, 4, values=(9, 8, 7)), EXACT
    ),
    "imrotate_in": (lambda _: I.imrotate(chw(), 15, zoom_in=True), ROTATED),
    "imrotate_out": (lambda _: I.imrotate(chw(), 15, zoom_out=True), ROTATED),
    "imrotate_batch": (
        lambda _: I.imrotate(mx.nd.stack(chw(), chw()), mx.nd.array([10, -20])), ROTATED
    ),
    "aug_brightness_0.3": (lambda m: drawn(I.BrightnessJitterAug(0.5), m), Tolerance(1e-4, 1e-5)),
    "aug_contrast_0.3": (lambda m: drawn(I.ContrastJitterAug(0.5), m), Tolerance(1e-4, 1e-5)),
    "aug_saturation_0.3": (lambda m: drawn(I.SaturationJitterAug(0.5), m), Tolerance(1e-4, 1e-5)),
    "aug_hue_0.3": (lambda m: drawn(I.HueJitterAug(0.5), m), Tolerance(1e-3, 1e-4)),
    "aug_gray": (lambda _: I.RandomGrayAug(1.0)(cut().astype("float32")), Tolerance(1e-4, 1e-5)),
    "aug_flip": (lambda _: I.HorizontalFlipAug(1.0)(cut().astype("float32")), EXACT),
    "aug_force": (
        lambda _: I.ForceResizeAug((30, 26), 2)(cut().astype("float32")), Tolerance(1e-3, 1e-4)
    ),
}  # fmt: skip

for _name in ("land420", "odd444", "grayjpeg", "progressive", "lowq420", "pngrgb"):
    CALLS[f"imdecode_{_name}"] = (lambda _, name=_name: picture(name), EXACT)
for _method in range(5):
    _close = CUBIC if _method == 2 else EXACT
    CALLS[f"imresize_down_{_method}"] = (
        lambda _, method=_method: I.imresize(picture("odd444"), 50, 41, interp=method), _close
    )  # fmt: skip
    CALLS[f"imresize_up_{_method}"] = (
        lambda _, method=_method: I.imresize(picture("small420"), 77, 66, interp=method), _close
    )  # fmt: skip
    CALLS[f"border_{_method}"] = (
        lambda _, kind=_method: I.copyMakeBorder(cut(0, 0, 12, 10), 1, 2, 3, 4, type=kind), EXACT
    )  # fmt: skip
for _name in ("land420", "port420", "square420"):
    CALLS[f"resize_short_{_name}"] = (
        lambda _, name=_name: I.resize_short(picture(name), 50), CUBIC
    )  # fmt: skip
    CALLS[f"resize_short9_{_name}"] = (
        lambda _, name=_name: I.resize_short(picture(name), 50, interp=9), EXACT
    )  # fmt: skip
for _name, _size in (
    ("land420", (50, 41)), ("odd444", (50, 40)), ("small420", (60, 50)), ("thin420", (40, 33)),
):  # fmt: skip
    CALLS[f"center_crop_{_name}"] = (
        lambda _, name=_name, size=_size: I.center_crop(picture(name), size)[0], CUBIC
    )  # fmt: skip
    CALLS[f"center_crop_{_name}_rect"] = (
        lambda _, name=_name, size=_size: np.array(I.center_crop(picture(name), size)[1]), EXACT
    )  # fmt: skip
for _angle in (0, 15, 90, -40):
    CALLS[f"imrotate_{_angle}"] = (lambda _, angle=_angle: I.imrotate(chw(), angle), ROTATED)


def test_no_result_is_left_out() -> None:
    assert CALLS.keys() == RESULTS.keys()


@pytest.mark.parametrize("name", CALLS)
def test_results_are_those_of_mxnet(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, tolerance = CALLS[name]
    found = make(monkeypatch)
    expected = RESULTS[name]
    if name != "aug_flip":  # kept as uint8
        assert found.dtype == expected.dtype or expected.dtype == np.int64
    assert found.shape == expected.shape
    assert_images_close(np.asarray(found, float), expected.astype(float), tolerance)


def test_sizes_are_those_of_mxnet() -> None:
    sizes = json.loads((DATA / "sizes.json").read_text())
    for source, size, expected in sizes["scale_down"]:
        assert list(I.scale_down(source, size)) == expected
    for (width, height), short, expected in sizes["resize_short_wh"]:
        made = I.resize_short(np.zeros((height, width, 3), np.uint8), short, 0)
        assert [made.shape[1], made.shape[0]] == expected


@pytest.mark.parametrize("name", manifest("special_encodings")["names"])
def test_odd_encodings_are_decoded_as_by_mxnet(name: str) -> None:
    """CMYK, EXIF's orientation (ignored here), alpha, 16 bits, BMP, a truncated JPEG, one pixel."""
    data = encoded("special", manifest("special_encodings")["names"])[name]
    expected = results("special.npz")
    # Of a truncated one, MXNet leaves more rows out.
    rows = slice(0, 14 if name == "truncated_jpeg" else None)
    for flag, kind in ((1, "imdecode"), (0, "imdecode_gray")):
        theirs = expected[f"{kind}_{name}"]
        found = I.imdecode(data, flag=flag)
        assert found.shape == theirs.shape
        np.testing.assert_array_equal(found[rows], theirs[rows])
