"""Functions as methods, beside those of NumPy and CuPy that have the same name."""

import numpy as np
import pytest

import gpuio as mx


def test_mxnets_arguments_and_the_librarys(ctx: mx.Context) -> None:
    made = mx.nd.array([[3, 1, 2], [6, 5, 4]], ctx)
    assert made.sum().shape == (1,) and made.sum(axis=None, dtype="float64").dtype == np.float64
    assert made.sum(1, True).shape == (2, 1) and made.sum(None, None, None, False).ndim == 0
    assert made.argmax(1).dtype == np.float32 and made.argsort(kind="stable").dtype == np.int64
    assert made.round(1).asnumpy().tolist() == made.asnumpy().tolist()
    assert made.take(mx.nd.array([1], ctx)).shape == (1, 3)
    assert made.mean(axis=0, keepdims=True).shape == (1, 3)
    assert made.clip(2, 5).asnumpy().max() == 5 and made.flatten().shape == (2, 3)


def test_transposing(ctx: mx.Context) -> None:
    made = mx.nd.zeros((2, 3, 4), ctx)
    for transposed in (
        made.transpose(),
        made.T,
        made.transpose(2, 1, 0),
        made.transpose((2, 1, 0)),
    ):
        assert transposed.shape == (4, 3, 2) and transposed.context == ctx
    assert made.transpose(axes=(0, 2, 1)).shape == made.transpose([0, 2, 1]).shape == (2, 4, 3)


def test_libraries_that_call_methods() -> None:
    """Without ``__array_function__``: scikit-learn's, SciPy's and pandas's way."""
    made = mx.nd.array([[3, 1, 2], [6, 5, 4]])
    assert np.asarray(made).sum() == 21
    assert made.std(axis=0).shape == (3,) and made.cumsum(axis=1).shape == (2, 3)
    assert made.all() and made.any() and made.ravel().shape == (6,)


def test_unknown_arguments() -> None:
    with pytest.raises(TypeError, match="depht"):
        mx.nd.array([1]).one_hot(depht=3)
    with pytest.raises(TypeError, match="keepdim"):
        mx.nd.array([1]).sum(keepdim=True)
