"""Resizing with matrices, as a GPU does it, against OpenCV's."""

from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.image.resample import resize, weights, with_matrices
from tests.image.images import noise


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("method", range(5))
@pytest.mark.parametrize(
    ("height", "width", "new_height", "new_width"),
    [(87, 113, 41, 50), (50, 60, 66, 77), (30, 40, 60, 20), (64, 64, 32, 16), (5, 5, 1, 1),
     (1, 1, 5, 7), (7, 9, 7, 9)],
)  # fmt: skip
def test_what_a_gpu_computes_is_what_opencv_does(
    height: int, width: int, new_height: int, new_width: int, method: int, dtype: Any
) -> None:
    """The matrix products, run by NumPy."""
    picture = np.asarray(noise(height, width, dtype=dtype))
    found = with_matrices(np, picture, new_width, new_height, method)
    expected = resize(picture, new_width, new_height, method)
    assert found.dtype == expected.dtype == dtype
    assert found.shape == expected.shape == (new_height, new_width, 3)
    difference = np.abs(found.astype(float) - expected.astype(float)).max()
    assert difference <= (1 if np.dtype(dtype).kind in "ui" else 0.002)


@pytest.mark.parametrize("method", range(5))
@pytest.mark.parametrize("average", [False, True])
def test_weights_make_one(method: int, average: bool) -> None:
    for source, target in ((10, 10), (10, 3), (3, 10), (1, 4), (4, 1)):
        made = weights(source, target, method, average and source >= target)
        assert made.shape == (target, source)
        np.testing.assert_allclose(made.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(weights(5, 5, method, average), np.eye(5), atol=1e-12)


def test_only_small_weights_are_kept() -> None:
    small, large = (100, 50, 1), (2000, 1000, 1)
    assert weights(*small) is weights(*small)
    assert weights(*large) is not weights(*large)


def test_resizing_by_huge_matrices(ctx: mx.Context) -> None:
    """On a GPU they are avoided."""
    long = np.arange(40_000, dtype=np.float32).reshape(1, -1, 1)
    with ctx:
        made = mx.image.imresize(mx.nd.array(long), 20_000, 1, 0)
    assert made.context == ctx
    np.testing.assert_array_equal(made.asnumpy(), long[:, ::2])


@pytest.mark.parametrize(("width", "height"), [(1 << 15, 1 << 14), (10**30, 1), (1, 2**63)])
def test_sizes_over_the_limit(width: int, height: int, ctx: mx.Context) -> None:
    image = mx.nd.array(noise(4, 4), ctx)
    for call in (
        lambda: mx.image.imresize(image, width, height),
        lambda: mx.image.resize_short(image, max(width, height)),
        lambda: mx.image.copyMakeBorder(image, height, height, width, width),
        lambda: mx.image.center_crop(image, (max(width, height),) * 2),
        lambda: mx.nd.image.resize(image, (width, height)),
    ):
        with pytest.raises(ArgumentError, match="over the limit of 268435456 pixels"):
            call()
