"""Transforms that move pixels."""

from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.gluon.data.vision import transforms as T  # noqa: N812
from gpuio.sampling.sample_rng import SampleRng, call_with_rng
from tests.close import EXACT, Tolerance
from tests.gluon.data.vision.transforms.golden import (
    FLAT,
    RESULTS,
    TALL,
    assert_as_mxnet,
    assert_distributed_as_mxnet,
    drawing,
)

CALLS = {
    "Resize": T.Resize((17, 29)),
    "Resize1": T.Resize(11),
    "ResizeKeep": T.Resize(11, keep_ratio=True),
    "CenterCrop": T.CenterCrop((12, 9)),
    "CenterCropLarge": T.CenterCrop((40, 9)),
    "CropResize": T.CropResize(3, 4, 11, 8),
    "CropResizeTo": T.CropResize(3, 4, 11, 8, (6, 10), 1),
}
# A GPU's resize rounds differently from OpenCV's by at most one level. OpenCV's versions sum floats
# in different orders.
RESIZED = {"cpu": Tolerance(2e-4, 1e-4), "gpu": Tolerance(1, 0.2)}


@pytest.mark.parametrize("image", ["color", "gray", "float"])
@pytest.mark.parametrize("call", CALLS)
def test_results_are_mxnets(call: str, image: str, ctx: mx.Context) -> None:
    exact = call in ("CenterCrop", "CropResize") or (image != "float" and ctx == mx.cpu())
    tolerance = EXACT if exact else RESIZED[ctx.device_type]
    assert_as_mxnet(CALLS[call], f"{image}/{call}", ctx, tolerance)


@pytest.mark.parametrize("call", ["Resize", "CropResize"])
def test_several_images(call: str, ctx: mx.Context) -> None:
    tolerance = EXACT if ctx == mx.cpu() else RESIZED["gpu"]
    assert_as_mxnet(CALLS[call], f"several/{call}", ctx, tolerance)


@pytest.mark.parametrize("interpolation", range(5))
def test_interpolations(interpolation: int) -> None:
    # OpenCV 4 and 5 round bicubic coefficients differently from MXNet's OpenCV 3.4.2.
    tolerance = Tolerance(1, 0.05) if interpolation == 2 else EXACT
    transform = T.Resize((30, 12), interpolation=interpolation)
    name = f"color/Resize interpolation {interpolation}"
    assert_as_mxnet(transform, name, mx.cpu(), tolerance)


@pytest.mark.parametrize(
    ("angle", "zooms"), [(30.0, (False, False)), (-75.0, (True, False)), (200.0, (False, True))]
)
def test_rotations(angle: float, zooms: tuple[bool, bool], ctx: mx.Context) -> None:
    composed = T.Compose([T.ToTensor(), T.Rotate(angle, *zooms)])
    assert_as_mxnet(composed, f"color/Rotate{angle:g}", ctx, Tolerance(4e-6, 2e-6))


def test_sizes() -> None:
    image = RESULTS["color"]
    assert image.shape == (19, 23, 3)
    assert T.Resize([4, 6])(image).shape == (6, 4, 3)
    assert T.Resize((5,))(image).shape == (5, 5, 3)
    assert T.Resize(np.int64(5))(image).shape == (5, 5, 3)
    assert T.Resize(10, keep_ratio=True)(image).shape == (10, 12, 3)
    assert T.Resize((4, 6), keep_ratio=True)(image).shape == (6, 4, 3)
    assert T.CenterCrop(4.0)(image).shape == (4, 4, 3)
    assert T.CropResize(0, 0, 2, 3, 5)(image).shape == (5, 5, 3)
    assert T.RandomResizedCrop((4, 6), 0.5)(image).shape == (6, 4, 3)


@pytest.mark.parametrize("size", [0, -3, (4, 0), (1, 2, 3), 4.5, "4", None])
def test_wrong_sizes_are_found_when_used(size: Any) -> None:
    """As in MXNet: its tests create such a Resize."""
    transform = T.Resize(size)
    with pytest.raises(ArgumentError, match="size"):
        transform(RESULTS["color"])
    for kind in (T.CenterCrop, T.RandomCrop, T.RandomResizedCrop):
        with pytest.raises(ArgumentError, match="size"):
            kind(size)


@pytest.mark.parametrize(
    "rectangle", [(-1, 0, 3, 3), (0, 0, 24, 3), (22, 18, 2, 2), (0, 0, 0, 3), (0, 0, -5, -5)]
)
def test_rectangles_outside_the_image(rectangle: tuple[int, int, int, int]) -> None:
    with pytest.raises(ArgumentError, match="a crop of"):
        T.CropResize(*rectangle)(RESULTS["color"])
    with pytest.raises(ArgumentError, match="a crop of"):
        T.CropResize(*rectangle)(RESULTS["several"])


def test_a_crop_is_a_copy() -> None:
    image = RESULTS["color"].copy()
    T.CropResize(0, 0, 2, 2)(image)[:] = 0
    for kind in (T.RandomFlipLeftRight, T.RandomFlipTopBottom):
        drawing(0.9, kind(), image)[:] = 0
    np.testing.assert_array_equal(image, RESULTS["color"])


def test_flips(ctx: mx.Context) -> None:
    image = mx.nd.array(RESULTS["color"], ctx, "uint8")
    for kind, flipped in (
        (T.RandomFlipLeftRight, RESULTS["color"][:, ::-1]),
        (T.RandomFlipTopBottom, RESULTS["color"][::-1]),
    ):
        found = drawing(0.1, kind(), image)
        assert found.context == ctx and found.flags.c_contiguous
        np.testing.assert_array_equal(found.asnumpy(), flipped)
        np.testing.assert_array_equal(drawing(0.6, kind(), image).asnumpy(), RESULTS["color"])


@pytest.mark.parametrize(
    ("name", "transform"),
    [
        ("RandomFlipLeftRight()", [T.RandomFlipLeftRight(), T.CropResize(0, 0, 5, 5)]),
        ("RandomFlipTopBottom()", [T.RandomFlipTopBottom(), T.CropResize(0, 0, 5, 5)]),
        (
            "RandomResizedCrop(8, (0.1, 0.6), (0.5, 1.5))",
            [T.RandomResizedCrop(8, (0.1, 0.6), (0.5, 1.5))],
        ),
    ],
)
def test_random_ones_are_distributed_as_mxnets(name: str, transform: list[Any]) -> None:
    assert_distributed_as_mxnet(T.Compose(transform), name, TALL)


def test_random_rotation_is_distributed_as_mxnets() -> None:
    plane = np.ascontiguousarray(TALL.transpose(2, 0, 1))
    transform = T.RandomRotation((-40, 80), rotate_with_proba=0.6)
    name = "RandomRotation((-40, 80), rotate_with_proba=0.6)"
    assert_distributed_as_mxnet(transform, name, plane, (1, 2))


def test_random_rotation_that_never_rotates(ctx: mx.Context) -> None:
    image = mx.nd.array(RESULTS["color"], ctx, "uint8")
    assert T.RandomRotation([-9, 9], rotate_with_proba=0)(image) is image
    with pytest.raises(TypeError, match="float32"):
        T.RandomRotation([-9, 9])(image)
    with pytest.raises(TypeError, match="float32"):
        T.Rotate(9)(image)


@pytest.mark.parametrize("limits", [(5, 5), (5, -5)])
def test_wrong_limits(limits: Any) -> None:
    with pytest.raises(ValueError, match="angle_limits must be"):
        T.RandomRotation(limits)
    with pytest.raises(ValueError, match="rotate_with_proba must be a probability"):
        T.RandomRotation((0, 1), rotate_with_proba=1.1)


@pytest.mark.parametrize(("pad", "pads"), [(None, (0,) * 4), (2, (2,) * 4), ((1, 0, 2, 3),) * 2])
def test_random_crop_pads_first(pad: Any, pads: tuple[int, ...], ctx: mx.Context) -> None:
    """With the padded image's size, the crop is the padded image."""
    top, bottom, left, right = pads
    image = mx.nd.array(FLAT, ctx)
    found = T.RandomCrop((4 + left + right, 4 + top + bottom), pad, 7)(image)
    expected = np.pad(FLAT, ((top, bottom), (left, right), (0, 0)), constant_values=7)
    np.testing.assert_array_equal(found.asnumpy(), expected)


def test_random_crop_goes_everywhere() -> None:
    places = set()
    for draw in range(200):
        crop = call_with_rng(SampleRng(2, 0, draw), T.RandomCrop((28, 37)), TALL)
        assert crop.shape == (37, 28, 3)
        places.add((int(crop[0, 0, 0]), int(crop[0, 0, 1])))
    assert places == {(y, x) for y in range(4) for x in range(3)}
    assert T.RandomCrop((50, 10))(TALL).shape == (10, 50, 3)


@pytest.mark.parametrize("pad", [-1, (1, 2), (1, 2, 3, 4, 5), 1.5])
def test_wrong_padding(pad: Any) -> None:
    with pytest.raises(ArgumentError, match="pad must be"):
        T.RandomCrop(4, pad)
