"""Boxes drawn into images."""

import numpy as np
import pytest

from gpuio.image.drawing import COLORS, draw_boxes

BOX = np.array([[1, 0.25, 0.2, 0.75, 0.6]])


def blank() -> np.ndarray:
    return np.zeros((100, 200, 3), np.uint8)


@pytest.mark.parametrize("thickness", [1, 2, 5])
def test_lines_lie_on_the_edges_of_the_box(thickness: int) -> None:
    image = blank()
    draw_boxes(image, BOX, (9, 8, 7), thickness)
    rows, columns = np.nonzero(image.any(2))
    margin = thickness // 2 + (thickness > 1)
    assert abs(rows.min() - 20) <= margin and abs(rows.max() - 59) <= margin
    assert abs(columns.min() - 50) <= margin and abs(columns.max() - 149) <= margin
    assert not image[21 + thickness : 59 - thickness, 51 + thickness : 149 - thickness].any()
    assert {tuple(pixel) for pixel in image[rows, columns]} == {(9, 8, 7)}


def test_each_class_has_its_color() -> None:
    for number in range(2 * len(COLORS)):
        image = blank()
        draw_boxes(image, np.array([[number, 0.1, 0.1, 0.9, 0.9, 5.0]]))
        assert {tuple(pixel) for pixel in image[image.any(2)]} == {COLORS[number % len(COLORS)]}


def test_names_are_written_above_their_boxes() -> None:
    plain, named, other = blank(), blank(), blank()
    draw_boxes(plain, BOX)
    draw_boxes(named, BOX, names={1: "one"})
    draw_boxes(other, BOX, names={2: "two"})
    np.testing.assert_array_equal(other, plain)
    written = (named != plain).any(2)
    assert written.any() and np.nonzero(written)[0].max() < 20


def test_no_boxes() -> None:
    image = blank()
    draw_boxes(image, BOX[:0])
    assert not image.any()
