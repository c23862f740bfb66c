"""ToTensor, Normalize and Cast."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.gluon.data.vision import transforms as T  # noqa: N812
from tests.close import EXACT
from tests.gluon.data.vision.transforms.golden import RESULTS, assert_as_mxnet


@pytest.mark.parametrize("image", ["color", "gray", "float", "several"])
def test_to_tensor_is_mxnets(image: str, ctx: mx.Context) -> None:
    assert_as_mxnet(T.ToTensor(), f"{image}/ToTensor", ctx, EXACT)


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=4)))
def test_to_tensor_divides_by_255(image: np.ndarray) -> None:
    axes = (2, 0, 1) if image.ndim == 3 else (0, 3, 1, 2)
    found = T.ToTensor()(image)
    assert found.flags.c_contiguous and found.dtype == np.float32
    np.testing.assert_array_equal(found, image.astype(np.float32).transpose(axes) / 255)


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("color/Normalize", (0.4, 0.5, 0.6), (0.1, 0.2, 0.3)),
        ("color/Normalize one", 0.4, 0.1),
        ("several/Normalize", np.array([0.4, 0.5, 0.6]), [0.2]),
    ],
)
def test_normalize_is_mxnets(name: str, mean: Any, std: Any, ctx: mx.Context) -> None:
    composed = T.Compose([T.ToTensor(), T.Normalize(mean, std)])
    assert_as_mxnet(composed, name, ctx, EXACT)


def test_normalize_keeps_the_dtype_and_its_argument(ctx: mx.Context) -> None:
    image = mx.nd.ones((3, 2, 2), ctx, "float16")
    found = T.Normalize(mx.nd.array([1, 2, 3], ctx), 2)(image)
    assert found.dtype == np.float16 and found.context == ctx
    assert found.asnumpy()[:, 0, 0].tolist() == [0, -0.5, -1]
    assert (image.asnumpy() == 1).all()
    assert T.Normalize()(image).asnumpy().tolist() == image.asnumpy().tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: T.ToTensor()(np.ones((2, 2))), r"\(height, width, channels\).*not \(2, 2\)"),
        (lambda: T.ToTensor()(np.ones((1,) * 5)), "not"),
        (lambda: T.Normalize()(np.ones((2, 2, 3), "f4")), "1 or 3 channels.*after to_tensor"),
        (lambda: T.Normalize()(np.ones((3, 2, 2), "u1")), "uint8 cannot hold.*to_tensor or astype"),
        (lambda: T.Normalize((1, 2))(np.ones((3, 2, 2), "f4")), "mean has 2 numbers, the image 3"),
        (lambda: T.Normalize(0, (1, 2, 3))(np.ones((1, 2, 2), "f4")), "std has 3 .* 1 channels"),
        (lambda: T.Normalize("x"), "mean must be a number"),
        (lambda: T.Normalize(0, [[1]]), "std must be a number"),
        (lambda: T.Normalize(None), "mean must be a number"),
    ],
)
def test_wrong_arguments(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()


def test_cast(ctx: mx.Context) -> None:
    image = mx.nd.array([1.7], ctx)
    assert T.Cast("int32")(image).asnumpy().tolist() == [1] and T.Cast()(image).dtype == np.float32
    assert T.Cast(np.float16)(image).context == ctx
    assert T.Cast()(RESULTS["color"]).dtype == np.float32
    with pytest.raises(TypeError, match="foo"):
        T.Cast("foo")
