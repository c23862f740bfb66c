"""Transforms that change colors."""

import colorsys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.gluon.data.vision import transforms as T  # noqa: N812
from gpuio.sampling.sample_rng import SampleRng, call_with_rng
from tests.close import EXACT, Tolerance
from tests.gluon.data.vision.transforms.golden import (
    FLAT,
    RESULTS,
    assert_as_mxnet,
    assert_distributed_as_mxnet,
    drawing,
)

ALL = [
    T.RandomBrightness(0.5), T.RandomContrast(0.5), T.RandomSaturation(0.5), T.RandomHue(0.5),
    T.RandomLighting(0.5), T.RandomColorJitter(0.5, 0.5, 0.5, 0.5),
]  # fmt: skip
KINDS = {
    "brightness": T.RandomBrightness, "contrast": T.RandomContrast, "hue": T.RandomHue
}  # fmt: skip
# Sums of float32 in another order, and on integers a rounding to the other side.
FLOAT, INTEGER = Tolerance(5e-4, 2e-4), Tolerance(1, 0.02)
# MXNet divides by 255 and multiplies again, which often ends just below an integer.
HUE = Tolerance(1, 0.3)


def tolerance_of(image: str, name: str, ctx: mx.Context) -> Tolerance:
    if image == "float":
        return FLOAT
    if name == "hue":
        return HUE
    return EXACT if ctx == mx.cpu() else INTEGER


@pytest.mark.parametrize("image", ["color", "gray", "float"])
@pytest.mark.parametrize("factor", [0.3, 1.7])
@pytest.mark.parametrize("name", ["brightness", "contrast"])
def test_factors(name: str, factor: float, image: str, ctx: mx.Context) -> None:
    def transform(x: Any) -> Any:
        return drawing(factor, KINDS[name](1), x)

    assert_as_mxnet(transform, f"{image}/{name}{factor}", ctx, tolerance_of(image, name, ctx))


@pytest.mark.parametrize("image", ["color", "float"])
@pytest.mark.parametrize("factor", [0.3, 0.9, 1.45])
def test_hue(factor: float, image: str, ctx: mx.Context) -> None:
    def transform(x: Any) -> Any:
        return drawing(factor, T.RandomHue(1), x)

    assert_as_mxnet(transform, f"{image}/hue{factor}", ctx, tolerance_of(image, "hue", ctx))


@given(
    st.tuples(*[st.integers(0, 255)] * 3),
    st.floats(0, 2, allow_subnormal=False),
)
def test_hue_is_that_of_hls(color: tuple[int, int, int], turns: float) -> None:
    hue, lightness, saturation = colorsys.rgb_to_hls(*(value / 255 for value in color))
    expected = np.array(colorsys.hls_to_rgb((hue + turns) % 1, lightness, saturation)) * 255
    image = np.array(color, np.float32).reshape(1, 1, 3)
    found = drawing(turns, T.RandomHue(1), image).reshape(3)
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("image", ["color", "float"])
@pytest.mark.parametrize("alpha", [(0.5, -1, 2), (-0.2, 0.1, 0.05)])
def test_lighting(alpha: Any, image: str, ctx: mx.Context) -> None:
    def transform(x: Any) -> Any:
        return drawing(alpha, T.RandomLighting(1), x)

    name = f"{image}/lighting{alpha[0]:g}"
    assert_as_mxnet(transform, name, ctx, tolerance_of(image, "lighting", ctx))


@pytest.mark.parametrize("factor", [0.0, 0.6, 1.5])
def test_saturation_keeps_the_luma(factor: float, ctx: mx.Context) -> None:
    image = mx.nd.array(RESULTS["float"], ctx)
    found = drawing(factor, T.RandomSaturation(2), image).asnumpy()
    luma = RESULTS["float"] @ np.float32([0.299, 0.587, 0.114])
    np.testing.assert_allclose(found @ np.float32([0.299, 0.587, 0.114]), luma, atol=1e-3)
    distance = RESULTS["float"] - luma[..., None]
    np.testing.assert_allclose(found, luma[..., None] + factor * distance, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "transform"),
    [
        ("RandomBrightness(0.4)", T.RandomBrightness(0.4)),
        ("RandomBrightness(1.5)", T.RandomBrightness(1.5)),
        ("RandomContrast(0.4)", T.RandomContrast(0.4)),
        ("RandomHue(0.2)", T.RandomHue(0.2)),
        ("RandomColorJitter(0.4)", T.RandomColorJitter(0.4)),
        ("RandomColorJitter(contrast=0.5)", T.RandomColorJitter(contrast=0.5)),
        ("RandomColorJitter(hue=0.3)", T.RandomColorJitter(hue=0.3)),
        ("RandomColorJitter(0.3, 0.3, 0, 0.1)", T.RandomColorJitter(0.3, 0.3, 0, 0.1)),
        ("RandomLighting(0.3)", T.RandomLighting(0.3)),
    ],
)
def test_random_ones_are_distributed_as_mxnets(name: str, transform: Any) -> None:
    assert_distributed_as_mxnet(transform, name, FLAT)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "float16", "float32", "float64"])
@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_dtype_and_argument_are_kept(transform: Any, dtype: str, ctx: mx.Context) -> None:
    image = mx.nd.array(FLAT, ctx, dtype)
    for draw in range(4):
        found = call_with_rng(SampleRng(1, 0, draw), transform, image)
        assert found.dtype == dtype and found.shape == image.shape and found.context == ctx
        assert np.isfinite(found.asnumpy().astype(float)).all()
        found[:] = 0
    np.testing.assert_array_equal(image.asnumpy(), FLAT.astype(dtype))


def test_bytes_are_clipped() -> None:
    image = np.full((1, 1, 3), (250, 128, 3), np.uint8)
    assert drawing(1.5, T.RandomBrightness(1), image).tolist() == [[[255, 192, 4]]]
    assert drawing(3, T.RandomContrast(2), image).reshape(3).tolist() == [255, 83, 0]


@pytest.mark.parametrize("transform", ALL[2:5], ids=repr)
def test_gray_images_have_no_color(transform: Any) -> None:
    found = transform(RESULTS["gray"])
    np.testing.assert_array_equal(found, RESULTS["gray"])


def test_jitter_of_nothing() -> None:
    np.testing.assert_array_equal(T.RandomColorJitter()(RESULTS["color"]), RESULTS["color"])


class Shuffling(SampleRng):
    """Draws an order, but the number 0.5."""

    def uniform(self, low: float, high: float) -> float:
        return 0.5


def test_jitter_applies_in_any_order() -> None:
    """Clipping to bytes tells brightness before contrast from contrast before brightness."""
    image = np.repeat(np.uint8([40, 200]), 3).reshape(1, 2, 3)
    found = set()
    for draw in range(40):
        jitter = T.RandomColorJitter(brightness=1, contrast=1)
        jittered = call_with_rng(Shuffling(4, 0, draw), jitter, image)
        found.add(tuple(jittered[0, :, 0].tolist()))
    assert found == {(11, 255), (0, 255)}


def test_random_gray() -> None:
    image = RESULTS["color"]
    gray = T.RandomGray(1)(image)
    assert gray.dtype == np.float32
    luma = image @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(gray, np.repeat(luma[..., None], 3, -1), atol=1e-3)
    np.testing.assert_array_equal(T.RandomGray(0)(image), image)


@pytest.mark.parametrize("transform", ALL, ids=repr)
@pytest.mark.parametrize("shape", [(2, 2, 4), (2, 2), (1, 2, 2, 3), (0, 2, 3)])
def test_wrong_images(transform: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ArgumentError, match="image"):
        transform(np.ones(shape))


@pytest.mark.parametrize("amount", [-0.1, "x", None, float("nan")])
def test_wrong_amounts(amount: Any) -> None:
    for kind in (*KINDS.values(), T.RandomSaturation, T.RandomLighting, T.RandomColorJitter):
        with pytest.raises(ArgumentError, match="must be"):
            kind(amount)
    with pytest.raises(ArgumentError, match="p must be"):
        T.RandomGray(2)
