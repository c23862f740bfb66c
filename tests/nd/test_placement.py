"""Copies from one device to another."""

import numpy as np
import pytest

import gpuio as mx
from gpuio.context import device_of, on_device
from gpuio.errors import ArgumentError
from gpuio.nd.placement import common_context, host_array, on_context, plain, to_gpu

GPUS = [mx.gpu(0), mx.gpu(1)]


def test_plain_arrays_share_memory(ctx: mx.Context) -> None:
    made = mx.nd.ones(3, ctx)
    bare = plain(made)
    assert not isinstance(bare, mx.nd.NDArray) and plain(bare) is bare and plain(5) == 5
    with on_device(ctx):
        bare[0] = 9
    assert made.asnumpy()[0] == 9


def test_what_is_on_the_host_stays_there() -> None:
    for values in (np.ones(2), [1, 2], 5, None):
        assert host_array(values) is values
    made = mx.nd.zeros(2)
    host_array(made)[0] = 5
    assert type(host_array(made)) is np.ndarray and made.asnumpy()[0] == 5


def test_the_context_that_arrays_share(ctx: mx.Context) -> None:
    made, host = mx.nd.ones(2, ctx), np.ones(2)
    assert common_context("", [host, {"x": (made, 5)}]) == ctx and common_context("", 5) == mx.cpu()
    one, (number, other) = on_context([host, (7, made)], ctx)
    assert number == 7
    for each in (one, other):
        assert device_of(each) == ctx and not isinstance(each, mx.nd.NDArray)


@pytest.mark.gpu
def test_contexts_that_differ(other_gpu: mx.Context) -> None:
    arrays = [mx.nd.ones(2, GPUS[0]), plain(mx.nd.ones(2, other_gpu))]
    with pytest.raises(ArgumentError, match=r"^f takes arrays on one .* gpu\(0\) and gpu\(1\);"):
        common_context("f", arrays)
    with pytest.raises(ArgumentError, match=r"cpu\(0\) and gpu\(0\)"):
        common_context("f", [mx.nd.ones(2), arrays[0]])


@pytest.mark.gpu
@pytest.mark.parametrize("values", [np.arange(6).reshape(2, 3)[:, ::2], [[0, 2], [3, 5]]], ids=type)
def test_from_the_host_and_back(values: object) -> None:
    made = to_gpu(values, GPUS[0])
    assert not isinstance(made, mx.nd.NDArray) and device_of(made) == GPUS[0]
    assert type(host_array(made)) is np.ndarray and host_array(made).tolist() == [[0, 2], [3, 5]]


@pytest.mark.gpu
def test_an_array_that_is_there_is_copied_if_asked_for() -> None:
    made = mx.nd.zeros(3, GPUS[0])
    shared, copied = to_gpu(made, GPUS[0]), to_gpu(made, GPUS[0], copy=True)
    made[:] = 1
    assert host_array(shared).tolist() == [1, 1, 1] and host_array(copied).tolist() == [0, 0, 0]


@pytest.mark.gpu
@pytest.mark.parametrize("current", GPUS, ids=str)
def test_from_one_gpu_to_another(other_gpu: mx.Context, current: mx.Context) -> None:
    """Whatever the current device and the layout; in the order of both devices' streams."""
    import cupy

    expected = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for turn in (lambda x: x, lambda x: x.T, lambda x: x[:, ::-1, ::2], lambda x: x[1, 2, 3]):
        source = mx.nd.array(expected, GPUS[0])
        with on_device(current):
            made = to_gpu(turn(plain(source)), other_gpu)
            source[...] = -1  # must not overtake the copy
            assert device_of(made) == other_gpu and made.shape == turn(expected).shape
            np.testing.assert_array_equal(host_array(made), turn(expected))
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        source = plain(mx.nd.array(expected, GPUS[0]))
        source *= 2
        made = to_gpu(source, other_gpu)
        source[...] = -1
    np.testing.assert_array_equal(host_array(made), expected * 2)


@pytest.mark.gpu
def test_copies_to_the_host_wait_for_the_arrays_own_device(other_gpu: mx.Context) -> None:
    """For its current stream: CuPy itself takes that of the current device."""
    import cupy

    with on_device(other_gpu), cupy.cuda.Stream(non_blocking=True):
        made = mx.nd.zeros(1000, other_gpu)
        made += 5
        with on_device(GPUS[0]):
            assert (host_array(plain(made)) == 5).all()
            assert (made.asnumpy() == 5).all() and (made.get() == 5).all()
            assert (mx.nd.array(made, mx.cpu()).asnumpy() == 5).all()
