"""Planning of images with boxes: windows, options, labels."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuio.errors import ArgumentError
from gpuio.planning.detection import (
    LABEL_PREFIX,
    CropSampler,
    DetectionOptions,
    DetectionPlanner,
    draw_window,
)
from gpuio.planning.plan import Jitter
from gpuio.planning.planner import Samples
from gpuio.sampling.sample_rng import SampleRng

EVERYTHING = (-math.inf, math.inf)
SAMPLER = CropSampler((0.3, 0.9), (0.5, 2.0), EVERYTHING, EVERYTHING, EVERYTHING, 25)
OPTIONS = DetectionOptions(
    height=40, width=60, resize=-1, method=1, resize_mode="force", fill_value=9, mirror_prob=0.0,
    pad_prob=0.0, max_pad_scale=1.0, crop_prob=0.0, samplers=(), emit_mode="center",
    emit_overlap_thresh=0.3, hls=((0, 0.0),) * 3, contrast=(0.0, 0.0),
)  # fmt: skip
BOX = [7, 0.2, 0.2, 0.6, 0.7]


def planned(options: DetectionOptions, count: int, label: Any = None, **changes: Any) -> Any:
    """Plans of images of 80 x 60 pixels, with one box each."""
    values = {"label_width": -1, "label_length": 20, "pad_value": -1.0, **changes}
    planner = DetectionPlanner(options, 3, 3, **values)
    labels = [np.float32([2, 5, *BOX] if label is None else label)] * count
    sizes = np.tile([80, 60], (count, 1))
    return planner.plan(Samples(np.zeros(count, np.int64), np.arange(count), sizes, labels))


@settings(deadline=None)
@given(
    st.floats(0.05, 1), st.floats(0.05, 1), st.floats(0.2, 1), st.floats(1, 5), st.floats(0.3, 3),
    st.integers(0, 10**6),
)  # fmt: skip
def test_windows_are_inside_and_of_their_ranges(
    one: float, other: float, low: float, high: float, aspect: float, record: int
) -> None:
    least, most = sorted((one, other))
    sampler = replace(SAMPLER, scales=(least, most), aspects=(low, high))
    x, y, w, h = draw_window(sampler, aspect, SampleRng(0, 0, record))
    assert 0 <= x <= x + w <= 1 + 1e-9 and 0 <= y <= y + h <= 1 + 1e-9
    assert math.sqrt(w * h) <= most + 1e-6
    if low <= aspect <= high:  # an aspect ratio of the image's own fits at any scale
        assert math.sqrt(w * h) >= least - 1e-6
        assert low - 1e-6 <= w / h * aspect <= high + 1e-6


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scales": (0.6, 0.5)}, "min_crop_scales must be at most max_crop_scales"),
        ({"scales": (-0.1, 0.5)}, "neither below 0"),
        ({"scales": (0.5, 1.1)}, "max_crop_scales must be at most 1"),
        ({"aspects": (2.0, 1.0)}, "min_crop_aspect_ratios"),
        ({"overlaps": (0.5, 0.4)}, "min_crop_overlaps"),
        ({"sample_coverages": (0.5, 0.4)}, "min_crop_sample_coverages"),
        ({"object_coverages": (0.5, 0.4)}, "min_crop_object_coverages"),
    ],
)
def test_samplers_that_are_wrong(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        replace(SAMPLER, **change)


def test_options_that_are_wrong() -> None:
    with pytest.raises(ArgumentError, match="inter_method must be one of"):
        replace(OPTIONS, method=7)
    for value in (-1, 256):
        with pytest.raises(ArgumentError, match="fill_value must be 0 to 255"):
            replace(OPTIONS, fill_value=value)


def test_a_plain_plan_shows_the_whole_image() -> None:
    made = planned(OPTIONS, 2)
    np.testing.assert_array_equal(made.plan.window, [[0, 0, 80, 60]] * 2)
    assert made.plan.borders == () and made.plan.image_jitter == Jitter()
    expected = [3, 40, 60, 7, 2, 5, *BOX, *[-1] * 9]
    np.testing.assert_array_equal(made.labels[0], np.float32(expected))
    assert not made.errors


def test_only_what_may_have_borders_is_said_to() -> None:
    for change, borders in (
        ({}, False), ({"pad_prob": 0.1}, True), ({"resize_mode": "fit"}, True),
        ({"resize_mode": "shrink"}, True), ({"crop_prob": 1.0}, False),
    ):  # fmt: skip
        planner = DetectionPlanner(replace(OPTIONS, **change), 0, 3, -1, 20, -1.0)
        assert planner.borders is borders


def test_flips_come_with_their_probability_and_move_boxes() -> None:
    made = planned(replace(OPTIONS, mirror_prob=0.25), 4000)
    assert 900 < made.plan.flip.sum() < 1100
    flipped = np.array([label[7] for label in made.labels]) != np.float32(0.2)
    np.testing.assert_array_equal(flipped, made.plan.flip)
    row = made.labels[int(np.flatnonzero(made.plan.flip)[0])]
    np.testing.assert_allclose(row[6:11], [7, 0.4, 0.2, 0.8, 0.7], rtol=1e-6)


def test_padding_keeps_the_aspect_ratio_and_moves_boxes() -> None:
    made = planned(replace(OPTIONS, pad_prob=1.0, max_pad_scale=3.0), 300)
    window = made.plan.window
    grown = window[:, 2:] / [80, 60]
    assert (grown >= 1).all() and (grown <= 3).all() and np.median(grown) > 1.5
    assert np.abs(grown[:, 0] - grown[:, 1]).max() < 0.06  # pixels are whole
    for row, label in zip(window, made.labels, strict=True):
        x, y, w, h = row
        shown = [(16 - x) / w, (12 - y) / h, (48 - x) / w, (42 - y) / h]
        np.testing.assert_allclose(label[7:11], shown, atol=0.03)


def test_a_padding_of_hardly_anything_is_omitted() -> None:
    made = planned(replace(OPTIONS, pad_prob=1.0, max_pad_scale=1.04), 50)
    np.testing.assert_array_equal(made.plan.window, [[0, 0, 80, 60]] * 50)


def test_crops_keep_boxes_whose_center_is_inside() -> None:
    made = planned(replace(OPTIONS, crop_prob=1.0, samplers=(SAMPLER,)), 200)
    cropped = (made.plan.window != [0, 0, 80, 60]).any(1)
    assert cropped.sum() > 150
    for (x, y, w, h), label in zip(made.plan.window, made.labels, strict=True):
        assert label[3] == 7, "a crop without objects is drawn again"
        assert x <= 32 + 1 and x + w >= 32 - 1 and y <= 27 + 1 and y + h >= 27 - 1
        assert (label[7:11] >= 0).all() and (label[7:11] <= 1).all()


def test_a_crop_that_no_attempt_finds_is_none() -> None:
    never = replace(SAMPLER, object_coverages=(2.0, 3.0))
    made = planned(replace(OPTIONS, crop_prob=1.0, samplers=(never, never)), 20)
    np.testing.assert_array_equal(made.plan.window, [[0, 0, 80, 60]] * 20)
    of_many = planned(replace(OPTIONS, crop_prob=1.0, samplers=(never, SAMPLER)), 20)
    assert (of_many.plan.window != [0, 0, 80, 60]).any(1).sum() > 10


def test_jitter_comes_with_its_probabilities() -> None:
    options = replace(OPTIONS, hls=((20, 0.5), (30, 1.0), (0, 1.0)), contrast=(0.4, 0.5))
    made = planned(options, 2000)
    hue, lightness, saturation = made.plan.image_jitter.hls.T
    assert 850 < (hue != 0).sum() < 1050 and np.abs(hue).max() <= 20
    assert (lightness != 0).mean() > 0.9 and np.abs(lightness).max() <= 30
    assert not saturation.any()
    assert 900 < (made.plan.image_jitter.gain != 1).sum() < 1100
    assert made.plan.image_jitter.gain.min() >= 0.6 and made.plan.image_jitter.gain.max() <= 1.4


@pytest.mark.parametrize(("mode", "filled"), [("fit", (40, 53)), ("shrink", (40, 53))])
def test_an_image_that_fits_leaves_the_rest_free(mode: str, filled: tuple[int, int]) -> None:
    made = planned(replace(OPTIONS, resize_mode=mode), 1)
    assert made.labels[0][1:3].tolist() == list(filled)
    (border,) = made.plan.borders
    assert border.inside.tolist() == [[0, 0, 53, 40]] and not border.fill.any()
    large = replace(OPTIONS, resize_mode=mode, height=100, width=100)
    expected = {"fit": [75, 100], "shrink": [60, 80]}[mode]
    assert planned(large, 1).labels[0][1:3].tolist() == expected


def test_bad_labels_are_bad_records() -> None:
    planner = DetectionPlanner(OPTIONS, 0, 3, 7, LABEL_PREFIX + 7, -1.0)
    labels = [np.float32([2, 5, *BOX]), None, np.float32([2, 5]), np.float32([1, 5, *BOX])]
    samples = Samples(np.zeros(4, np.int64), np.arange(4), np.full((4, 2), 60), labels)
    made = planner.plan(samples)
    assert [label is None for label in made.labels] == [False, True, True, True]
    assert "label_width asks for 7" in str(made.errors[2])
    assert "begins with the header's width" in str(made.errors[3]) and 1 not in made.errors


def test_a_label_without_space_is_an_error() -> None:
    made = planned(OPTIONS, 1, [2, 5, *BOX * 3], label_length=LABEL_PREFIX + 12)
    assert "label_pad_width leaves space for 12" in str(made.errors[0])


def test_samples_do_not_depend_on_their_batch() -> None:
    options = replace(
        OPTIONS, mirror_prob=0.5, pad_prob=0.5, max_pad_scale=2.0, crop_prob=0.5,
        samplers=(SAMPLER,), hls=((20, 0.5),) * 3, contrast=(0.4, 0.5), method=10,
    )  # fmt: skip
    together = planned(options, 12)
    planner = DetectionPlanner(options, 3, 3, -1, 20, -1.0)
    for row in range(12):
        labels = [np.float32([2, 5, *BOX])]
        samples = Samples(np.array([0]), np.array([row]), np.array([[80, 60]]), labels)
        alone = planner.plan(samples)
        np.testing.assert_array_equal(alone.plan.window[0], together.plan.window[row])
        np.testing.assert_array_equal(alone.labels[0], together.labels[row])
        assert alone.plan.method[0] == together.plan.method[row]
