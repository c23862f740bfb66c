"""Products; dense ones are compared with MXNet's in test_golden."""

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_dot_of_a_csr_matrix(ctx: mx.Context, transpose_a: bool, transpose_b: bool) -> None:
    left = np.array([[0, 1, 2], [3, 0, 0]], np.float32)
    right = np.arange(6, dtype=np.float32).reshape(2, 3) if transpose_a else np.eye(3, 4)
    if transpose_b:
        right = right.T
    made = mx.nd.dot(
        mx.nd.sparse.csr_matrix(left, ctx=ctx), mx.nd.array(right, ctx), transpose_a, transpose_b
    )
    assert isinstance(made, mx.nd.NDArray) and made.context == ctx
    wanted = (left.T if transpose_a else left) @ (right.T if transpose_b else right)
    np.testing.assert_allclose(made.asnumpy(), wanted)


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_dot_of_more_dimensions(ctx: mx.Context, transpose_a: bool, transpose_b: bool) -> None:
    left = np.arange(24, dtype=np.float32).reshape((4, 2, 3) if transpose_a else (2, 3, 4))
    right = np.arange(40, dtype=np.float32).reshape((2, 5, 4) if transpose_b else (4, 2, 5))
    made = mx.nd.dot(mx.nd.array(left, ctx), mx.nd.array(right, ctx), transpose_a, transpose_b)
    wanted = np.tensordot(
        np.moveaxis(left, 0, -1) if transpose_a else left,
        np.moveaxis(right, -1, 0) if transpose_b else right,
        1,
    )
    np.testing.assert_allclose(made.asnumpy(), wanted)


def test_dot_of_what_does_not_fit() -> None:
    with pytest.raises(ArgumentError, match=r"_?dot of \(2, 3\), \(2, 3\)"):
        mx.nd.dot(mx.nd.ones((2, 3)), mx.nd.ones((2, 3)))
    out = mx.nd.zeros((2, 2))
    assert mx.nd.dot(mx.nd.ones((2, 3)), mx.nd.ones((3, 2)), out=out) is out
