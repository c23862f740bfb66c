"""Arguments of indexing and of NumPy's functions."""

import numpy as np
import pytest

import gpuio as mx
from gpuio.nd.arguments import as_device_index, as_index, each_array, without_scalars


def test_indices_become_integers(ctx: mx.Context) -> None:
    convert = as_index if ctx == mx.cpu() else as_device_index
    key = convert((mx.nd.array([1, 2], ctx), slice(None), 3, None, ...))
    assert key[1:] == (slice(None), 3, None, ...)
    assert not isinstance(key[0], mx.nd.NDArray) and key[0].dtype == np.int64
    assert convert(mx.nd.array([True], ctx, "bool")).dtype == np.bool_
    assert convert(5) == 5


def test_scalars_become_numbers_except_in_reductions() -> None:
    (number,) = without_scalars("__call__", (np.float64(2),))
    assert type(number) is float
    (scalar,) = without_scalars("reduce", (np.float64(2),))
    assert isinstance(scalar, np.float64)


@pytest.mark.parametrize("kind", [list, tuple])
def test_arrays_in_nested_arguments(kind: type) -> None:
    one = np.ones(1)
    made = each_array(lambda array: array + 1, kind([one, {"x": [one, 5]}, "text"]))
    assert type(made) is kind and made[0] == 2 and made[1] == {"x": [2, 5]} and made[2] == "text"
