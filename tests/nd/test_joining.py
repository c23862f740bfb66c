"""Joining and splitting; results are compared with MXNet's in test_golden."""

from collections.abc import Callable

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError


def test_concat_and_stack(ctx: mx.Context) -> None:
    one, two = mx.nd.array([[1, 2], [3, 4]], ctx), mx.nd.array([[5, 6]], ctx)
    for made, wanted in (
        (mx.nd.concat(one, two, dim=0), [[1, 2], [3, 4], [5, 6]]),
        (mx.nd.concat(one, two, dim=-2), [[1, 2], [3, 4], [5, 6]]),
        (mx.nd.concat(one, one), [[1, 2, 1, 2], [3, 4, 3, 4]]),
        (mx.nd.concat(one), [[1, 2], [3, 4]]),
        (mx.nd.stack(one, one), [[[1, 2], [3, 4]], [[1, 2], [3, 4]]]),
        (mx.nd.stack(two, two, axis=-1), [[[5, 5], [6, 6]]]),
    ):
        assert isinstance(made, mx.nd.NDArray) and made.context == ctx and made.dtype == np.float32
        np.testing.assert_array_equal(made.asnumpy(), wanted)


@pytest.mark.parametrize("join", [mx.nd.concat, mx.nd.stack])
def test_what_does_not_fit_is_not_joined(join: Callable[..., mx.nd.NDArray]) -> None:
    one = mx.nd.array([[1, 2], [3, 4]])
    for arrays, text in (
        ((), "none"),
        (([one, one],), "list"),
        ((one, np.ones((2, 2))), "ndarray"),
        ((one, one.astype("int32")), "float32 on cpu.*int32 on cpu"),
        ((one, mx.nd.ones((3, 4))), r"\(2, 2\), \(3, 4\)"),
    ):
        with pytest.raises(ArgumentError, match=text):
            join(*arrays)
    with pytest.raises(ArgumentError, match="axis 5"):
        join(one, one, **{"dim" if join is mx.nd.concat else "axis": 5})


@pytest.mark.gpu
def test_arrays_on_two_devices_are_not_joined() -> None:
    with pytest.raises(ArgumentError, match=r"on cpu.*on gpu"):
        mx.nd.stack(mx.nd.ones(2), mx.nd.ones(2, mx.gpu(0)))


def test_concatenate_takes_a_list() -> None:
    one = mx.nd.ones((1, 2))
    assert mx.nd.concatenate((one, one)).shape == (2, 2)
    assert mx.nd.concatenate([one], always_copy=False) is one
    assert mx.nd.concatenate([one]) is not one
    with pytest.raises(ArgumentError, match="takes a list of NDArrays, not _HostNDArray"):
        mx.nd.concatenate(one)
    with pytest.raises(ArgumentError, match="got none"):
        mx.nd.concatenate([])


def test_joined_into_an_array(ctx: mx.Context) -> None:
    one, out = mx.nd.ones((1, 2), ctx), mx.nd.zeros((2, 2), ctx)
    assert mx.nd.concat(one, one, dim=0, out=out) is out and (out.asnumpy() == 1).all()
    with pytest.raises(ArgumentError, match=r"out must be an NDArray of shape \(1, 4\)"):
        mx.nd.concat(one, one, out=out)


def test_parts_are_copies(ctx: mx.Context) -> None:
    whole = mx.nd.zeros((4, 2), ctx)
    for part in mx.nd.split(whole, 2, axis=0):
        part[:] = 1
    assert (whole.asnumpy() == 0).all()
    with pytest.raises(ArgumentError, match="has not 3 equal parts along axis 0"):
        mx.nd.split(whole, 3, axis=0)
