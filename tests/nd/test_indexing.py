"""Looking up values; the results are compared with MXNet's in test_golden."""

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError


def test_indices_out_of_range(ctx: mx.Context) -> None:
    made = mx.nd.array([10, 20, 30], ctx)
    indices = mx.nd.array([-1, 3], ctx)
    assert mx.nd.take(made, indices).asnumpy().tolist() == [10, 30]
    assert mx.nd.take(made, indices, mode="wrap").asnumpy().tolist() == [30, 10]
    with pytest.raises(ArgumentError, match=r"indices from -1 to 3 are out of range .* of 3"):
        mx.nd.take(made, indices, mode="raise")
    assert mx.nd.take(made, indices[:1], mode="raise").asnumpy().tolist() == [30]
    with pytest.raises(ArgumentError, match="mode must be 'clip', 'wrap' or 'raise', not 'x'"):
        mx.nd.take(made, indices, mode="x")


def test_one_hot_leaves_out_what_has_no_place(ctx: mx.Context) -> None:
    made = mx.nd.one_hot(mx.nd.array([-1, 0, 5], ctx), 2)
    assert made.dtype == np.float32 and made.asnumpy().tolist() == [[0, 0], [1, 0], [0, 0]]
    out = mx.nd.zeros((2, 3), ctx)
    assert mx.nd.onehot_encode(mx.nd.array([2, 0], ctx), out) is out
    assert out.asnumpy().tolist() == [[0, 0, 1], [1, 0, 0]]


def test_pick_from_all(ctx: mx.Context) -> None:
    made = mx.nd.array([[1, 2], [3, 4]], ctx)
    assert mx.nd.pick(made, mx.nd.array([3], ctx), axis=None).asnumpy().tolist() == [4]


def test_a_condition_for_rows_and_for_values(ctx: mx.Context) -> None:
    x, y = mx.nd.ones((2, 2), ctx), mx.nd.zeros((2, 2), ctx)
    rows = mx.nd.array([0, 1], ctx)
    assert mx.nd.where(rows, x, y).asnumpy().tolist() == [[0, 0], [1, 1]]
    assert mx.nd.where(x > y, x, y).asnumpy().tolist() == [[1, 1], [1, 1]]
