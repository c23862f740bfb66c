"""Operations as data: their numbers, and those of mirror images."""

import re

import numpy as np
import pytest

from gpuio.execution.operations import WEIGHT, operate
from gpuio.native import SOURCES
from gpuio.planning import operations as ops
from gpuio.planning.operations import mirrored
from gpuio.planning.plan import LINEAR
from gpuio.planning.policies import (
    ColorJitterPolicy,
    Policy,
    RandAugmentPolicy,
    RandomErasingPolicy,
    TrivialAugmentPolicy,
)


def test_codes_are_those_of_the_kernels() -> None:
    source = (SOURCES / "operation_codes.h").read_text("utf-8")
    names = re.findall(r"^    ([A-Z_]+)[,\n]", source, re.MULTILINE)
    assert len(names) == 14
    assert [getattr(ops, name) for name in names] == list(range(14))
    assert f"FRACTION = {ops.FRACTION}, WEIGHT = {WEIGHT}" in source


def test_values_are_those_of_the_operation() -> None:
    whole = 1 << ops.FRACTION
    assert ops.blend_values(0.25)[:2].tolist() == [0.25, 0.75]
    assert ops.translate_values(3, -2)[[2, 5]].tolist() == [-2.5 * whole, 2.5 * whole]
    sheared = ops.shear_x_values(np.array([0.5, -0.5]))
    assert sheared[:, 1].tolist() == [whole / 2, -whole / 2]
    assert ops.shear_y_values(0.5)[3] == whole / 2
    np.testing.assert_array_equal(ops.rotate_values(0, (7, 9)), ops.translate_values(0, 0))


@pytest.mark.parametrize(
    "policy",
    [
        RandAugmentPolicy(3, 25, fill=(3,)),
        TrivialAugmentPolicy(interpolation=LINEAR),
        ColorJitterPolicy((0.5, 1.5), (0.5, 1.5), (0.5, 1.5), (-0.5, 0.5)),
        RandomErasingPolicy(1.0),
    ],
)
@pytest.mark.parametrize("width", [12, 13])
def test_mirrored_operations_do_the_same_to_the_mirror_image(policy: Policy, width: int) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (9, width, 3), dtype=np.uint8)
    for row in policy.draw(rng.random((60, policy.units)), (width, 9), 3):
        expected = operate(pixels, row)[:, ::-1].astype(int)
        made = operate(np.ascontiguousarray(pixels[:, ::-1]), mirrored(row, width))
        # Weights of an interpolation are rounded down on the one side, and up on the other.
        assert np.abs(made - expected).max() <= (ops.WARP_BILINEAR in row["code"])
