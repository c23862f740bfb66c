"""Rotation, shear, scale and aspect ratio, against the definition of their map."""

import math

import numpy as np
import pytest

from gpuio.errors import ArgumentError
from gpuio.planning.affine import AffineOptions, plan_affine


def planned(
    options: AffineOptions, *sizes: tuple[int, int], seed: int = 0
) -> tuple[np.ndarray, ...]:
    count = len(sizes)
    matrix, canvas = plan_affine(
        options, np.array(sizes), seed, np.zeros(count, np.int64), np.arange(count)
    )
    return matrix, *canvas.T


def test_the_default_maps_nothing() -> None:
    options = AffineOptions()
    assert not options.active and not options.turns
    matrix, width, height = planned(options, (60, 50))
    np.testing.assert_allclose(matrix[0], [[1, 0, 0], [0, 1, 0]], atol=1e-6)
    assert (width[0], height[0]) == (60, 50)


@pytest.mark.parametrize(
    ("options", "active", "turns"),
    [
        ({"rotation": 30}, True, True),
        ({"rotation": -30}, False, False),
        ({"max_rotation": 5}, True, True),
        ({"rotations": (0,)}, True, True),
        ({"max_shear": 0.1}, True, True),
        ({"scale": (0.5, 0.5)}, True, False),
        ({"ratio": (0.5, 0.5)}, True, False),
        ({"canvas": (0.0, 50.0)}, True, False),
        ({"canvas": (5.0, 1e10)}, True, False),
    ],
)
def test_what_is_active_and_what_turns(options: dict, active: bool, turns: bool) -> None:
    made = AffineOptions(**options)
    assert (made.active, made.turns) == (active, turns)


def test_a_rotation_is_counterclockwise_about_the_center() -> None:
    matrix, width, height = planned(AffineOptions(rotation=90), (60, 50))
    assert (width[0], height[0]) == (60, 50), "the canvas is not turned"
    center = (30, 25, 1)
    np.testing.assert_allclose(matrix[0] @ center, (30, 25), atol=1e-5)
    # What is at the right of the image comes to the top of the canvas.
    np.testing.assert_allclose(matrix[0] @ (30, 5, 1), (50, 25), atol=1e-5)


def test_scale_and_ratio_change_the_size_of_the_image_and_scale_that_of_the_canvas() -> None:
    options = AffineOptions(scale=(2.0, 2.0), ratio=(0.5, 0.5))
    matrix, width, height = planned(options, (60, 50))
    assert (width[0], height[0]) == (120, 100)
    # hs = 2 * scale / (1 + ratio), ws = ratio * hs: the factors of width and height.
    factors = 2 * 2 / 1.5, 0.5 * 2 * 2 / 1.5
    np.testing.assert_allclose(matrix[0, [0, 1], [0, 1]], 1 / np.array(factors), rtol=1e-6)
    np.testing.assert_allclose(matrix[0] @ (60, 50, 1), (30, 25), atol=1e-5)


def test_the_canvas_keeps_its_limits_and_has_a_pixel() -> None:
    _, width, height = planned(AffineOptions(canvas=(40.0, 55.5)), (60, 30), (50, 57))
    assert width.tolist() == [55, 50] and height.tolist() == [40, 55]
    _, width, height = planned(AffineOptions(scale=(0.01, 0.01)), (60, 30))
    assert (width[0], height[0]) == (1, 1)


def test_an_image_keeps_a_pixel() -> None:
    matrix, width, height = planned(AffineOptions(scale=(1e-6, 1e-6)), (60, 50))
    assert (width, height) == (1, 1)
    np.testing.assert_allclose(np.diag(matrix[0, :, :2]), (60, 50), rtol=1e-6)


def test_draws_are_uniform() -> None:
    options = AffineOptions(max_rotation=10, max_shear=0.2, scale=(0.5, 1.5), ratio=(0.8, 1.25))
    matrix, width, _ = planned(options, *[(1000, 1000)] * 4000)
    inverse = np.linalg.inv(matrix[:, :, :2])
    # The second row is across * (-sin, cos).
    degrees = np.rint(np.degrees(np.arctan2(-inverse[:, 1, 0], inverse[:, 1, 1]))).astype(int)
    counts = np.bincount(degrees + 10)
    assert len(counts) == 21
    assert ((counts - 4000 / 21) ** 2 / (4000 / 21)).sum() < 52  # p < 0.0001
    for drawn, low, high in ((width / 1000, 0.5, 1.5), (ratios(inverse), 0.8, 1.25)):
        assert low - 1e-3 <= drawn.min() and drawn.max() <= high + 1e-3
        expected = low + (high - low) * (np.arange(4000) + 0.5) / 4000
        # Kolmogorov and Smirnov, p < 0.0001.
        assert np.abs(np.sort(drawn) - expected).max() < (high - low) * 2.23 / math.sqrt(4000)


def ratios(inverse: np.ndarray) -> np.ndarray:
    """across / down of forward maps, (N, 2, 2): their determinant is the product of both."""
    across = np.hypot(inverse[:, 1, 0], inverse[:, 1, 1])
    return across**2 / np.linalg.det(inverse)


def test_one_of_the_listed_rotations_is_drawn() -> None:
    matrix, _, _ = planned(AffineOptions(rotations=(0, 90, -90), rotation=7), *[(50, 50)] * 3000)
    turned = np.rint(matrix[:, 0, 1]).astype(int)
    assert all(900 < (turned == side).sum() < 1100 for side in (-1, 0, 1))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": (0.0, 1.0)}, "min_random_scale"),
        ({"scale": (2.0, 1.0)}, "max_random_scale"),
        ({"ratio": (-0.5, 2.5)}, "aspect ratios"),
        ({"canvas": (5.0, 4.0)}, "min_img_size"),
        ({"canvas": (0.0, 0.5)}, "at least 1"),
        ({"scale": (1e-46, 1.0)}, "min_random_scale"),
        ({"scale": (1.0, 1e39)}, "max_random_scale"),
        ({"ratio": (1e-40, 1.0)}, "aspect ratios"),
        ({"max_shear": 1e39}, "max_shear_ratio"),
        ({"rotations": (0, 2**70)}, "rotate_list"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        AffineOptions(**options)


def test_maps_are_inverted_where_float32_would_be_singular() -> None:
    options = AffineOptions(
        max_rotation=180, max_shear=0.1, scale=(1e-6, 1e-6), ratio=(1000.0, 1000.0)
    )
    matrix, width, height = planned(options, *[(50, 40)] * 2000)
    assert np.isfinite(matrix).all()
    assert (width == 1).all() and (height == 1).all()
    usual = AffineOptions(max_rotation=90, max_shear=2.0, scale=(0.5, 2.0), ratio=(0.5, 2.0))
    matrix, width, height = planned(usual, *[(50, 40)] * 200)
    # The center of the image, in the middle of the canvas before its size is rounded.
    middle = np.stack([width / 2, height / 2, np.ones(200)], axis=1)
    found = np.einsum("nij,nj->ni", matrix, middle)
    assert np.abs(found - (25, 20)).max() < 8  # half a pixel of a canvas, magnified by the shear
