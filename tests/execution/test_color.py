"""Jitters, padded images and color matrices: of a batch and of one sample."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from gpuio.execution.color import (
    batch_color_matrices,
    color_matrix,
    jitter_batch,
    jitter_sample,
    paint_borders,
)
from gpuio.planning.plan import Border, Jitter, Plan

PLAIN = Plan(np.zeros((3, 4)), np.zeros((3, 4), np.int64), np.ones(3, np.int64), np.zeros(3, bool))


@pytest.fixture
def pixels() -> np.ndarray:
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (3, 40, 50, 3))
    noise[0, :20] = np.arange(50)[None, :, None] * 5  # grays
    return noise.astype(np.uint8)


def test_nothing_is_copied_where_nothing_changes(pixels: np.ndarray) -> None:
    for jitter in (None, Jitter(), Jitter(hls=np.zeros((3, 3), np.int64), gain=np.ones(3))):
        assert jitter_batch(pixels, jitter) is pixels
        assert jitter_sample(jitter, 1, pixels[1]).base is pixels
    assert paint_borders(pixels, PLAIN) is pixels
    assert batch_color_matrices(None, pixels) is None
    assert color_matrix(None, 0, pixels[0]) is None


@pytest.mark.parametrize("wrap", [True, False])
@pytest.mark.parametrize(
    "shift",
    [(17, 0, 0), (-40, 0, 0), (0, 60, 0), (0, -80, 0), (0, 0, 50), (0, 0, -200), (9, -9, 9)],
)
def test_a_shift_in_hls_is_opencvs(
    shift: tuple[int, int, int], wrap: bool, pixels: np.ndarray
) -> None:
    hls = np.zeros((3, 3), np.int64)
    hls[1:] = shift
    jitter = Jitter(hls=hls, wrap_hue=wrap)
    made = jitter_batch(pixels, jitter)
    np.testing.assert_array_equal(made[0], pixels[0])
    stored = cv2.cvtColor(pixels[1], cv2.COLOR_RGB2HLS).astype(int) + shift
    stored[..., 0] = stored[..., 0] % 180 if wrap else stored[..., 0].clip(0, 180)
    expected = cv2.cvtColor(stored.clip(0, 255).astype(np.uint8), cv2.COLOR_HLS2RGB)
    np.testing.assert_array_equal(jitter_sample(jitter, 1, pixels[1]), expected)
    # Hue and saturation are whole numbers in between, of which one is now and then another.
    difference = np.abs(made[1].astype(int) - expected)
    assert difference.max() <= 9
    assert difference.mean() < 0.2


def test_gain_rounds_and_saturates(pixels: np.ndarray) -> None:
    gain = np.array([1.0, 1.7, 0.3])
    jitter = Jitter(gain=gain)
    made = jitter_batch(pixels, jitter)
    np.testing.assert_array_equal(made[0], pixels[0])
    for row in (1, 2):
        np.testing.assert_array_equal(made[row], jitter_sample(jitter, row, pixels[row]))
        expected = np.rint(pixels[row] * gain[row].astype(np.float32)).clip(0, 255)
        np.testing.assert_array_equal(made[row], expected)


def test_a_padded_image_is_painted_around_the_image(pixels: np.ndarray) -> None:
    inside = np.array([(0, 0, 50, 40), (10, 5, 30, 6), (20, 20, 20, 30)])
    fill = np.array([(1, 2, 3), (4, 5, 6), (7, 8, 9)], np.uint8)
    made = paint_borders(pixels, replace(PLAIN, borders=(Border(inside, fill),)))
    np.testing.assert_array_equal(made[0], pixels[0])
    np.testing.assert_array_equal(made[1, 5, 10:30], pixels[1, 5, 10:30])
    made[1, 5, 10:30] = fill[1]
    assert (made[1] == fill[1]).all() and (made[2] == fill[2]).all()


def test_matrices_know_the_mean(pixels: np.ndarray) -> None:
    color = np.random.default_rng(1).normal(0, 1, (3, 3, 7))
    made = batch_color_matrices(color, pixels)
    assert made is not None and made.dtype == np.float32
    for row in range(3):
        np.testing.assert_array_equal(made[row], color_matrix(color, row, pixels[row]))
        picture = pixels[row].reshape(-1, 3).astype(float)
        mean = np.broadcast_to(picture.mean(0), picture.shape)
        columns = np.concatenate([picture, mean, np.ones((len(picture), 1))], axis=1)
        expected = columns @ color[row].T
        given = picture @ made[row][:, :3].T + made[row][:, 3]
        np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-3)


def test_a_jitter_mixes_channels_before_it_shifts_them(pixels: np.ndarray) -> None:
    color = np.tile(np.eye(3, 7) * 0.9, (3, 1, 1))
    color[1, :, 6] = 300, -300, 12.4
    color[2, :, 3:6] = 0.1
    made = jitter_batch(pixels, Jitter(color=color))
    matrices = batch_color_matrices(color, pixels)
    assert matrices is not None
    for row in range(3):
        mixed = pixels[row] @ matrices[row, :, :3].T.astype(float) + matrices[row, :, 3]
        expected = np.rint(mixed).clip(0, 255)
        assert np.abs(made[row] - expected).max() <= 1  # float32 rounds a half either way
        np.testing.assert_allclose(
            jitter_sample(Jitter(color=color), row, pixels[row]), made[row].astype(int), atol=1
        )
    both = Jitter(color=color, hls=np.tile((10, 20, -30), (3, 1)), gain=np.full(3, 0.5))
    np.testing.assert_array_equal(
        jitter_batch(pixels, both), jitter_batch(made, both._replace(color=None))
    )
