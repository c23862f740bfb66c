"""Tracing: operations on an image without its pixels, against the same on pixels."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuio.errors import ArgumentError, DecodeError
from gpuio.execution.color import color_matrix, paint_borders
from gpuio.execution.resample import resample
from gpuio.planning.plan import AREA, AUTOMATIC, CUBIC, LINEAR, NEAREST, Plan
from gpuio.planning.planner import Samples
from gpuio.planning.tracer import LUMA, ImageTracer, as_pixels, plan_from_traces, trace_batch

WIDTH, HEIGHT = 24, 18


def numbered(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """An image whose first two channels are its columns and rows, counted from 1."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, :, 0] = np.arange(width) + 1
    pixels[:, :, 1] = np.arange(height)[:, None] + 1
    return pixels


def run(plan: Plan, pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The output of a plan for one image that has no borders inside of others."""
    window = tuple(plan.window[0])
    x0, y0, x1, y1 = plan.visible(size)[0]
    output = np.zeros((1, size[1], size[0], 3), np.uint8)
    if x0 < x1 and y0 < y1:
        across, down = window[2] / size[0], window[3] / size[1]
        shown = (window[0] + x0 * across, window[1] + y0 * down, (x1 - x0) * across,
                 (y1 - y0) * down)  # fmt: skip
        output[0, y0:y1, x0:x1] = resample(pixels, shown, plan, 0, (x1 - x0, y1 - y0), False)
    painted = paint_borders(output, plan)[0]
    return painted[:, ::-1] if plan.flip[0] else painted


OPERATIONS = st.lists(
    st.one_of(
        st.just(("flip",)),
        st.tuples(st.just("crop"), *[st.floats(0, 1)] * 4),
        st.tuples(st.just("pad"), *[st.integers(0, 4)] * 4, st.integers(100, 200)),
    ),
    max_size=6,
)


@settings(max_examples=200, deadline=None)
@given(OPERATIONS)
def test_crops_flips_and_borders_are_those_of_the_pixels(operations: list[Any]) -> None:
    tracer, pixels = ImageTracer(WIDTH, HEIGHT), numbered()
    for name, *values in operations:
        height, width = pixels.shape[:2]
        if name == "flip":
            tracer.flip()
            pixels = pixels[:, ::-1]
        elif name == "crop":
            x, y = int(values[0] * (width - 1)), int(values[1] * (height - 1))
            w, h = 1 + int(values[2] * (width - x - 1)), 1 + int(values[3] * (height - y - 1))
            tracer.crop(x, y, w, h)
            pixels = pixels[y : y + h, x : x + w]
        else:
            left, top, right, bottom, value = values
            # Tracing flips at the end; a border's sides are those of the flipped image.
            if plan_from_traces([tracer], tracer.width, tracer.height).flip[0]:
                left, right = right, left
                tracer.pad(right, top, left, bottom, (value,) * 3)
                pixels = np.pad(pixels, ((top, bottom), (right, left), (0, 0)),
                                constant_values=value)  # fmt: skip
            else:
                tracer.pad(left, top, right, bottom, (value,) * 3)
                pixels = np.pad(pixels, ((top, bottom), (left, right), (0, 0)),
                                constant_values=value)  # fmt: skip
        assert (tracer.height, tracer.width) == pixels.shape[:2]
    size = tracer.width, tracer.height
    plan = plan_from_traces([tracer], *size)
    np.testing.assert_array_equal(run(plan, numbered(), size), pixels)


def test_resizes_are_one_resampling() -> None:
    tracer = ImageTracer(100, 80)
    tracer.resize(50, 40, LINEAR)
    tracer.crop(10, 5, 20, 10)
    tracer.resize(40, 30, CUBIC)
    plan = plan_from_traces([tracer], 40, 30)
    assert plan.window.tolist() == [[20, 10, 40, 20]]
    assert plan.bounds.tolist() == [[20, 10, 60, 30]]  # what was cropped off is not blended in
    assert plan.method.tolist() == [CUBIC]


def test_a_resize_to_the_same_size_is_none() -> None:
    tracer = ImageTracer(100, 80)
    tracer.crop(10, 10, 50, 40)
    tracer.resize(50, 40, CUBIC)
    plan = plan_from_traces([tracer], 50, 40)
    assert plan.bounds.tolist() == [[0, 0, 100, 80]] and plan.method.tolist() == [LINEAR]


def test_the_shorter_side_is_scaled() -> None:
    tracer = ImageTracer(113, 87)
    tracer.resize_shorter(64, LINEAR)
    assert (tracer.width, tracer.height) == (83, 64)


def test_the_automatic_interpolation_goes_by_the_source() -> None:
    for first, second, method in (((50, 40), (60, 50), AREA), ((200, 160), (90, 70), AREA),
                                  ((50, 40), (300, 300), CUBIC)):  # fmt: skip
        tracer = ImageTracer(100, 80)
        tracer.resize(*first, LINEAR)
        tracer.resize(*second, AUTOMATIC)
        assert plan_from_traces([tracer], *second).method.tolist() == [method]


def test_a_flipped_image_is_resampled_flipped_where_that_differs() -> None:
    for method, differs in ((NEAREST, True), (CUBIC, True), (LINEAR, False)):
        for order in ("flip first", "resize first"):
            tracer = ImageTracer(30, 20)
            if order == "flip first":
                tracer.flip()
            tracer.resize(12, 9, method)
            if order == "resize first":
                tracer.flip()
            plan = plan_from_traces([tracer], 12, 9)
            assert plan.flip.tolist() == [True]
            expected = differs and order == "flip first"
            assert (plan.resample_flipped is not None) == expected


COLORS: dict[str, Any] = {
    "scale": (lambda t: t.scale(0.5), lambda p: p * 0.5),
    "scale each": (lambda t: t.scale([1, 2, 3]), lambda p: p * [1, 2, 3]),
    "shift": (lambda t: t.shift(7), lambda p: p + 7),
    "shift each": (lambda t: t.shift([1, 2, 3]), lambda p: np.add(p, [1, 2, 3])),
    "mix": (lambda t: t.mix_channels(np.ones((3, 3))), lambda p: p.sum(2, keepdims=True) + 0 * p),
    "contrast": (
        lambda t: t.contrast(1.5), lambda p: p * 1.5 - 0.5 * (p @ np.array(LUMA)).mean()
    ),
    "saturate": (
        lambda t: t.saturate(0.3), lambda p: p * 0.3 + 0.7 * (p @ np.array(LUMA))[..., None]
    ),
}  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(sorted(COLORS)), max_size=5))
def test_changes_of_color_are_one_matrix(names: list[str]) -> None:
    tracer, pixels = ImageTracer(WIDTH, HEIGHT), numbered().astype(float)
    for name in names:
        trace, apply = COLORS[name]
        trace(tracer)
        pixels = apply(pixels)
    plan = plan_from_traces([tracer], WIDTH, HEIGHT)
    matrix = color_matrix(plan.color, 0, numbered())
    if not names:
        assert matrix is None
        return
    assert matrix is not None
    found = numbered().astype(float) @ matrix[:, :3].T.astype(float) + matrix[:, 3]
    np.testing.assert_allclose(found, pixels, rtol=1e-4, atol=1e-3)


def test_images_of_a_batch_have_their_own_borders_and_colors() -> None:
    plain, padded, tinted = (ImageTracer(10, 10) for _ in range(3))
    padded.pad(5, 0, 5, 10, (1, 2, 300))
    tinted.scale(2)
    plan = plan_from_traces([plain, padded, tinted], 20, 20)
    (border,) = plan.borders
    assert border.inside.tolist() == [[0, 0, 20, 20], [5, 0, 15, 10], [0, 0, 20, 20]]
    assert border.fill[1].tolist() == [1, 2, 255]
    assert plan.color is not None
    np.testing.assert_array_equal(plan.color[:, :, :3], [np.eye(3), np.eye(3), 2 * np.eye(3)])
    assert plan_from_traces([plain], 10, 10).borders == ()


def test_errors_make_bad_records_and_random_numbers_their_own() -> None:
    count = 5
    epoch, record = np.zeros(count, np.int64), np.arange(count)
    drawn: dict[int, list[float]] = {}

    def trace(image: ImageTracer, rng: Any, label: Any) -> Any:
        drawn.setdefault(int(label), []).append(rng.random())
        if label == 3:
            raise DecodeError("three")
        return label * 10

    sizes = np.full((count, 2), 8)
    labels = [0.0, 1.0, None, 3.0, 4.0]
    planned = trace_batch(7, Samples(epoch, record, sizes, labels), trace, (8, 8))
    assert planned.labels == [0, 10, None, None, 40]
    assert {row: str(error) for row, error in planned.errors.items()} == {3: "three"}
    assert planned.plan.window.shape == (count, 4)
    last = Samples(epoch[4:], record[4:], sizes[4:], labels[4:])
    trace_batch(7, last, trace, (8, 8))
    assert drawn[4][0] == drawn[4][1] and len({values[0] for values in drawn.values()}) == 4


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.crop(-1, 0, 2, 2),
        lambda t: t.crop(0, 0, 0, 2),
        lambda t: t.crop(20, 0, 5, 2),
        lambda t: t.crop(0, 17, 5, 2),
    ],
)
def test_crops_that_are_not_inside(call: Any) -> None:
    with pytest.raises(ArgumentError, match="is empty, or not inside an image of 24 x 18"):
        call(ImageTracer(WIDTH, HEIGHT))


@pytest.mark.parametrize("length", [0, -1, 2.5, None, "a", float("nan"), float("inf"), (3, 4)])
def test_lengths_that_are_none(length: Any) -> None:
    with pytest.raises(ArgumentError, match="w must be an integer of at least 1 pixel"):
        as_pixels("w", length)
    tracer = ImageTracer(WIDTH, HEIGHT)
    with pytest.raises(ArgumentError):
        tracer.resize(5, length, LINEAR)
    with pytest.raises(ArgumentError):
        tracer.resize_shorter(length, LINEAR)


def test_lengths_may_be_floats_and_arrays_of_whole_value() -> None:
    for length in (3, 3.0, np.int64(3), np.float32(3)):
        assert as_pixels("w", length) == 3 and type(as_pixels("w", length)) is int
