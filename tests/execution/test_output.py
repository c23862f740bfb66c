"""The output of an executor: shapes, dtypes, normalization."""

import numpy as np
import pytest

from gpuio.errors import ArgumentError
from gpuio.execution.output import OutputSpec

MEAN, STD = (123.68, 116.28, 103.53, 0.0), (58.395, 57.12, 57.375, 1.0)


def test_shape_follows_the_layout():
    assert OutputSpec(3, 5, 7, np.dtype("float32"), "NCHW").shape(2) == (2, 3, 5, 7)
    assert OutputSpec(3, 5, 7, np.dtype("float32"), "NHWC").shape(2) == (2, 5, 7, 3)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_floats_use_mean_std_and_scale(dtype):
    output = OutputSpec(3, 5, 7, dtype, "NCHW", MEAN, STD, 0.5)
    np.testing.assert_array_equal(output.offset, np.array(MEAN[:3], np.float32))
    np.testing.assert_array_equal(output.factor, np.float32(0.5) / np.array(STD[:3], np.float32))
    assert output.offset.dtype == output.factor.dtype == np.float32


def test_uint8_ignores_all_three():
    output = OutputSpec(3, 5, 7, "uint8", "NCHW", MEAN, STD, 0.5)
    assert (output.offset.tolist(), output.factor.tolist()) == ([0] * 3, [1] * 3)


def test_int8_rounds_the_mean_half_away_from_zero():
    output = OutputSpec(4, 5, 7, "int8", "NCHW", (0.5, 2.5, -2.5, 1.49), STD, 0.5)
    assert (output.offset.tolist(), output.factor.tolist()) == ([1, 3, -3, 1], [1] * 4)


def test_gray_uses_the_first_mean_and_std():
    output = OutputSpec(1, 5, 7, "float32", "NCHW", (9.0,), (4.0,))
    assert (output.offset.tolist(), output.factor.tolist()) == ([9], [0.25])


def test_two_of_a_kind_are_equal():
    assert OutputSpec(3, 5, 7, "float32", "NCHW") == OutputSpec(3, 5, 7, np.float32, "NCHW")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 2}, "1, 3 or 4 channels, not 2"),
        ({"height": 0}, "at least one pixel, not 7 x 0"),
        ({"height": 2**16, "width": 2**15}, r"fewer than 2\*\*31 pixels"),
        (
            {"dtype": np.dtype("float64")},
            "dtype must be one of float32, float16, uint8, int8, not",
        ),
        ({"dtype": "no such"}, "dtype must be one of .* not 'no such'"),
        ({"dtype": ">f4"}, "dtype must be one of"),
        ({"layout": "CHWN"}, "layout must be one of NCHW, NHWC, not 'CHWN'"),
        ({"mean": (1.0, 2.0)}, "mean needs a value for each of 3 channels"),
        ({"std": (1.0, 0.0, 1.0, 1.0)}, "std must not be 0"),
        ({"std": (1.0, 1e-60, 1.0, 1.0)}, "std must not be 0"),
        ({"mean": (float("nan"),) * 4}, "must be finite"),
        ({"scale": float("inf")}, "must be finite"),
        ({"scale": 1e38, "std": (1e-3,) * 4}, "too large for float32"),
        ({"mean": (1e39,) * 4}, "too large for float32"),
    ],
)
def test_refuses(change, message):
    arguments = {"channels": 3, "height": 5, "width": 7, "dtype": "float32", "layout": "NCHW"}
    with pytest.raises(ArgumentError, match=message):
        OutputSpec(**{**arguments, **change})


def test_the_alpha_of_rgb_does_not_matter():
    OutputSpec(3, 5, 7, "float32", "NCHW", std=(1.0, 1.0, 1.0, 0.0))
