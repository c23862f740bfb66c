"""Resizing, cropping and borders: devices, dtypes, randomness, mistakes."""

import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

import gpuio as mx
from gpuio.errors import ArgumentError
from tests.image.golden import GOLDEN
from tests.image.images import noise

I = mx.image  # noqa: E741


MEASURED = {
    case["call"]: case for case in json.loads((GOLDEN / "random_stats.json").read_text())["stats"]
}


@pytest.mark.parametrize("interp", [0, 1, 2, 3, 4, 9, 10])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_imresize_keeps_channels_and_dtype(interp: int, channels: int) -> None:
    for dtype in (np.uint8, np.float32):
        made = I.imresize(noise(20, 30, channels, dtype), 7, 9, interp)
        assert isinstance(made, mx.nd.NDArray)
        assert (made.shape, made.dtype) == ((9, 7, channels), dtype)


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


def test_crops_are_views_where_nothing_is_resized() -> None:
    picture = noise(20, 30)
    cut = I.fixed_crop(picture, 3, 4, 10, 8)
    assert np.shares_memory(cut, picture) and cut.shape == (8, 10, 3)
    assert I.fixed_crop(picture, 25, 15, 10, 10).shape == (5, 5, 3)  # clipped
    assert I.center_crop(picture, (30, 20))[1] == (0, 0, 30, 20)


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


def test_random_size_crop_falls_back_to_the_center() -> None:
    picture = noise(10, 100)
    made, where = I.random_size_crop(picture, (20, 20), (0.9, 1.0), (1.0, 1.0))
    assert made.shape == (20, 20, 3) and where == (45, 0, 10, 10)


X = noise(10, 12)


MISTAKES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "two axes": (lambda: I.imresize(X[0], 4, 4), ArgumentError, "an image has the shape"),
    "no pixels": (lambda: I.imresize(X[:0], 4, 4), ArgumentError, "an image has the shape"),
    "width": (lambda: I.imresize(X, 0, 4), ArgumentError, "w must be an integer"),
    "half": (lambda: I.imresize(X, 4, 2.5), ArgumentError, "h must be an integer"),
    "interp": (lambda: I.imresize(X, 4, 4, 5), ValueError, "Unknown interp method 5"),
    "short": (lambda: I.resize_short(X, 0), ArgumentError, "size must be an integer"),
    "outside": (lambda: I.fixed_crop(X, 12, 0, 4, 4), ArgumentError, "does not begin inside"),
    "negative": (lambda: I.fixed_crop(X, -1, 0, 4, 4), ArgumentError, "does not begin inside"),
    "no pair": (lambda: I.fixed_crop(X, 0, 0, 2, 2, [3]), ArgumentError, "a size is"),
    "nothing": (lambda: I.fixed_crop(X, 0, 0, 0, 4), ArgumentError, "is empty"),
    "area": (lambda: I.random_size_crop(X, (4, 4), (0, 1), (1, 2)), ArgumentError, "area must be"),
    "ratio": (
        lambda: I.random_size_crop(X, (4, 4), 0.5, (2, 1)), ArgumentError, "ratio must be"
    ),
    "argument": (
        lambda: I.random_size_crop(X, (4, 4), 0.5, (1, 2), are=3), TypeError, "no argument 'are'"
    ),
    "border": (lambda: I.copyMakeBorder(X, 1, 1, 1, 1, 5), ArgumentError, "type must be 0 to 4"),
    "side": (lambda: I.copyMakeBorder(X, 1, -1, 1, 1), ArgumentError, "bot must be at least 0"),
    "width nan": (lambda: I.imresize(X, np.nan, 4), ArgumentError, "w must be an integer"),
    "width text": (lambda: I.imresize(X, "a", 4), ArgumentError, "w must be an integer"),
    "bool": (lambda: I.imresize(X.astype(bool), 2, 2), ArgumentError, "uint8, .*float64, not bool"),
    "one size": (lambda: I.random_crop(X, 20), ArgumentError, r"a size is \(width, height\)"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named(name: str) -> None:
    call, kind, said = MISTAKES[name]
    with pytest.raises(kind, match=said):
        call()


@pytest.mark.parametrize("name", ["imresize", "copyMakeBorder"])
def test_results_are_written_to_out(ctx: mx.Context, name: str) -> None:
    image = mx.nd.array(np.arange(60).reshape(4, 5, 3), ctx, "uint8")
    numbers = (7, 6) if name == "imresize" else (1, 1, 1, 1)
    function = getattr(I, name)
    out = mx.nd.zeros((6, 7, 3), ctx, "uint8")
    assert function(image, *numbers, out=out) is out
    np.testing.assert_array_equal(out.asnumpy(), function(image, *numbers).asnumpy())
    for wrong in (
        mx.nd.zeros((7, 6, 3), ctx, "uint8"),
        mx.nd.zeros((6, 7, 3), ctx),
        np.zeros((6, 7, 3), np.uint8),
    ):
        with pytest.raises(ArgumentError, match=r"out must be .*uint8 \(6, 7, 3\) on"):
            function(image, *numbers, out=wrong)


@pytest.mark.gpu
def test_out_is_on_the_images_device() -> None:
    image = mx.nd.ones((4, 4, 3), mx.gpu(), "uint8")
    with pytest.raises(ArgumentError, match=r"on gpu\(0\), as the image, not .* on cpu\(0\)"):
        I.imresize(image, 2, 2, out=mx.nd.zeros((2, 2, 3), dtype="uint8"))


def test_the_interpolation_of_a_number_has_mxnets_name() -> None:
    chosen = getattr(mx.image, "_get_interp_method")  # noqa: B009  # gluon-cv imports it
    assert [chosen(method) for method in (0, 3, 9)] == [0, 3, 2]
    assert chosen(9, (10, 10, 20, 20)) == 2 and chosen(9, (20, 20, 10, 10)) == 3
    assert chosen(10, ()) in range(5)
    with pytest.raises(ValueError, match="Unknown interp method 5"):
        chosen(5)
