"""Shape arguments, and MXNet's codes for reshape."""

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.nd.shapes import as_shape, infer_shape


def test_a_shape_is_one_integer_or_several() -> None:
    assert as_shape(3) == as_shape(np.int64(3)) == as_shape([3]) == (3,)
    assert as_shape((2, np.int32(3))) == (2, 3) and as_shape(()) == ()
    for wrong in (2.0, (2, 3.0), "3", None):
        with pytest.raises(ArgumentError, match="a shape consists of integers, not"):
            as_shape(wrong)


def test_codes_that_do_not_fit_are_named() -> None:
    assert infer_shape((2, 3, 4), (-4, 1, 2, -3)) == (1, 2, 12)
    for wanted, text in (
        ((0, 0, 0, 0), "too few dimensions"),
        ((-4, 3, 2, -2), "a dimension of 2 does not split into 3 and 2"),
        ((-5,), "-5 is not a code"),
    ):
        with pytest.raises(ArgumentError, match=text):
            infer_shape((2, 3, 4), wanted)


@pytest.mark.parametrize(
    ("old", "wanted", "new"),
    [
        ((2, 3, 4), (-1,), (24,)),
        ((2, 3, 4), (4, -1), (4, 6)),
        ((2, 3, 4), (0, -1), (2, 12)),
        ((2, 3, 4), (4, 0, 2), (4, 3, 2)),
        ((2, 3, 4), (-2,), (2, 3, 4)),
        ((2, 3, 4), (2, -2), (2, 3, 4)),
        ((2, 3, 4), (-2, 1, 1), (2, 3, 4, 1, 1)),
        ((2, 3, 4), (-3, 4), (6, 4)),
        ((2, 3, 4, 5), (-3, -3), (6, 20)),
        ((2, 3, 4), (0, -3), (2, 12)),
        ((2, 3, 4), (-3, -2), (6, 4)),
        ((2, 3, 4), (-4, 1, 2, -2), (1, 2, 3, 4)),
        ((2, 3, 4), (2, -4, -1, 3, -2), (2, 1, 3, 4)),
        ((2, 3, 4), (2, -4, 3, -1, -2), (2, 3, 1, 4)),
        ((0, 3), (3, 0), (3, 0)),
        ((1,), (), ()),
    ],
)
def test_reshape(
    ctx: mx.Context, old: tuple[int, ...], wanted: tuple[int, ...], new: tuple[int, ...]
) -> None:
    made = mx.nd.array(np.arange(np.prod(old)).reshape(old), ctx)
    for again in (
        made.reshape(wanted),
        made.reshape(*wanted),
        made.reshape(list(wanted)),
        made.reshape(shape=wanted),
    ):
        assert isinstance(again, mx.nd.NDArray) and again.shape == new and again.context == ctx
        np.testing.assert_array_equal(again.asnumpy().ravel(), made.asnumpy().ravel())


@pytest.mark.parametrize(
    ("old", "wanted"),
    [
        ((4,), (3,)),
        ((4,), (2,)),
        ((2, 3), (-1, -1)),
        ((2, 3), (0, 0, 0)),
        ((2, 3), (-3, -3)),
        ((2, 3), (-4, 3, 2, 0)),
        ((2, 3), (-4, -1, -1, 0)),
        ((2, 3), (-4, 2)),
        ((2, 3), (-5,)),
        ((2, 3, 4), (6, 1, 1, -2)),
    ],
)
def test_reshape_to_what_does_not_fit(old: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"reshape|unknown dimension"):
        mx.nd.zeros(old).reshape(wanted)
