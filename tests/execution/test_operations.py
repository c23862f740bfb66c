"""Operations on pixels: as torchvision has them, the same with and without the native module."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuio import native
from gpuio.execution.operations import operate, operate_batch
from gpuio.planning import operations as ops
from gpuio.planning.plan import LINEAR
from gpuio.planning.policies import (
    ColorJitterPolicy,
    RandAugmentPolicy,
    RandomErasingPolicy,
    TrivialAugmentPolicy,
)
from tests.torchvision_oracle import GOLDEN, SPACES, assert_agrees, named

COLORS = ColorJitterPolicy((0, 2), (0, 2), (0, 2), (-0.5, 0.5))
POLICIES = (
    RandAugmentPolicy(3, 30, fill=(9,)),
    RandAugmentPolicy(2, 20, interpolation=LINEAR, fill=(200,)),
    TrivialAugmentPolicy(),
    COLORS,
    RandomErasingPolicy(0.9, value=(250,)),
)

# Operations whose results differ from torchvision's by 1 in a few pixels, as it fuses the
# multiplication and the addition of a blend. So do those of "bilinear", whose weights are floats
# there.
WITHIN_ONE = ("Color", "Sharpness")


def one(code: int, *values: float, fill: tuple[int, ...] = ()) -> np.ndarray:
    operation = ops.no_operations(1)
    operation["code"] = code
    operation["values"][0, : len(values)] = values
    operation["fill"][0, : len(fill)] = fill
    return operation


@pytest.fixture(params=["native", "python"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the native module, and without it."""
    if request.param == "python":
        monkeypatch.setenv(native.VARIABLE, "0")
    elif native.library() is None:
        pytest.skip("the native module is not in use")
    return str(request.param)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("space", SPACES)
def test_operations_are_torchvisions(space: str) -> None:
    found = 0
    for key in GOLDEN.files:
        image, _, rest = key.partition("/")
        if not rest.startswith(f"{space}/"):
            continue
        _, interpolation, name, magnitude, sign = rest.split("/")
        pixels = GOLDEN[image]
        operation = named(space, interpolation, name, int(magnitude), int(sign), pixels.shape)
        made = operate(pixels, operation)
        most = int(name in WITHIN_ONE or interpolation == "bilinear")
        assert_agrees(made, GOLDEN[key], operation[0], most)
        found += 1
    assert found > 80


def test_large_images_are_those_of_the_installed_torchvision() -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchvision.transforms.v2.functional")
    pixels = np.random.default_rng(0).integers(0, 256, (224, 200, 3), dtype=np.uint8)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
    still = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}

    def sheared(**changes: object) -> Any:
        return functional.affine(tensor, **{**still, "center": [0, 0], **changes})

    size = (200, 224)
    for amount in (0.09, 0.27, -0.29):
        factor, degrees = 1 + amount, 100 * amount
        shear = math.degrees(math.atan(amount))
        blended = ops.blend_values(factor)
        for code, values, theirs, most in (
            (ops.WARP_NEAREST, ops.shear_x_values(amount),
             sheared(shear=[shear, 0.0]), 0),
            (ops.WARP_NEAREST, ops.shear_y_values(amount),
             sheared(shear=[0.0, shear]), 0),
            (ops.WARP_NEAREST, ops.rotate_values(degrees, size),
             functional.rotate(tensor, degrees), 0),
            (ops.BRIGHTNESS, blended, functional.adjust_brightness(tensor, factor), 0),
            (ops.SATURATION, blended, functional.adjust_saturation(tensor, factor), 1),
            (ops.CONTRAST, blended, functional.adjust_contrast(tensor, factor), 1),
            (ops.SHARPNESS, blended, functional.adjust_sharpness(tensor, factor), 1),
            (ops.HUE, [amount], functional.adjust_hue(tensor, amount), 0),
            (ops.SOLARIZE, [255 * abs(amount)], functional.solarize(tensor, 255 * abs(amount)), 0),
            (ops.POSTERIZE, [0xE0], functional.posterize(tensor, 3), 0),
            (ops.AUTOCONTRAST, [], functional.autocontrast(tensor), 0),
            (ops.EQUALIZE, [], functional.equalize(tensor), 0),
            (ops.INVERT, [], functional.invert(tensor), 0),
        ):  # fmt: skip
            operation = one(code, *values)
            ours = operate(pixels, operation)
            assert_agrees(ours, theirs.permute(1, 2, 0).numpy(), operation[0], most)


@pytest.mark.usefixtures("way")
def test_hues_are_torchvisions() -> None:
    keys = [key for key in GOLDEN.files if key.startswith("color/hue/")]
    assert len(keys) == 6
    for key in keys:
        made = operate(GOLDEN["color"], one(ops.HUE, float(key.split("/")[-1])))
        np.testing.assert_array_equal(made, GOLDEN[key])


@pytest.mark.usefixtures("way")
def test_color_jitter_is_torchvisions() -> None:
    keys = [key for key in GOLDEN.files if key.startswith("color/jitter/")]
    assert len(keys) == 2
    for key in keys:
        made = GOLDEN["color"]
        factors = map(float, key.split("/")[-1].split(","))
        codes = (ops.BRIGHTNESS, ops.CONTRAST, ops.SATURATION, ops.HUE)
        for code, factor in zip(codes, factors, strict=True):
            made = operate(made, one(code, factor, 1 - factor))
        # A difference of 1 after the saturation may become one of a few, as hues are turned.
        distance = np.abs(made.astype(int) - GOLDEN[key])
        assert distance.max() <= 4 and (distance > 0).mean() < 0.02


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(POLICIES),
    st.sampled_from([1, 3]),
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(1, 256),
)
def test_the_native_module_gives_the_same_bits(
    seed: int, policy: RandAugmentPolicy, channels: int, height: int, width: int, values: int
) -> None:
    module = native.library()
    if module is None:
        pytest.skip("the native module is not in use")
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, values, (height, width, channels), dtype=np.uint8)
    (operations,) = policy.draw(rng.random((1, policy.units)), (width, height), channels)
    made = module.operate(operations, pixels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(native.VARIABLE, "0")
        np.testing.assert_array_equal(made, operate(pixels, operations))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("interpolation", [0, LINEAR])
def test_moves_by_whole_pixels_show_the_fill_beside_the_image(interpolation: int) -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6, 1)
    code = ops.WARP_BILINEAR if interpolation else ops.WARP_NEAREST
    expected = np.full_like(pixels, 99)
    expected[1:, 2:] = pixels[:-1, :-2]
    operation = one(code, *ops.translate_values(2, 1), fill=(99,))
    np.testing.assert_array_equal(operate(pixels, operation), expected)
    far = one(code, *ops.translate_values(-600, 0), fill=(99,))
    np.testing.assert_array_equal(operate(pixels, far), np.full_like(pixels, 99))


@pytest.mark.usefixtures("way")
def test_a_quarter_turn_is_exact() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    turned = operate(pixels, one(ops.WARP_NEAREST, *ops.rotate_values(90, (7, 7))))
    np.testing.assert_array_equal(turned, np.rot90(pixels))


@pytest.mark.usefixtures("way")
def test_images_of_one_value_keep_it() -> None:
    pixels = np.full((5, 6, 3), 77, np.uint8)
    for code in (ops.AUTOCONTRAST, ops.EQUALIZE, ops.HUE):
        np.testing.assert_array_equal(operate(pixels, one(code, 0.3)), pixels)
    np.testing.assert_array_equal(operate(pixels, one(ops.INVERT)), 255 - pixels)
    np.testing.assert_array_equal(operate(pixels, one(ops.SHARPNESS, 0.0, 1.0)), pixels)


@pytest.mark.usefixtures("way")
def test_the_image_that_is_given_does_not_change() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 6, 3), dtype=np.uint8)
    before = pixels.copy()
    pixels.flags.writeable = False
    operations = np.concatenate([one(ops.INVERT), one(ops.ERASE, 1, 1, 3, 4, fill=(1, 2, 3))])
    made = operate_batch(pixels, np.stack([operations, ops.no_operations(2)]))
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(made[1], pixels[1])
    expected = 255 - pixels[0]
    expected[1:4, 1:3] = 1, 2, 3
    np.testing.assert_array_equal(made[0], expected)


def test_without_operations_nothing_is_copied() -> None:
    pixels = np.zeros((2, 5, 6, 3), np.uint8)
    assert operate_batch(pixels, None) is pixels
    assert operate_batch(pixels, ops.no_operations(2, 3)) is pixels
    assert operate(pixels[0], ops.no_operations(3)).base is pixels
