"""One sample on the host: decoding and resampling as a plan says."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gpuio.errors import DecodeError
from gpuio.execution.resample import OPENCV_METHODS, render_sample, resample, warp
from gpuio.loading.reader import BatchReader
from gpuio.planning.crop import CropPlanner
from gpuio.planning.crop_options import CropOptions
from gpuio.planning.plan import AREA, CUBIC, LANCZOS, LINEAR, NEAREST, Border, Jitter, Plan
from tests.close import Tolerance, assert_images_close
from tests.io.records import jpeg
from tests.loading.fakes import MemorySource, indices

METHODS = [NEAREST, LINEAR, CUBIC, AREA, LANCZOS]


def image(width: int = 60, height: int = 50) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def plan(window: Any, method: int = LINEAR, bounds: Any = (0, 0, 60, 50), **more: Any) -> Plan:
    return Plan(
        np.array([window], float), np.array([bounds]), np.array([method]), np.zeros(1, bool), **more
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_window_of_the_outputs_size_is_a_crop(method: int) -> None:
    pixels = image()
    found = resample(pixels, (7, 5, 20, 30), plan((7, 5, 20, 30), method), 0, (20, 30), False)
    np.testing.assert_array_equal(found, pixels[5:35, 7:27])
    assert np.shares_memory(found, pixels)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(30, 25), (120, 100), (37, 41)])
def test_the_whole_image_is_resized_by_opencv(method: int, size: tuple[int, int]) -> None:
    found = resample(image(), (0, 0, 60, 50), plan((0, 0, 60, 50), method), 0, size, False)
    expected = cv2.resize(image(), size, interpolation=OPENCV_METHODS[method])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("method", METHODS)
def test_a_window_of_a_scaled_image_is_that_crop(method: int) -> None:
    """As MXNet's resize and crop."""
    window = (10, 8, 40, 32)  # of 30 x 25 pixels: 5, 4, 20, 16
    found = resample(image(), window, plan(window, method), 0, (20, 16), False)
    expected = cv2.resize(image(), (30, 25), interpolation=OPENCV_METHODS[method])
    np.testing.assert_array_equal(found, expected[4:20, 5:25])


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0, 20), st.floats(0, 20), st.floats(8, 40), st.floats(8, 30),
    st.integers(1, 50), st.integers(1, 50),
)  # fmt: skip
def test_windows_off_the_grid_lie_where_they_are(
    x: float, y: float, w: float, h: float, width: int, height: int
) -> None:
    """On a slope, where bilinear interpolation is exact but for rounding."""
    columns, rows = np.meshgrid(np.arange(60), np.arange(50))
    slope = np.stack([4 * columns, 5 * rows, 2 * (columns + rows)], axis=2).astype(np.uint8)
    found = resample(slope, (x, y, w, h), plan((x, y, w, h)), 0, (width, height), False)
    assert found.shape == (height, width, 3)
    column = (x + (np.arange(width) + 0.5) * w / width - 0.5).clip(0, 59)
    row = (y + (np.arange(height) + 0.5) * h / height - 0.5).clip(0, 49)
    assert np.abs(found[:, :, 0].astype(float) - 4 * column).max() <= 1
    assert np.abs(found[:, :, 1].astype(float) - 5 * row[:, None]).max() <= 1


@pytest.mark.parametrize("method", METHODS)
def test_nothing_beyond_the_bounds_is_blended_in(method: int) -> None:
    pixels = image()
    pixels[:, :20] = pixels[:, 40:] = pixels[:15] = pixels[35:] = 0
    pixels[15:35, 20:40] = 200
    window = (20, 15, 20, 20)
    found = resample(pixels, window, plan(window, method, (20, 15, 40, 35)), 0, (33, 31), False)
    assert (found == 200).all()
    if method != NEAREST:
        wide = resample(pixels, window, plan(window, method), 0, (33, 31), False)
        assert wide.shape == (31, 33, 3)


@pytest.mark.parametrize("method", METHODS)
def test_a_flipped_image_is_resampled_flipped(method: int) -> None:
    window = (0, 0, 60, 50)
    flipped = plan(window, method, resample_flipped=np.array([True]))
    found = resample(image(), window, flipped, 0, (37, 41), False)
    mirrored = np.ascontiguousarray(image()[:, ::-1])
    expected = cv2.resize(mirrored, (37, 41), interpolation=OPENCV_METHODS[method])[:, ::-1]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("method", "kind"), [(LINEAR, "BILINEAR"), (CUBIC, "BICUBIC")])
def test_antialiasing_is_pillows(method: int, kind: str) -> None:
    window = (10.5, 8.25, 40, 32)
    found = resample(image(), window, plan(window, method), 0, (16, 12), True)
    x, y, w, h = window
    resampling = getattr(Image.Resampling, kind)
    expected = Image.fromarray(image()).resize((16, 12), resampling, (x, y, x + w, y + h))
    np.testing.assert_array_equal(found, np.asarray(expected))
    # What is enlarged is not averaged.
    enlarged = [resample(image(), window, plan(window, method), 0, (90, 80), on)
                for on in (True, False)]  # fmt: skip
    np.testing.assert_array_equal(*enlarged)


def test_antialiasing_beyond_the_image_is_that_of_its_edge() -> None:
    window = -0.4, -0.3, 60.9, 50.5
    found = resample(image(), window, plan(window), 0, (28, 24), True)
    inside = resample(image(), (0, 0, 60, 50), plan((0, 0, 60, 50)), 0, (28, 24), True)
    np.testing.assert_array_equal(found, inside)


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_stay(channels: int, antialias: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 60, channels), np.uint8)
    for size in ((30, 25), (60, 50), (17, 23)):
        found = resample(pixels, (0, 0, 60, 50), plan((0, 0, 60, 50)), 0, size, antialias)
        assert found.shape == (size[1], size[0], channels) and found.dtype == np.uint8


def batch(payloads: list[bytes], size: tuple[int, int] = (28, 24)) -> Any:
    planner = CropPlanner(CropOptions(size[1], size[0]), 0, 1)
    reader = BatchReader(MemorySource(list(payloads)), planner, ())
    return reader.read(indices(len(payloads), len(payloads)))


def test_a_sample_is_decoded_and_cropped() -> None:
    made = batch([jpeg(0, 60, 50)])
    decoded = cv2.imdecode(np.frombuffer(jpeg(0, 60, 50), np.uint8), cv2.IMREAD_COLOR_RGB)
    found = render_sample(made, 0, (28, 24), 3, False)
    np.testing.assert_array_equal(found, decoded[13:37, 16:44])


def test_borders_are_painted_around_what_is_visible() -> None:
    made = batch([jpeg(0, 60, 50)])
    assert made.plan is not None
    inside = np.array([[4, 3, 24, 21]])
    outer = Border(np.array([[1, 1, 27, 23]]), np.uint8([[7, 8, 9]]))
    made.plan = replace(made.plan, borders=(Border(inside, np.uint8([[1, 2, 3]])), outer))
    found = render_sample(made, 0, (28, 24), 3, False)
    plain = render_sample(batch([jpeg(0, 60, 50)]), 0, (28, 24), 3, False)
    np.testing.assert_array_equal(found[3:21, 4:24], plain[3:21, 4:24])
    found = found.copy()
    found[3:21, 4:24] = (1, 2, 3)
    assert (found[1:23, 1:27] == (1, 2, 3)).all()
    found[1:23, 1:27] = (7, 8, 9)
    assert (found == (7, 8, 9)).all()


def test_an_invisible_image_shows_its_border_only() -> None:
    made = batch([jpeg(0, 60, 50)])
    border = Border(np.array([[5, 5, 5, 9]]), np.uint8([[1, 2, 3]]))
    made.plan = replace(made.plan, borders=(border,))
    assert (render_sample(made, 0, (28, 24), 3, False) == (1, 2, 3)).all()


def test_jitter_leaves_borders_alone_and_may_be_left_out() -> None:
    made = batch([jpeg(0, 60, 50)])
    border = Border(np.array([[4, 3, 24, 21]]), np.uint8([[100, 100, 100]]))
    made.plan = replace(made.plan, image_jitter=Jitter(gain=np.array([0.5])), borders=(border,))
    found = render_sample(made, 0, (28, 24), 3, False).copy()
    plain = render_sample(made, 0, (28, 24), 3, False, jitter=False).copy()
    halved = plain[3:21, 4:24].astype(np.float32) / 2
    assert_images_close(found[3:21, 4:24].astype(np.float32), halved, Tolerance(0.5, 0.5))
    for each in (found, plain):
        assert (each[:3] == 100).all() and (each[:, 24:] == 100).all()


def test_what_cannot_be_decoded() -> None:
    broken = jpeg(0, 60, 50)
    header = broken[: broken.index(b"\xff\xda")]
    made = batch([header + b"\xff\xd9", jpeg(1)])
    with pytest.raises(DecodeError):
        render_sample(made, 0, (28, 24), 3, False)
    assert render_sample(made, 1, (28, 24), 3, False).shape == (24, 28, 3)


@pytest.mark.parametrize("method", [LINEAR, CUBIC])
def test_images_wider_than_opencv_s_affine_maps_read(method: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40_000, 3), np.uint8)
    begin, window = 30_000, (30_100.25, 3.5, 40.5, 30.25)
    part = pixels[:, begin:]
    near = (window[0] - begin, *window[1:])
    found = resample(pixels, window, plan(window, method, (0, 0, 40_000, 40)), 0, (28, 24), False)
    expected = resample(part, near, plan(near, method, (0, 0, 10_000, 40)), 0, (28, 24), False)
    np.testing.assert_array_equal(found, expected)
    matrix = np.array([[0.5, 0.1, 30_100], [-0.1, 0.5, 10]])
    moved = matrix - np.array([[0, 0, begin], [0, 0, 0]])
    turned = warp(pixels, matrix, method, (28, 24), (9,) * 3)
    expected = warp(part, moved, method, (28, 24), (9,) * 3)
    # Fixed-point numbers of places farther from 0 round otherwise.
    assert_images_close(turned.astype(float), expected.astype(float), Tolerance(1, 0.02))


def test_a_window_that_is_too_wide_itself() -> None:
    gradient = np.repeat(np.linspace(0, 255, 66_000).astype(np.uint8)[None, :, None], 3, axis=0)
    whole = (0.5, 0.0, 65_999.0, 3.0)
    found = resample(gradient, whole, plan(whole, bounds=(0, 0, 66_000, 3)), 0, (11, 3), False)
    expected = np.linspace(0, 255, 23)[1::2]
    np.testing.assert_allclose(found[1, :, 0], expected, atol=2)
