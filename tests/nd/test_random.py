"""Random arrays: shapes, dtypes, devices and distributions."""

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError

R = mx.nd.random


def test_shapes_and_dtypes(ctx: mx.Context) -> None:
    for made, shape, dtype in (
        (R.uniform(ctx=ctx), (1,), "float32"),
        (R.uniform(0, 1, 3, ctx=ctx), (3,), "float32"),
        (R.normal(0, 1, (2, 3), "float64", ctx), (2, 3), "float64"),
        (R.randn(2, 3, ctx=ctx), (2, 3), "float32"),
        (R.randint(0, 5, (4,), ctx=ctx), (4,), "int32"),
        (R.poisson(3, shape=(2,), ctx=ctx), (2,), "float32"),
        (R.uniform(mx.nd.zeros(2, ctx), mx.nd.ones(2, ctx), shape=3), (2, 3), "float32"),
        (R.normal(mx.nd.zeros((2, 1), ctx), 1), (2, 1), "float32"),
        (R.gamma(2, 3, (2, 2), ctx=ctx), (2, 2), "float32"),
        (R.exponential(2, 5, ctx=ctx), (5,), "float32"),
        (mx.nd.random_uniform(0, 1, (2,), ctx=ctx), (2,), "float32"),
    ):
        assert isinstance(made, mx.nd.NDArray) and made.context == ctx
        assert made.shape == shape and made.dtype == dtype


def test_parameters(ctx: mx.Context) -> None:
    np.random.seed(0)
    n = 20_000
    low = mx.nd.array([0, 10], ctx)
    made = R.uniform(low, low + 2, shape=n).asnumpy()
    assert ((made >= [[0], [10]]) & (made < [[2], [12]])).all()
    # Within 5 standard errors.
    assert made.mean(1) == pytest.approx([1, 11], abs=5 * 0.58 / n**0.5)
    normal = R.normal(5, 2, n).asnumpy()
    assert normal.mean() == pytest.approx(5, abs=10 / n**0.5)
    assert normal.std() == pytest.approx(2, abs=10 / n**0.5)
    integers = R.randint(2, 5, n).asnumpy()
    assert set(integers.tolist()) == {2, 3, 4}
    assert R.exponential(3, n).asnumpy().mean() == pytest.approx(3, abs=15 / n**0.5)
    assert R.gamma(2, 3, n).asnumpy().mean() == pytest.approx(6, abs=5 * 4.3 / n**0.5)


def test_multinomial(ctx: mx.Context) -> None:
    np.random.seed(0)
    made = R.multinomial(mx.nd.array([[0, 1, 0], [0.5, 0, 0.5]], ctx), shape=1000)
    assert made.shape == (2, 1000) and made.dtype == np.int32 and made.context == ctx
    counts = [np.bincount(row, minlength=3) for row in made.asnumpy()]
    assert counts[0].tolist() == [0, 1000, 0] and counts[1][1] == 0
    assert counts[1][0] == pytest.approx(500, abs=80)
    assert R.multinomial(mx.nd.array([0, 1], ctx)).asnumpy().tolist() == [1]
    with pytest.raises(ArgumentError, match="get_prob"):
        R.multinomial(mx.nd.array([0, 1], ctx), get_prob=True)


def test_shuffle_gives_the_rows_in_another_order(ctx: mx.Context) -> None:
    made = mx.nd.arange(200, ctx=ctx).reshape((100, 2))
    shuffled = R.shuffle(made)
    assert shuffled.asnumpy()[:, 0].tolist() != made.asnumpy()[:, 0].tolist()
    assert sorted(shuffled.asnumpy().tolist()) == made.asnumpy().tolist()
    assert (made.asnumpy().ravel() == np.arange(200)).all()
    out = mx.nd.zeros((100, 2), ctx)
    assert mx.nd.shuffle(made, out=out) is out and out.asnumpy().sum() == made.asnumpy().sum()


def test_out_decides_shape_dtype_and_device(ctx: mx.Context) -> None:
    out = mx.nd.zeros((50,), ctx, "float64")
    assert R.uniform(1, 2, out=out) is out and (out.asnumpy() >= 1).all()


def test_numpys_seed_decides_until_gpuios_does() -> None:
    np.random.seed(3)
    first = R.normal(shape=5).asnumpy()
    np.random.seed(3)
    np.testing.assert_array_equal(R.normal(shape=5).asnumpy(), first)


def test_mistakes_are_named() -> None:
    with pytest.raises(ArgumentError, match="random numbers of parameters"):
        R.normal(0, -1, 3)
    with pytest.raises(ArgumentError, match="one shape"):
        R.uniform(mx.nd.ones(2), mx.nd.ones(3))
    with pytest.raises(ArgumentError):
        R.randint(5, 2, 3)
