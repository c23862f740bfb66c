"""Plans: what shows, and the sizes and interpolations that they are made of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuio.errors import ArgumentError
from gpuio.planning.plan import (
    ANY,
    AREA,
    CUBIC,
    LINEAR,
    Border,
    Plan,
    automatic_method,
    check_method,
    draw_method,
    shorter_side,
)
from gpuio.sampling.sample_rng import sample_rngs


def plan(count: int, *insides: list[tuple[int, int, int, int]]) -> Plan:
    """A plan with borders around some rectangles."""
    fill = np.zeros((count, 3), np.uint8)
    return Plan(
        np.zeros((count, 4)),
        np.zeros((count, 4), np.int64),
        np.ones(count, np.int64),
        np.zeros(count, bool),
        borders=tuple(Border(np.array(inside), fill) for inside in insides),
    )


def test_without_borders_all_is_visible() -> None:
    assert plan(2).visible((5, 4)).tolist() == [[0, 0, 5, 4]] * 2


def test_what_all_borders_surround_is_visible() -> None:
    made = plan(2, [(1, 0, 5, 3), (0, 0, 9, 9)], [(0, 2, 4, 9), (-3, -3, 2, 2)])
    assert made.visible((5, 4)).tolist() == [[1, 2, 4, 3], [0, 0, 2, 2]]


def test_an_image_may_be_invisible() -> None:
    x0, y0, x1, y1 = plan(1, [(4, 0, 9, 9)], [(0, 0, 3, 9)]).visible((5, 5))[0]
    assert x1 <= x0 and y0 < y1


def test_a_plan_is_immutable() -> None:
    with pytest.raises(AttributeError):
        plan(1).flip = np.ones(1, bool)  # type: ignore[misc]


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 600))
def test_the_longer_side_is_rounded_down(width: int, height: int, size: int) -> None:
    new_width, new_height = shorter_side(width, height, size)
    assert min(new_width, new_height) == size
    longer = max(width, height) * size / min(width, height)
    assert longer - 1 < max(new_width, new_height) <= longer
    arrays = shorter_side(np.array([width]), np.array([height]), size)
    assert (arrays[0][0], arrays[1][0]) == (new_width, new_height)


def test_the_automatic_interpolation_depends_on_both_dimensions() -> None:
    for new, method in (
        ((11, 21), CUBIC), ((9, 19), AREA), ((11, 19), LINEAR), ((9, 21), LINEAR),
        ((10, 21), LINEAR), ((10, 20), LINEAR), ((9, 20), LINEAR),
    ):  # fmt: skip
        assert int(automatic_method(10, 20, *new)) == method
    many = automatic_method(np.array([10, 10]), np.array([20, 20]), np.array([11, 9]), 30)
    assert many.tolist() == [CUBIC, LINEAR]


def test_any_interpolation_is_drawn() -> None:
    number = np.zeros(200, np.int64)
    drawn = {draw_method(rng, ANY) for rng in sample_rngs(1, number, np.arange(200))}
    assert drawn == {0, 1, 2, 3, 4}
    (rng,) = sample_rngs(1, number[:1], number[:1])
    assert draw_method(rng, CUBIC) == CUBIC


def test_there_are_seven_interpolations() -> None:
    for method in (0, 1, 2, 3, 4, 9, 10):
        check_method(method)
    for method in (-1, 5, 8, 11):
        with pytest.raises(ArgumentError, match=f"inter_method must be one of .*, not {method}"):
            check_method(method)
