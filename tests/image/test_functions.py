"""What mx.image's functions do beyond the golden pictures: devices, types, randomness, mistakes."""

import json
import random
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from scipy import stats

import gpuio as mx
from gpuio.errors import ArgumentError, DecodeError, RecordFileNotFoundError
from gpuio.image.resample import resize, weights, with_matrices
from tests.image.golden import GOLDEN
from tests.io.records import jpeg

I = mx.image  # noqa: E741

MEASURED = {
    case["call"]: case for case in json.loads((GOLDEN / "random_stats.json").read_text())["stats"]
}


def noise(height: int, width: int, channels: int = 3, dtype: Any = np.uint8) -> Any:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, channels))
    return mx.nd.wrap(pixels.astype(dtype))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("method", range(5))
@pytest.mark.parametrize(
    ("height", "width", "new_height", "new_width"),
    [(87, 113, 41, 50), (50, 60, 66, 77), (30, 40, 60, 20), (64, 64, 32, 16), (5, 5, 1, 1),
     (1, 1, 5, 7), (7, 9, 7, 9)],
)  # fmt: skip
def test_what_a_gpu_computes_is_what_opencv_does(
    height: int, width: int, new_height: int, new_width: int, method: int, dtype: Any
) -> None:
    """The matrix products, run by NumPy."""
    picture = np.asarray(noise(height, width, dtype=dtype))
    found = with_matrices(np, picture, new_width, new_height, method)
    expected = resize(picture, new_width, new_height, method)
    assert found.dtype == expected.dtype == dtype
    assert found.shape == expected.shape == (new_height, new_width, 3)
    difference = np.abs(found.astype(float) - expected.astype(float)).max()
    assert difference <= (1 if np.dtype(dtype).kind in "ui" else 0.002)


@pytest.mark.parametrize("method", range(5))
@pytest.mark.parametrize("average", [False, True])
def test_weights_make_one(method: int, average: bool) -> None:
    for source, target in ((10, 10), (10, 3), (3, 10), (1, 4), (4, 1)):
        made = weights(source, target, method, average and source >= target)
        assert made.shape == (target, source)
        np.testing.assert_allclose(made.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(weights(5, 5, method, average), np.eye(5), atol=1e-12)


@pytest.mark.parametrize("interp", [0, 1, 2, 3, 4, 9, 10])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_imresize_keeps_channels_and_dtype(interp: int, channels: int) -> None:
    for dtype in (np.uint8, np.float32):
        made = I.imresize(noise(20, 30, channels, dtype), 7, 9, interp)
        assert isinstance(made, mx.nd.NDArray)
        assert (made.shape, made.dtype) == ((9, 7, channels), dtype)


def test_it_has_both_of_mxnets_names() -> None:
    assert mx.img is mx.image


def test_interpolation_9_goes_by_the_size() -> None:
    picture = noise(20, 30)
    for size, method in (((60, 40), 2), ((15, 10), 3), ((60, 10), 1), ((30, 20), 1)):
        np.testing.assert_array_equal(
            I.imresize(picture, *size, 9), I.imresize(picture, *size, method)
        )


def test_interpolation_10_is_any(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = noise(20, 30)
    for method in range(5):
        monkeypatch.setattr(random, "randint", lambda low, high, method=method: method)
        np.testing.assert_array_equal(
            I.imresize(picture, 9, 9, 10), I.imresize(picture, 9, 9, method)
        )


def test_every_kind_of_bytes_is_decoded() -> None:
    data = jpeg(0)
    expected = I.imdecode(data)
    array = np.frombuffer(data, np.uint8)
    for buf in (bytearray(data), memoryview(data), array, mx.nd.array(array, dtype="uint8")):
        np.testing.assert_array_equal(I.imdecode(buf), expected)
    out = mx.nd.empty(expected.shape, dtype="uint8")
    assert I.imdecode(data, out=out) is out
    np.testing.assert_array_equal(out, expected)
    kept = I.imdecode(jpeg(1))
    before = kept.copy()
    I.imdecode(jpeg(2))
    np.testing.assert_array_equal(kept, before)


def test_imread_and_imencode(tmp_path: Any) -> None:
    picture = noise(20, 30)
    (tmp_path / "x.png").write_bytes(I.imencode(picture, 3, ".png"))
    np.testing.assert_array_equal(I.imread(tmp_path / "x.png"), picture)
    np.testing.assert_array_equal(
        I.imread(str(tmp_path / "x.png"), to_rgb=False), picture[:, :, ::-1]
    )
    assert I.imread(tmp_path / "x.png", flag=0).shape == (20, 30, 1)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "x.png")), picture[:, :, ::-1])
    gray = noise(20, 30, 1)
    for each in (gray, gray[:, :, 0]):
        np.testing.assert_array_equal(I.imdecode(I.imencode(each, 0, ".png"), 0), gray)
    assert len(I.imencode(picture, 20)) < len(I.imencode(picture, 95))


def test_crops_are_views_where_nothing_is_resized() -> None:
    picture = noise(20, 30)
    cut = I.fixed_crop(picture, 3, 4, 10, 8)
    assert np.shares_memory(cut, picture) and cut.shape == (8, 10, 3)
    assert I.fixed_crop(picture, 25, 15, 10, 10).shape == (5, 5, 3)  # clipped
    assert I.center_crop(picture, (30, 20))[1] == (0, 0, 30, 20)


def test_color_normalize_is_in_place() -> None:
    picture = noise(6, 5, dtype=np.float32)
    before = np.array(picture)
    assert I.color_normalize(picture, 10, [1, 2, 4]) is picture
    np.testing.assert_allclose(picture, (before - 10) / np.float32([1, 2, 4]))
    assert I.color_normalize(picture, None) is picture


def test_rotation_of_a_square_by_right_angles() -> None:
    picture = noise(9, 9, dtype=np.float32).transpose(2, 0, 1)
    for turns in (1, 2, 3):
        found = I.imrotate(picture, 90 * turns)
        np.testing.assert_allclose(found, np.rot90(picture, turns, (1, 2)), atol=1e-3)


def test_zooms_show_everything_or_no_corner() -> None:
    white = mx.nd.ones((1, 40, 60), dtype="float32")
    for angle in (20, 70, 135):
        assert I.imrotate(white, angle, zoom_in=True).min() > 0.8  # half a pixel
        inside = I.imrotate(white, angle, zoom_out=True)
        assert inside[0, 0].max() < 0.5 or inside[0, :, 0].max() < 0.5
    found = I.random_rotate(mx.nd.stack(white, white), (-30, 30))
    assert found.shape == (2, 1, 40, 60)
    assert not np.array_equal(found[0], found[1])


def test_random_crops_lie_as_mxnets_do() -> None:
    """Chi-square test of homogeneity with MXNet's 1,500 crops, at 0.1 %."""
    measured = MEASURED["mx.image.random_crop(60x50, (48, 40)) x 1500"]
    random.seed(0)
    found = np.array([I.random_crop(noise(50, 60), (48, 40))[1] for _ in range(1500)])
    for column, name in enumerate(("x0", "y0")):
        places = sorted(int(place) for place in measured[name])
        theirs = [measured[name][str(place)] for place in places]
        ours = [int((found[:, column] == place).sum()) for place in places]
        assert sum(ours) == 1500
        assert stats.chi2_contingency([ours, theirs]).pvalue > 0.001
    assert set(map(tuple, found[:, 2:])) == {(48, 40)}


def test_random_shares_are_those_of_mxnet() -> None:
    """Each of MXNet's quantiles must split ours alike: binomial test, at 0.1 % each."""
    call = "mx.image.random_size_crop(200x160, (32, 32), (0.08, 1.0), (3/4, 4/3)) x 1500"
    measured = MEASURED[call]
    random.seed(1)
    picture = noise(160, 200)
    found = np.array(
        [I.random_size_crop(picture, (32, 32), (0.08, 1.0), (3 / 4, 4 / 3))[1] for _ in range(1500)]
    )
    ours = {
        "area_fraction": found[:, 2] * found[:, 3] / (200 * 160),
        "log_ratio": np.log(found[:, 2] / found[:, 3]),
    }
    for name, values in ours.items():
        spread = measured[name]["std"]
        # Both means are estimates from 1,500 draws.
        assert abs(values.mean() - measured[name]["mean"]) < 3.3 * spread * np.sqrt(2 / 1500)
        for share, quantile in zip((0.25, 0.5, 0.75), measured[name]["q"][2:5], strict=True):
            below = (values < quantile).mean()
            assert abs(below - share) < 3.3 * np.sqrt(2 * share * (1 - share) / 1500)


def test_random_size_crop_falls_back_to_the_centre() -> None:
    picture = noise(10, 100)
    made, where = I.random_size_crop(picture, (20, 20), (0.9, 1.0), (1.0, 1.0))
    assert made.shape == (20, 20, 3) and where == (45, 0, 10, 10)


X = noise(10, 12)
F = np.zeros((3, 5, 5), np.float32)
MISTAKES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "empty": (lambda: I.imdecode(b""), DecodeError, "empty buffer"),
    "text": (lambda: I.imdecode("text"), ValueError, "buf must be of type bytes"),
    "floats": (lambda: I.imdecode(np.zeros(9)), ValueError, "buf must be of type bytes"),
    "no image": (lambda: I.imdecode(b"no image"), DecodeError, "Decoding failed"),
    "cut": (lambda: I.imdecode(jpeg(0)[:60]), DecodeError, "Decoding failed"),
    "flag": (lambda: I.imdecode(jpeg(0), -1), ArgumentError, "flag must be 1"),
    "out": (lambda: I.imdecode(jpeg(0), out=mx.nd.zeros((2, 2, 3))), ArgumentError, "out must be"),
    "missing": (lambda: I.imread("none.jpg"), RecordFileNotFoundError, "none.jpg: couldn't open"),
    "no array": (lambda: I.imencode(np.zeros((4, 4, 3))), ArgumentError, "uint8 with 2 or 3"),
    "ending": (lambda: I.imencode(X, 95, ".xyz"), ArgumentError, "cannot be encoded as"),
    "two axes": (lambda: I.imresize(X[0], 4, 4), ArgumentError, "an image has the shape"),
    "no pixels": (lambda: I.imresize(X[:0], 4, 4), ArgumentError, "an image has the shape"),
    "width": (lambda: I.imresize(X, 0, 4), ArgumentError, "w must be an integer"),
    "half": (lambda: I.imresize(X, 4, 2.5), ArgumentError, "h must be an integer"),
    "interp": (lambda: I.imresize(X, 4, 4, 5), ValueError, "Unknown interp method 5"),
    "short": (lambda: I.resize_short(X, 0), ArgumentError, "size must be an integer"),
    "outside": (lambda: I.fixed_crop(X, 12, 0, 4, 4), ArgumentError, "does not begin inside"),
    "negative": (lambda: I.fixed_crop(X, -1, 0, 4, 4), ArgumentError, "does not begin inside"),
    "nothing": (lambda: I.fixed_crop(X, 0, 0, 0, 4), ArgumentError, "is empty"),
    "area": (lambda: I.random_size_crop(X, (4, 4), (0, 1), (1, 2)), ArgumentError, "area must be"),
    "ratio": (
        lambda: I.random_size_crop(X, (4, 4), 0.5, (2, 1)), ArgumentError, "ratio must be"
    ),
    "argument": (
        lambda: I.random_size_crop(X, (4, 4), 0.5, (1, 2), are=3), TypeError, "no argument 'are'"
    ),
    "whole numbers": (lambda: I.color_normalize(X, 3), ArgumentError, "works in place"),
    "border": (lambda: I.copyMakeBorder(X, 1, 1, 1, 1, 5), ArgumentError, "type must be 0 to 4"),
    "side": (lambda: I.copyMakeBorder(X, 1, -1, 1, 1), ArgumentError, "bot must be at least 0"),
    "bytes": (lambda: I.imrotate(X, 3), TypeError, "Only `float32` images"),
    "zooms": (lambda: I.imrotate(F, 3, True, True), ValueError, "cannot be both"),
    "width nan": (lambda: I.imresize(X, np.nan, 4), ArgumentError, "w must be an integer"),
    "width text": (lambda: I.imresize(X, "a", 4), ArgumentError, "w must be an integer"),
    "bool": (lambda: I.imresize(X > 3, 2, 2), ArgumentError, "uint8, .*float64, not bool"),
    "one size": (lambda: I.random_crop(X, 20), ArgumentError, r"a size is \(width, height\)"),
    "array": (lambda: I.imdecode(np.zeros(9)), ValueError, "not a float64 array"),
    "axes": (lambda: I.imrotate(F[0], 3), ValueError, "or several such images"),
    "angles": (lambda: I.imrotate(F, [3, 4]), TypeError, "one angle"),
    "count": (lambda: I.imrotate(F[None], [3, 4]), ValueError, "an angle for each of 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named(name: str) -> None:
    call, kind, said = MISTAKES[name]
    with pytest.raises(kind, match=said):
        call()


def test_pictures_stay_on_their_device(ctx: mx.Context) -> None:
    host = I.imdecode(jpeg(0, 64, 48), ctx=mx.cpu())
    picture = host.as_in_context(ctx)
    random.seed(3)
    for make in (
        lambda each: each,
        lambda each: I.imresize(each, 30, 20, 2),
        lambda each: I.resize_short(each, 20),
        lambda each: I.fixed_crop(each, 3, 4, 20, 21),
        lambda each: I.center_crop(each, (30, 30))[0],
        lambda each: I.copyMakeBorder(each, 1, 2, 3, 4, 2),
        lambda each: I.copyMakeBorder(each, 1, 2, 3, 4, values=(1, 2, 3)),
        lambda each: I.color_normalize(each.astype("float32"), [1, 2, 3], mx.nd.array([2, 3, 4])),
        lambda each: I.imrotate(
            mx.nd.wrap(each.transpose(2, 0, 1).astype("float32")), 30, zoom_in=True
        ),
        I.ContrastJitterAug(0),
        I.SaturationJitterAug(0),
        I.HueJitterAug(0),
        I.RandomGrayAug(1),
    ):
        made, expected = make(picture), make(host)
        assert made.context == ctx
        assert made.dtype == expected.dtype
        np.testing.assert_allclose(made.asnumpy().astype(float), expected.astype(float), atol=1.01)


@pytest.mark.parametrize("values", [2, [2.0], [1, 2, 4]])
@pytest.mark.parametrize("view", ["whole", "flipped", "cut", "transposed"])
def test_numbers_for_each_channel_meet_their_channel(view: str, values: Any) -> None:
    """However the picture lies in memory; in place it is the same memory that changes."""
    whole = noise(6, 5, dtype=np.float32)
    picture = {
        "whole": whole,
        "flipped": whole[:, ::-1],
        "cut": whole[1:4, 2:5],
        "transposed": whole.transpose(1, 0, 2),
    }[view]
    expected = (np.array(picture) - np.float32(values)) / np.float32(values)
    made = I.ColorNormalizeAug(values, values)(picture)
    np.testing.assert_array_equal(made, expected)
    assert not np.shares_memory(made, picture)
    assert I.color_normalize(picture, values, values) is picture
    np.testing.assert_array_equal(picture, expected)
    assert np.shares_memory(picture, whole)
