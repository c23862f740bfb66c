"""The augmenters that change colors: their formulas and distributions."""

import random
from typing import Any

import numpy as np
import pytest
from scipy import stats

import gpuio as mx
from gpuio.execution.color import color_matrix
from gpuio.planning.tracer import ImageTracer, plan_from_traces
from gpuio.sampling.sample_rng import SampleRng
from tests.image.images import noise

I = mx.image  # noqa: E741


def test_images_are_not_changed() -> None:
    """Other than in MXNet, where jitters write into the image that they are given."""
    for dtype in (np.uint8, np.float32):
        picture = noise(20, 30, dtype=dtype)
        before = np.array(picture)
        for augment in I.CreateAugmenter(
            (3, 10, 12), brightness=0.5, contrast=0.5, saturation=0.5, hue=0.5, pca_noise=0.5,
            rand_gray=1, mean=True, std=True, rand_mirror=True,
        ):  # fmt: skip
            made = augment(picture)
            assert isinstance(made, mx.nd.NDArray)
            np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("name", ["Brightness", "Contrast", "Saturation"])
def test_jitters_are_even(name: str) -> None:
    """Kolmogorov-Smirnov test of the factor, at 0.1 %."""
    random.seed(2)
    augment = getattr(I, f"{name}JitterAug")(0.4)
    picture = noise(2, 2, dtype=np.float32)
    two = np.asarray(picture)
    factors = []
    for _ in range(1500):
        made = np.asarray(augment(picture), float)
        factors.append((made[0, 0, 0] - made[1, 1, 1]) / (two[0, 0, 0] - two[1, 1, 1]))
    if name == "Saturation":  # differences within a pixel, which its luma leaves alone
        factors = []
        for _ in range(1500):
            made = np.asarray(augment(picture), float)
            factors.append((made[0, 0, 0] - made[0, 0, 1]) / (two[0, 0, 0] - two[0, 0, 1]))
    assert stats.kstest(factors, "uniform", (0.6, 0.8)).pvalue > 0.001


def test_lighting_has_the_colors_covariance() -> None:
    np.random.seed(0)
    from gpuio.planning.colors import EIGENVALUES, EIGENVECTORS

    augment = I.LightingAug(0.1, np.array(EIGENVALUES), np.array(EIGENVECTORS))
    zero = mx.nd.zeros((1, 1, 3))
    noises = np.array([np.asarray(augment(zero))[0, 0] for _ in range(4000)], float)
    vectors = np.array(EIGENVECTORS)
    expected = vectors @ np.diag((0.1 * np.array(EIGENVALUES)) ** 2) @ vectors.T
    np.testing.assert_allclose(np.cov(noises.T), expected, rtol=0.12, atol=0.2)


def test_hue_turns_back() -> None:
    picture = noise(5, 5, dtype=np.float32)
    np.testing.assert_allclose(I.HueJitterAug(0)(picture), picture, atol=1)


@pytest.mark.parametrize("chance", [0.0, 0.3, 1.0])
def test_gray_comes_with_its_probability(chance: float) -> None:
    random.seed(5)
    image = noise(3, 4, dtype=np.float32)
    augment = I.RandomGrayAug(chance)
    changed = sum(not np.array_equal(augment(image), image) for _ in range(1000))
    assert stats.binomtest(changed, 1000, chance).pvalue > 0.001


AUGMENTERS: dict[str, Any] = {
    "brightness": lambda: I.BrightnessJitterAug(0.5),
    "contrast": lambda: I.ContrastJitterAug(0.5),
    "saturation": lambda: I.SaturationJitterAug(0.5),
    "hue": lambda: I.HueJitterAug(0.5),
    "lighting": lambda: I.LightingAug(0.5, [55.46, 4.794, 1.148], np.eye(3)),
    "normalize": lambda: I.ColorNormalizeAug([1, 2, 3], [4, 5, 6]),
    "mean": lambda: I.ColorNormalizeAug(7, None),
    "std": lambda: I.ColorNormalizeAug(None, [4.0]),
    "gray": lambda: I.RandomGrayAug(1.0),
    "cast": I.CastAug,
}


@pytest.mark.parametrize("name", AUGMENTERS)
def test_tracing_gives_the_colors_of_the_pixels(name: str) -> None:
    """As a matrix for the image of which the mean is known."""
    image = noise(8, 9)
    augmenter, tracer = AUGMENTERS[name](), ImageTracer(9, 8)
    params = augmenter.draw(SampleRng(1, 2, 3), (9, 8))
    augmenter.trace(tracer, params)
    plan = plan_from_traces([tracer], 9, 8)
    matrix = color_matrix(plan.color, 0, np.asarray(image))
    if matrix is None:
        matrix = np.eye(3, 4)
    expected = np.asarray(image, float) @ matrix[:, :3].T + matrix[:, 3]
    np.testing.assert_allclose(augmenter.apply(image, params), expected, rtol=1e-5, atol=1e-3)
    assert augmenter.stage == "color"


@pytest.mark.parametrize("name", AUGMENTERS)
def test_integers_become_float32(name: str) -> None:
    for dtype, expected in ((np.uint8, np.float32), (np.float64, np.float64)):
        found = AUGMENTERS[name]()(noise(4, 5, dtype=dtype))
        assert found.dtype == (np.float32 if name == "cast" else expected)


def test_cast_knows_the_dtype() -> None:
    assert I.CastAug("uint8")(noise(2, 2, dtype=np.float32)).dtype == np.uint8
    assert I.CastAug().dumps() == '["castaug", {"type": "float32"}]'
    assert "rounds" in str(I.CastAug("int32").unplannable_reason())
    assert I.CastAug("float64").unplannable_reason() is None


def test_normalization_is_known_unless_a_subclass_does_otherwise() -> None:
    assert I.ColorNormalizeAug([1, 2, 3], 4).normalization() == ([1, 2, 3], [4, 4, 4])
    assert I.ColorNormalizeAug(None, None).normalization() == ([0, 0, 0], [1, 1, 1])

    class Shift(I.ColorNormalizeAug):
        def trace(self, tracer: Any, params: Any) -> None:
            tracer.shift(1)

    assert Shift([1, 2, 3], 4).normalization() is None
    assert I.CastAug().normalization() is None


def test_jitters_without_a_range_are_left_out() -> None:
    kinds = [type(each) for each in I.ColorJitterAug(0.1, 0, 0.2).ts]
    assert kinds == [I.BrightnessJitterAug, I.SaturationJitterAug]
    image = noise(2, 2)
    assert I.ColorJitterAug(0, 0, 0)(image) is image
