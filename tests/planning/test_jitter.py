"""Changes of color, against what they mean for pixels, and their distributions."""

from collections.abc import Callable

import numpy as np
import pytest

from gpuio.errors import ArgumentError
from gpuio.execution.color import color_matrix
from gpuio.planning.colors import hue_rotation
from gpuio.planning.jitter import GRAY, NO_JITTER, JitterOptions, plan_colors
from gpuio.planning.plan import NEAREST_INTEGER, TOWARD_ZERO, Plan

COUNT = 2000


def planned(**options: float | tuple[int, int, int]) -> Plan:
    plain = Plan(
        np.zeros((COUNT, 4)),
        np.zeros((COUNT, 4), np.int64),
        np.ones(COUNT, np.int64),
        np.zeros(COUNT, bool),
    )
    jitter = JitterOptions(**options)  # type: ignore[arg-type]
    return plan_colors(jitter, plain, 3, np.zeros(COUNT, np.int64), np.arange(COUNT))


def is_uniform(drawn: np.ndarray, low: float, high: float) -> bool:
    """Kolmogorov and Smirnov's test, p < 0.0001."""
    expected = low + (high - low) * (np.arange(len(drawn)) + 0.5) / len(drawn)
    distance = np.abs(np.sort(drawn) - expected).max() / (high - low)
    return bool(distance < 2.23 / np.sqrt(len(drawn)))


def test_nothing_is_planned_without_options() -> None:
    plan = planned()
    assert plan.color is None and plan.jitter is None and plan.light is None
    assert not NO_JITTER.colors


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("brightness", lambda pixels, mean, factor: pixels * factor),
        ("contrast", lambda pixels, mean, factor: pixels * factor + (1 - factor) * (mean @ GRAY)),
        (
            "saturation",
            lambda pixels, mean, factor: pixels * factor + (1 - factor) * (pixels @ GRAY)[:, None],
        ),
    ],
)
def test_one_change_is_that_of_its_factor(name: str, changed: Callable[..., np.ndarray]) -> None:
    plan = planned(**{name: 0.4})
    assert plan.rounding == NEAREST_INTEGER and plan.color is not None
    pixels = np.random.default_rng(0).integers(0, 256, (20, 1, 3), np.uint8)
    flat, mean = pixels[:, 0].astype(float), pixels.mean((0, 1))
    factors = []
    for row in range(COUNT):
        factor = plan.color[row, 2, 2]
        if name == "saturation":
            factor = (factor - GRAY[2]) / (1 - GRAY[2])
        factors.append(factor)
        matrix = color_matrix(plan.color, row, pixels)
        assert matrix is not None
        found = flat @ matrix[:, :3].T + matrix[:, 3]
        np.testing.assert_allclose(found, changed(flat, mean, factor), atol=1e-3)
    assert is_uniform(np.array(factors), 0.6, 1.4)


def test_all_changes_together_are_one_after_another() -> None:
    plan = planned(brightness=0.4, contrast=0.4, saturation=0.4)
    alone = [
        made.color
        for made in (planned(brightness=0.4), planned(contrast=0.4), planned(saturation=0.4))
    ]
    assert plan.color is not None
    pixels = np.random.default_rng(1).uniform(0, 255, (50, 3))
    for row in range(10):
        expected = pixels
        for color in alone:
            assert color is not None
            means = np.broadcast_to(expected.mean(0), expected.shape)
            columns = np.concatenate([expected, means, np.ones((50, 1))], axis=1)
            expected = columns @ color[row].T
        means = np.broadcast_to(pixels.mean(0), pixels.shape)
        columns = np.concatenate([pixels, means, np.ones((50, 1))], axis=1)
        np.testing.assert_allclose(columns @ plan.color[row].T, expected, atol=1e-9)


def test_a_hue_is_rotated_after_the_rest() -> None:
    plan = planned(hue=0.5)
    assert plan.color is not None
    turned = plan.color[:, :, :3]
    halves = np.linspace(-0.5, 0.5, 401)
    closest = np.abs(turned[:, None] - hue_rotation(halves)[None]).max((2, 3)).argmin(1)
    assert is_uniform(halves[closest], -0.5, 0.5)


def test_noise_of_principal_components_is_rounded_toward_zero() -> None:
    plan = planned(pca_noise=0.1)
    assert plan.color is not None and plan.rounding == TOWARD_ZERO
    np.testing.assert_array_equal(plan.color[:, :, :6], np.tile(np.eye(3, 6), (COUNT, 1, 1)))
    shift = plan.color[:, :, 6]
    assert np.abs(shift.mean(0)).max() < 0.4
    # Red's variance: the sum of squares of vector * value * 0.1.
    expected = np.hypot(np.hypot(0.05675 * 55.46, 0.07192 * 4.794), 0.04009 * 1.148)
    assert abs(shift[:, 0].std() / expected - 1) < 0.06


def test_shifts_of_hue_come_between_matrices() -> None:
    plan = planned(hls=(36, 50, 20), brightness=0.2, pca_noise=0.1)
    jitter = plan.jitter
    assert jitter is not None and jitter.color is not None and jitter.hls is not None
    assert not jitter.wrap_hue and plan.color is not None and plan.rounding == TOWARD_ZERO
    np.testing.assert_array_equal(plan.color[:, :, :6], np.tile(np.eye(3, 6), (COUNT, 1, 1)))
    for column, most in enumerate((36, 50, 20)):
        drawn = jitter.hls[:, column]
        assert -most < drawn.min() < -0.8 * most and 0.8 * most < drawn.max() < most
        # 0.2 and 0.8 of two uniform numbers from -most to most.
        assert abs(drawn.std() / (most * np.sqrt((0.04 + 0.64) / 3)) - 1) < 0.08
    without = planned(hls=(36, 50, 20))
    assert without.color is None and without.jitter is not None and without.jitter.color is None


def test_light_is_a_gain_and_a_shift() -> None:
    plan = planned(gain=0.3, shift=20.0)
    assert plan.light is not None and plan.color is None
    assert is_uniform(plan.light[:, 0], 0.7, 1.3) and is_uniform(plan.light[:, 1], -20, 20)
    only = planned(gain=0.3)
    assert only.light is not None and not only.light[:, 1].any()


@pytest.mark.parametrize("channels", [1, 4])
def test_colors_need_three_channels(channels: int) -> None:
    JitterOptions(gain=0.5, shift=3).check_channels(channels)
    JitterOptions(hue=0.1).check_channels(3)
    for options in ({"hls": (0, 1, 0)}, {"pca_noise": 0.1}, {"saturation": 0.1}, {"hue": 0.1}):
        with pytest.raises(ArgumentError, match=f"need 3 channels, not {channels}"):
            JitterOptions(**options).check_channels(channels)  # type: ignore[arg-type]


def test_shifts_saturate() -> None:
    jitter = planned(hls=(10**30, 0, 0)).jitter
    assert jitter is not None and jitter.hls is not None
    assert set(jitter.hls[:, 0].tolist()) == {-255, 255}
