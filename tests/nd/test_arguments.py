"""Arguments of indexing and of NumPy's functions."""

import numpy as np

import gpuio as mx
from gpuio.context import device_of
from gpuio.nd.arguments import as_index, as_ufunc_inputs


def test_indices_become_integers_on_the_device(ctx: mx.Context) -> None:
    host = np.array([1.0, 2.0])
    key = as_index((mx.nd.array([1, 2], ctx), slice(None), 3, None, ..., host), ctx)
    assert key[1:5] == (slice(None), 3, None, ...)
    for each in (key[0], key[5]):
        assert not isinstance(each, mx.nd.NDArray) and each.dtype == np.int64
        assert device_of(each) == ctx
    assert as_index(mx.nd.array([True], ctx, "bool"), ctx).dtype == np.bool_
    assert as_index(mx.nd.ones(1, ctx) == 1, ctx).dtype == np.bool_
    assert as_index(5, ctx) == 5


def test_operands_are_numbers_and_arrays_except_in_reductions() -> None:
    number, listed = as_ufunc_inputs("__call__", (np.float64(2), [1, 2]))
    assert type(number) is float and isinstance(listed, np.ndarray)
    (scalar,) = as_ufunc_inputs("reduce", (np.float64(2),))
    assert isinstance(scalar, np.float64)
