"""The devices on which tests of arrays run: the host, a GPU, and a second GPU while the first is
CUDA's current device."""

from typing import Any

import numpy as np
import pytest

import gpuio as mx

GPU, OTHER_GPU = mx.gpu(0), mx.gpu(1)


@pytest.fixture(
    params=[
        mx.cpu(),
        pytest.param(GPU, marks=pytest.mark.gpu),
        pytest.param(OTHER_GPU, marks=pytest.mark.gpu),
    ],
    ids=str,
)
def every_device(request: pytest.FixtureRequest) -> mx.Context:
    """Each device in turn."""
    ctx: mx.Context = request.param
    if ctx == OTHER_GPU and mx.num_gpus() < 2:
        pytest.skip("needs a second GPU, and gpuio finds one")
    return ctx


@pytest.fixture
def other_gpu() -> mx.Context:
    """A GPU that is not CUDA's current device."""
    if mx.num_gpus() < 2:
        pytest.skip("needs a second GPU, and gpuio finds one")
    return OTHER_GPU


def assert_alike(found: Any, expected: Any, ctx: mx.Context, pixels: bool = False) -> None:
    """Compare a result on a device with the same on the host: NDArrays on that device, of the same
    dtype, shape and values.

    Parameters
    ----------
    pixels : values up to 255, which are added up in another order: they may differ by a thousandth,
        and after rounding by 1
    """
    if isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for each, other in zip(found, expected, strict=True):
            assert_alike(each, other, ctx, pixels)
    elif isinstance(expected, (mx.nd.NDArray, np.ndarray, np.generic)):
        # NumPy's own methods give scalars where CuPy's give arrays of shape ().
        if type(found) is not type(expected) or isinstance(expected, mx.nd.NDArray):
            assert isinstance(found, mx.nd.NDArray) and found.context == ctx
            assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
            found = found.asnumpy()
        atol = (1e-3 if expected.dtype.kind == "f" else 1) if pixels else 1e-5
        found, values = (np.asarray(each, np.float64) for each in (found, expected))
        np.testing.assert_allclose(found, values, 1e-5, atol)
    elif isinstance(expected, mx.nd.sparse.CSRNDArray):
        assert isinstance(found, mx.nd.sparse.CSRNDArray) and found.context == ctx
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(found.asnumpy(), expected.asnumpy(), 1e-5)
    else:
        assert type(found) is type(expected) and found == expected
