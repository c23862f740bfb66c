"""Boxes: labels, areas, flips and windows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gpuio.errors import RecordError
from gpuio.planning.boxes import (
    MAX_LABEL,
    areas,
    boxes_in_window,
    flip_boxes,
    is_degenerate,
    split_label,
)

BOXES = arrays(np.float32, st.tuples(st.integers(0, 5), st.integers(5, 7)),
               elements=st.integers(0, 8).map(lambda number: number / 8))  # fmt: skip


def label(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def test_a_label_is_header_and_boxes() -> None:
    header, boxes = split_label(label(4, 6, 8, 9, 1, 0.1, 0.2, 0.5, 0.6, 7))
    assert header.tolist() == [4, 6, 8, 9]
    np.testing.assert_array_equal(boxes, np.float32([[1, 0.1, 0.2, 0.5, 0.6, 7]]))
    header, boxes = split_label(label(2, 5))
    assert header.tolist() == [2, 5] and boxes.shape == (0, 5)


def test_degenerate_boxes_are_dropped() -> None:
    good = [1, 0.1, 0.1, 0.2, 0.2]
    for bad in ([0, 0.2, 0.1, 0.1, 0.2], [0, 0.1, 0.2, 0.2, 0.1], [0, 0.1, 0.1, 0.1, 0.2],
                [0, np.nan, 0.1, 0.2, 0.2]):  # fmt: skip
        _, boxes = split_label(label(2, 5, *bad, *good, *bad))
        np.testing.assert_array_equal(boxes, np.float32([good]))


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ([], "begins with the header's width"),
        ([2], "begins with the header's width"),
        ([1, 5, 0, 0, 0, 1, 1], "begins with the header's width"),
        ([2, 4, 0, 0, 0, 1], "begins with the header's width"),
        ([np.nan, 5], "begins with the header's width"),
        ([2, np.inf], "begins with the header's width"),
        ([2, 5, 0, 0, 0, 1], "inconsistent with annotation width 5, after a header of 2"),
        ([3, 5], "inconsistent with annotation width 5, after a header of 3"),
        ([2, 1e30], "begins with the header's width"),
        ([1e30, 5], "begins with the header's width"),
        ([-2, 5], "begins with the header's width"),
        ([2.5, 5, 0], "an integer of at least 2"),
        ([2, 5.5, 0, 0, 0, 1, 1], "an object's, of at least 5"),
        ([2, 2**18 + 1], "begins with the header's width"),
        ([2, 5, 0, 0, 0, np.inf, 1], "has one of inf"),
        ([2, 5, 0, -1e30, 0, 1, 1], "has one of 1e\\+30"),
    ],
    ids=str,
)
def test_other_labels_are_errors(numbers: list[float], said: str) -> None:
    with pytest.raises(RecordError, match=said):
        split_label(label(*numbers))


def test_a_label_has_at_most_so_many_numbers() -> None:
    long = np.zeros(MAX_LABEL + 1, np.float32)
    long[:2] = 2, MAX_LABEL - 1
    with pytest.raises(RecordError, match="262145 numbers, more than the 262144"):
        split_label(long)
    assert split_label(long, MAX_LABEL + 1)[1].shape == (0, MAX_LABEL - 1)


def test_the_area_of_a_degenerate_box_is_0() -> None:
    corners = np.array([[0, 0, 0.5, 0.25], [0.5, 0, 0, 1], [0, 0.5, 1, 0.5], [1, 1, 0, 0]])
    assert areas(corners).tolist() == [0.125, 0, 0, 0]


@given(BOXES)
def test_a_box_is_degenerate_if_it_has_no_area(boxes: np.ndarray) -> None:
    np.testing.assert_array_equal(is_degenerate(boxes), areas(boxes[:, 1:5]) == 0)
    np.testing.assert_array_equal(is_degenerate(boxes[None])[0], is_degenerate(boxes))


@given(BOXES)
def test_flipping_twice_changes_nothing(boxes: np.ndarray) -> None:
    before = boxes.copy()
    flipped = flip_boxes(boxes)
    np.testing.assert_array_equal(flip_boxes(flipped), before)
    np.testing.assert_array_equal(boxes, before)
    np.testing.assert_array_equal(areas(flipped[:, 1:5]), areas(boxes[:, 1:5]))
    np.testing.assert_array_equal(flipped[:, [0, 2, 4]], boxes[:, [0, 2, 4]])


def test_a_window_has_its_own_coordinates() -> None:
    boxes = np.array([[3, 0.5, 0.25, 1.0, 0.5, 9]])
    seen = boxes_in_window(boxes, (0.5, 0.25, 0.5, 0.25))
    assert seen.tolist() == [[3, 0, 0, 1, 1, 9]] and boxes[0, 1] == 0.5
    # A window may reach beyond the image, as of a border around it.
    assert boxes_in_window(boxes, (-1, -1, 4, 2)).tolist() == [[3, 0.375, 0.625, 0.5, 0.75, 9]]
