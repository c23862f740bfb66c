"""Functions of two operands; their results are compared with MXNet's in test_golden."""

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError


def test_results_are_written_to_out(ctx: mx.Context) -> None:
    made, out = mx.nd.array([1, 2], ctx), mx.nd.zeros(2, ctx)
    for function in (mx.nd.add, mx.nd.broadcast_add, mx.nd.elemwise_add, mx.nd.add_n):
        out[:] = 0
        assert function(made, made, out=out) is out and out.asnumpy().tolist() == [2, 4]
    with pytest.raises(ArgumentError, match=r"out must be an NDArray of shape \(2,\), not"):
        mx.nd.add(made, made, out=mx.nd.zeros(3, ctx))
    with pytest.raises(ArgumentError, match="not list"):
        mx.nd.add(made, made, out=[1, 2])


def test_numbers_alone_give_a_number() -> None:
    for function, wanted in ((mx.nd.add, 5), (mx.nd.maximum, 3), (mx.nd.equal, 0)):
        found = function(2, 3)
        assert found == wanted and type(found) is int


def test_plain_arrays_are_taken() -> None:
    assert isinstance(mx.nd.add(np.ones(2), np.ones(2)), mx.nd.NDArray)
    assert isinstance(mx.nd.maximum(np.ones(2), 3), mx.nd.NDArray)


def test_elementwise_functions_do_not_broadcast() -> None:
    with pytest.raises(ArgumentError, match=r"one shape, not \(2,\) and \(1,\); broadcast_add"):
        mx.nd.elemwise_add(mx.nd.ones(2), mx.nd.ones(1))
    for arrays in ((), (mx.nd.ones(2), mx.nd.ones(1))):
        with pytest.raises(ArgumentError, match="add_n takes arrays of one shape, and got"):
            mx.nd.add_n(*arrays)


def test_integers_are_divided_without_loss(ctx: mx.Context) -> None:
    """MXNet truncates, and gives 0 for 1 ** -1."""
    made = mx.nd.array([1, 2], ctx, "int32")
    assert mx.nd.divide(made, 2).asnumpy().tolist() == [0.5, 1]


def test_a_logical_function_has_the_arrays_dtype(ctx: mx.Context) -> None:
    made = mx.nd.array([0, 2], ctx, "int32")
    assert mx.nd.logical_or(made, 0).dtype == np.int32
    assert mx.nd.logical_xor(1, made).asnumpy().tolist() == [1, 0]
