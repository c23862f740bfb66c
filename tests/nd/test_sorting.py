"""Sorting; the results are compared with MXNet's in test_golden."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuio as mx
from gpuio.errors import ArgumentError


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.booleans())
def test_equal_values_stay_in_their_order(values: list[int], ascending: bool) -> None:
    made = mx.nd.array(values, dtype="uint8")
    order = mx.nd.argsort(made, is_ascend=ascending, dtype="int64").asnumpy()
    wanted = sorted(range(len(values)), key=lambda at: values[at] * (1 if ascending else -1))
    assert order.tolist() == wanted
    assert mx.nd.sort(made, is_ascend=ascending).asnumpy().tolist() == [values[at] for at in wanted]


def test_topk_of_everything_and_of_too_much(ctx: mx.Context) -> None:
    made = mx.nd.array([[3, 1, 2]], ctx)
    assert mx.nd.topk(made, k=0).asnumpy().tolist() == [[0, 2, 1]]
    with pytest.raises(ArgumentError, match=r"no 4 values along axis -1 of \(1, 3\)"):
        mx.nd.topk(made, k=4)
    with pytest.raises(ArgumentError, match="ret_typ must be"):
        mx.nd.topk(made, ret_typ="values")


def test_the_array_itself_stays(ctx: mx.Context) -> None:
    made = mx.nd.array([3, 1, 2], ctx)
    assert made.sort().asnumpy().tolist() == [1, 2, 3]
    assert made.asnumpy().tolist() == [3, 1, 2]
    assert made.argsort().dtype == np.float32
