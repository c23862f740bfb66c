"""Reductions; the results are compared with MXNet's in test_golden."""

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError


def test_integers_do_not_overflow(ctx: mx.Context) -> None:
    """MXNet's results have the array's dtype, and wrap around."""
    made = mx.nd.array([200, 200], ctx, "uint8")
    assert mx.nd.sum(made).asscalar() == 400
    assert mx.nd.mean(made).dtype == np.float32 and mx.nd.mean(made).asscalar() == 200
    long = mx.nd.zeros(300, ctx, "uint8")
    long[299] = 1
    assert mx.nd.argmax(long, axis=0).asscalar() == 299
    hits = mx.nd.ones(300, ctx, "uint8") == 1
    assert hits.sum().asscalar() == 300


def test_mistakes_are_named() -> None:
    made = mx.nd.ones((2, 3))
    with pytest.raises(ArgumentError, match=r"axis 2 is out of bounds .* \(2, 3\)"):
        mx.nd.sum(made, axis=2)
    with pytest.raises(ArgumentError, match="ord must be 1 or 2, not 3"):
        mx.nd.norm(made, ord=3)
    with pytest.raises(TypeError, match="axes"):
        mx.nd.sum(made, axes=1)


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "min"])
def test_no_axes_leave_the_array(name: str) -> None:
    made = mx.nd.array([[1, 2]])
    assert getattr(mx.nd, name)(made, axis=(0, 1), exclude=True).asnumpy().tolist() == [[1, 2]]


def test_empty_arrays(ctx: mx.Context) -> None:
    assert mx.nd.sum(mx.nd.zeros((0, 3), ctx), axis=0).asnumpy().tolist() == [0, 0, 0]
    with pytest.raises(ArgumentError, match=r"max of \(0, 3\)"):
        mx.nd.max(mx.nd.zeros((0, 3), ctx), axis=0)
