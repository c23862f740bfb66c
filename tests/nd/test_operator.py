"""What `operator` adds to each function."""

import numpy as np
import pytest

import gpuio as mx
from gpuio.context import get_array_module
from gpuio.errors import ArgumentError, Error
from gpuio.nd.operator import operator
from gpuio.nd.types import Values


@operator
def both(data: Values, others: list[Values], scale: float = 1) -> Values:
    """A sum and a view."""
    assert not isinstance(data, mx.nd.NDArray)
    assert all(get_array_module(each) is get_array_module(data) for each in others)
    return [data * scale + sum(others), data[:1]]


def test_arrays_are_plain_inside_and_ndarrays_outside(ctx: mx.Context) -> None:
    made = mx.nd.array([1, 2], ctx)
    total, view = both(made, [made, np.ones(2, np.float32)], scale=2)
    for result in (total, view):
        assert isinstance(result, mx.nd.NDArray) and result.context == ctx
    assert total.asnumpy().tolist() == [4, 7]
    view[:] = 9
    assert made.asnumpy().tolist() == [1, 2]
    outs = [mx.nd.zeros(2, ctx), mx.nd.zeros(1, ctx)]
    assert both(made, [made], out=outs)[0] is outs[0] and outs[0].asnumpy().tolist() == [2, 4]
    with pytest.raises(ArgumentError, match="both has 2 results, but out has 1 arrays"):
        both(made, [made], out=outs[:1])


def test_plain_arrays_alone() -> None:
    total, _ = both(np.ones(2), [])
    assert isinstance(total, mx.nd.NDArray) and total.dtype == np.float64


def test_errors_have_the_functions_name_and_the_shapes() -> None:
    with pytest.raises(ArgumentError, match=r"both of \(2,\), \(3,\): ") as caught:
        both(mx.nd.ones(2), [mx.nd.ones(3)])
    assert isinstance(caught.value, Error) and isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(ArgumentError, match="sum takes NDArrays, not a list"):
        mx.nd.sum([1, 2])


@pytest.mark.gpu
def test_arrays_on_two_devices() -> None:
    with pytest.raises(ArgumentError, match=r"on one device, not on cpu\(0\) and gpu\(0\)"):
        both(mx.nd.ones(2), [mx.nd.ones(2, mx.gpu())])
