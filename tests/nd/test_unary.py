"""Functions of each value; their results are compared with MXNet's in test_golden."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuio as mx


@pytest.mark.parametrize("name", ["sqrt", "exp", "log1p", "sin"])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool"])
def test_of_integers_in_float32(ctx: mx.Context, name: str, dtype: str) -> None:
    """MXNet truncates the result to an integer."""
    made = getattr(mx.nd, name)(mx.nd.array([0, 1], ctx, dtype))
    assert made.dtype == np.float32
    np.testing.assert_allclose(made.asnumpy(), getattr(np, name)([0.0, 1.0]), rtol=1e-6)


@given(st.floats(-1e6, 1e6, width=32))
def test_rounding(value: float) -> None:
    made = mx.nd.array([value])
    away = np.sign(value) * np.floor(abs(float(value)) + 0.5)
    assert mx.nd.round(made).asscalar() == away
    assert abs(mx.nd.rint(made).asscalar() - value) <= 0.5


@pytest.mark.parametrize("value", [-1e30, -1000.0, 0.0, 1000.0])
def test_no_overflow(value: float) -> None:
    made = mx.nd.array([value, 0])
    assert 0 <= mx.nd.sigmoid(made)[0].asscalar() <= 1
    assert np.isfinite(mx.nd.softmax(made).asnumpy()).all()
    assert mx.nd.softmax(made).sum().asscalar() == pytest.approx(1)


def test_clip_takes_limits_that_the_dtype_does_not_have(ctx: mx.Context) -> None:
    made = mx.nd.clip(mx.nd.array([1, 200], ctx, "uint8"), -5, 300)
    assert made.dtype == np.uint8 and made.asnumpy().tolist() == [1, 200]


def test_copies_are_copies(ctx: mx.Context) -> None:
    made = mx.nd.ones(2, ctx)
    for copied in (mx.nd.identity(made), mx.nd.BlockGrad(made), mx.nd.cast(made, "float32")):
        copied[:] = 5
    assert made.asnumpy().tolist() == [1, 1]
    assert mx.nd.rsqrt(mx.nd.array([4], ctx), out=made[:1]).asscalar() == 0.5
