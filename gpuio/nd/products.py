"""Products of matrices."""

from __future__ import annotations

from gpuio.context import get_array_module, on_device
from gpuio.nd.ndarray import NDArray, wrap
from gpuio.nd.operator import operator
from gpuio.nd.placement import common_context, plain
from gpuio.nd.sparse import CSRNDArray
from gpuio.nd.types import Values

__all__ = ["batch_dot", "dot"]


def dot(
    lhs: NDArray | CSRNDArray,
    rhs: NDArray | CSRNDArray,
    transpose_a: bool = False,
    transpose_b: bool = False,
    out: NDArray | None = None,
) -> NDArray:
    """Sum over the last axis of `lhs` and the first of `rhs`: the product of matrices, or of
    vectors.

    Parameters
    ----------
    lhs, rhs : of which `lhs` may be a CSR matrix, and `rhs` a dense one
    transpose_a : sum over the first axis of `lhs`, which counts as a matrix (first axis, others)
    transpose_b : sum over the last axis of `rhs`
    out : an array to write to
    """
    if isinstance(lhs, CSRNDArray):
        right = rhs.data if isinstance(rhs, CSRNDArray) else rhs
        with on_device(common_context("dot", (lhs.data, right))):
            left = lhs.T if transpose_a else lhs
            product: Values = left @ plain(rhs.T if transpose_b else rhs)
            made = product.tostype("default") if hasattr(product, "tostype") else wrap(product)
        return made if out is None else made.copyto(out)
    return _dot(lhs, rhs, transpose_a, transpose_b, out=out)  # type: ignore[no-any-return]


@operator
def _dot(lhs: Values, rhs: Values, transpose_a: bool, transpose_b: bool) -> Values:
    xp = get_array_module(lhs)
    if transpose_a and lhs.ndim > 1:
        lhs = xp.moveaxis(lhs, 0, -1)
    if transpose_b and rhs.ndim > 1:
        rhs = xp.moveaxis(rhs, -1, 0)
    made = xp.asarray(xp.tensordot(lhs, rhs, 1))
    return made if made.ndim else made.reshape(1)


@operator
def batch_dot(
    lhs: Values, rhs: Values, transpose_a: bool = False, transpose_b: bool = False
) -> Values:
    """Products of matrices, one for each index of the first axes."""
    xp = get_array_module(lhs)
    left = lhs.swapaxes(-1, -2) if transpose_a else lhs
    return xp.matmul(left, rhs.swapaxes(-1, -2) if transpose_b else rhs)
