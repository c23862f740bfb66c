"""Operators; the results of those that MXNet has are compared with its own in test_golden."""

import numpy as np
import pytest
import torch

import gpuio as mx


def test_a_numpy_scalar_leaves_the_dtype(ctx: mx.Context) -> None:
    made = mx.nd.array([1, 2], ctx)
    for result in (made * np.float64(2), np.float64(2) * made, made + np.int64(1), made / 2):
        assert isinstance(result, mx.nd.NDArray) and result.dtype == np.float32
    made /= np.float64(2)
    assert made.asnumpy().tolist() == [0.5, 1]


def test_numpy_arrays_are_operands_on_either_device(ctx: mx.Context) -> None:
    made, other = mx.nd.array([1, 2], ctx), np.array([3, 4], np.float32)
    for result in (made + other, made * other - made * 2):
        assert isinstance(result, mx.nd.NDArray) and result.context == ctx
    made += other
    assert made.asnumpy().tolist() == [4, 6]


def test_integers_do_not_overflow_into_nothing(ctx: mx.Context) -> None:
    """MXNet casts the number to the array's dtype: 0.5 * uint8 is 0 there."""
    made = mx.nd.array([100, 200], ctx, "uint8")
    assert (made * 0.5).asnumpy().tolist() == [50, 100]
    assert (made / 255).asnumpy().tolist() == [100 / 255, 200 / 255]


def test_comparisons_have_the_arrays_dtype_and_count(ctx: mx.Context) -> None:
    predicted, label = mx.nd.array([1, 2, 3], ctx), mx.nd.array([1, 0, 3], ctx)
    hits = predicted == label
    assert hits.dtype == np.float32 and (predicted != label).dtype == np.float32
    assert hits.sum().asscalar() == 2 and (1 - hits).asnumpy().tolist() == [0, 1, 0]
    assert float(hits.mean()) == pytest.approx(2 / 3)
    assert (predicted > 1.5).dtype == (2 < predicted).dtype == np.float32  # noqa: SIM300
    assert (predicted > np.float64(1.5)).dtype == np.float32
    assert (predicted.astype("bool") == label.astype("bool")).dtype == np.bool_


def test_comparisons_with_numpys_arrays_are_numpys_masks() -> None:
    made = mx.nd.array([1, 2, 3])
    mask = made == np.array([1, 0, 3])
    assert mask.dtype == np.bool_ and made[mask].asnumpy().tolist() == [1, 3]


def test_a_comparison_is_a_mask_all_the_same(ctx: mx.Context) -> None:
    """In MXNet an index of 0 and 1, which nobody means."""
    made = mx.nd.array([[1, 2, 3], [4, 5, 6]], ctx)
    assert made[made > 3].asnumpy().tolist() == [4, 5, 6]
    assert made[(made > 1) & (made < 5)].asnumpy().tolist() == [2, 3, 4]
    assert made[~(made > 1) | (made == 6)].asnumpy().tolist() == [1, 6]
    assert made[(made > 1) ^ (made > 3)].asnumpy().tolist() == [2, 3]
    assert made[0][(made > 1)[0]].asnumpy().tolist() == [2, 3]  # a part of a mask
    made[made == 2] = 9
    assert made.asnumpy().tolist() == [[1, 9, 3], [4, 5, 6]]
    assert ((made > 1) & (made > 3)).dtype == np.float32
    counted = (made > 1) + (made > 3)  # numbers
    assert made[0][counted[0][:2]].asnumpy().tolist() == [1, 3]
    mask = made[0] > 1
    mask += 0
    assert made[0][mask].asnumpy().tolist() == [1, 9, 9]
    assert made[0][(made[0] > 1).astype("int32")].asnumpy().tolist() == [1, 9, 9]
    flags = mx.nd.array([6, 3], ctx, "int32")
    assert (flags & 2).asnumpy().tolist() == [2, 2] and (~flags).asnumpy().tolist() == [-7, -4]
    with pytest.raises(TypeError):
        made & made


def test_arrays_of_no_dimensions_stay_arrays(ctx: mx.Context) -> None:
    made = mx.nd.array(5, ctx)
    for result in (made + 1, -made, abs(made), made == 5, 2 * made):
        assert isinstance(result, mx.nd.NDArray) and result.shape == ()


def test_other_types_get_their_turn() -> None:
    class Unit:
        __array_ufunc__ = None

        def __radd__(self, other: object) -> str:
            return "mine"

    assert mx.nd.ones(2) + Unit() == "mine"
    with pytest.raises(TypeError):
        mx.nd.ones(2) + object()
    assert torch.from_numpy(mx.nd.ones(2) + 1).tolist() == [2, 2]


def test_matrices(ctx: mx.Context) -> None:
    made = mx.nd.array([[1, 2], [3, 4]], ctx)
    assert isinstance(made @ made, mx.nd.NDArray)
    assert (made @ made).asnumpy().tolist() == [[7, 10], [15, 22]]
