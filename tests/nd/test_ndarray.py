"""NDArray: MXNet's methods on NumPy's and CuPy's arrays."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, ContextError, UnsupportedError


def test_printing_is_mxnets() -> None:
    assert repr(mx.nd.array([[1, 2], [3, 4]])) == "\n[[1. 2.]\n [3. 4.]]\n<NDArray 2x2 @cpu(0)>"
    assert str(mx.nd.array([1, 2])) == "\n[1. 2.]\n<NDArray 2 @cpu(0)>"
    assert repr(mx.nd.zeros((30, 3))).endswith("<NDArray 30x3 @cpu(0)>")
    assert repr(mx.nd.array(3)) == "\n3.0\n<NDArray  @cpu(0)>"


def test_moving_and_copying(ctx: mx.Context) -> None:
    there = mx.nd.array([[1, 2], [3, 4]], ctx)
    assert there.as_in_context(ctx) is there and there.as_in_ctx(ctx) is there
    here = there.as_in_context("cpu")
    assert here.context == mx.cpu() and type(here.asnumpy()) is np.ndarray
    target = mx.nd.zeros((2, 2))
    assert there.copyto(target) is target
    np.testing.assert_array_equal(target, [[1, 2], [3, 4]])
    other = there.copyto(ctx)
    other[0] = 9
    assert float(there.asnumpy()[0, 0]) == 1
    there.wait_to_read()
    mx.nd.waitall()
    assert mx.nd.array([7], ctx).asscalar() == 7


def test_mistakes() -> None:
    made = mx.nd.array([1, 2])
    with pytest.raises(ValueError, match="not a scalar"):
        made.asscalar()
    with pytest.raises(ArgumentError, match="same array"):
        made.copyto(made)
    with pytest.raises(ArgumentError, match="differ"):
        made.copyto(mx.nd.zeros(3))
    with pytest.raises(ArgumentError, match="NDArray or a Context"):
        made.copyto(np.zeros(2))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="__dlpack__"):
        mx.nd.from_dlpack([1])
    if not mx.num_gpus():
        for call in (lambda: made.as_in_context("gpu"), lambda: mx.nd.zeros(1, mx.gpu(0))):
            with pytest.raises(ContextError):
                call()


def test_slices_and_results_stay_ndarrays(ctx: mx.Context) -> None:
    made = mx.nd.array([[1, 2], [3, 4]], ctx)
    for derived in (
        made[0],
        made[:, 1:],
        made + 1,
        made * made,
        made.reshape(4),
        made.astype("int32"),
    ):
        assert isinstance(derived, mx.nd.NDArray) and derived.context == ctx


def test_pickle_and_copy() -> None:
    made = mx.nd.array([[1, 2], [3, 4]], dtype="int8")
    for again in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made), copy.copy(made)):
        assert isinstance(again, mx.nd.NDArray) and again.dtype == np.int8
        np.testing.assert_array_equal(again, made)
        assert not np.shares_memory(again, made)


def test_cupy_is_not_imported_for_the_cpu() -> None:
    code = """
import sys
import gpuio as mx
mx.nd.array([1]).copyto("cpu").wait_to_read()
mx.nd.waitall()
print("cupy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "False\n", done.stderr


def test_the_package_names_what_it_has() -> None:
    assert set(mx.nd.__all__) <= set(dir(mx.nd))
    for name in mx.nd.__all__:
        assert getattr(mx.nd, name) is not None
    with pytest.raises(AttributeError, match=r"'gpuio\.nd' has no attribute 'nothing'"):
        mx.nd.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_one_value_is_an_ndarray_of_shape_1(ctx: mx.Context) -> None:
    """As in MXNet, so that labels can be written one by one: ``label[i][:] = x``."""
    made = mx.nd.array([[1, 2], [3, 4]], ctx)
    for one in (made[1, 0], made[1][0], made[-1, -2], made[[1, 0]][0, 0], made[1][0][0]):
        assert isinstance(one, mx.nd.NDArray) and one.shape == (1,) and one.context == ctx
        assert one.asscalar() == 3 and float(one) == 3 and type(one.asscalar()) is np.float32
        assert one.asnumpy()[0] == 3
    made[0, 0][:] = 9
    made[1][1][0] = 7
    assert made.asnumpy().tolist() == [[9, 2], [3, 7]]
    assert [value.asscalar() for value in made[1]] == [3, 7]
    assert mx.nd.array(5, ctx).asscalar() == mx.nd.array([[5]], ctx).asscalar() == 5
    with pytest.raises(IndexError):
        made[2]
    with pytest.raises(ValueError, match="not a scalar"):
        mx.nd.zeros(0, ctx).asscalar()


def test_one_value_formats_and_indexes_as_a_number(ctx: mx.Context) -> None:
    made = mx.nd.array([1, 2], ctx, dtype="int32")
    assert made.sum().asscalar() == 3 and (made[1] + 1).asscalar() == 3
    assert f"{made[1]:.2f}" == "2.00" and "abc"[made[1]] == "c" and made[1] == 2
    assert "%d %.1f" % (made[1], made[0]) == "2 1.0" and int(made[1]) == 2  # noqa: UP031
    assert f"{made}" == str(made)
    for convert in (float, int, lambda x: "abc"[x], lambda x: f"{x:.2f}"):
        with pytest.raises(TypeError, match=r"only an array of size 1 becomes an? .*\(2,\)"):
            convert(made)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(made)


def test_asnumpy_is_a_copy(ctx: mx.Context) -> None:
    made = mx.nd.array([[1, 2], [3, 4]], ctx)
    for array in (made, made.T, made[:, :1]):
        values = array.asnumpy()
        assert type(values) is np.ndarray and values.flags.writeable and values.flags.c_contiguous
        values /= 255
    assert made.asnumpy().tolist() == [[1, 2], [3, 4]]


def test_numpy_arrays_are_assigned(ctx: mx.Context) -> None:
    made = mx.nd.zeros((2, 2), ctx)
    made[:] = np.array([[1, 2], [3, 4]])
    assert made.asnumpy().tolist() == [[1, 2], [3, 4]]
    made[0] = [5, 6]
    made[1, 0] = np.float64(7)
    made[1, 1] = made[0].sum()  # of shape (1,)
    assert made.asnumpy().tolist() == [[5, 6], [7, 11]]
    made[np.array([1, 0])] = mx.nd.array([[1, 1], [2, 2]], ctx)
    assert made.asnumpy().tolist() == [[2, 2], [1, 1]]
    made[:] = mx.nd.zeros((2, 2))  # from the host
    assert not made.asnumpy().any()


def test_indices_may_be_arrays_of_floats(ctx: mx.Context) -> None:
    made = mx.nd.array([[1, 2], [3, 4]], ctx)
    assert made[mx.nd.array([1, 0], ctx)].asnumpy().tolist() == [[3, 4], [1, 2]]
    assert made[mx.nd.array([1, 0], ctx), mx.nd.array([1, 1], ctx)].asnumpy().tolist() == [4, 2]
    assert made[np.array([True, False])].asnumpy().tolist() == [[1, 2]]  # a mask of NumPy
    made[mx.nd.array([1], ctx)] = 0
    assert made.asnumpy().tolist() == [[1, 2], [0, 0]]


def test_gradients_are_refused() -> None:
    made = mx.nd.ones(3)
    for call in (made.attach_grad, made.backward):
        with pytest.raises(UnsupportedError, match=r"without autograd.*torch\.from_dlpack"):
            call()
    assert made.detach() is made and made.as_nd_ndarray() is made


def test_numpys_functions_mean_what_they_mean_for_numpys_arrays() -> None:
    made = mx.nd.array([[3, 1, 2], [6, 5, 4]])
    plain = np.asarray(made)
    assert np.sum(made) == 21 and np.sum(made).ndim == 0
    assert type(np.concatenate([made, made])) is np.ndarray
    assert isinstance(np.exp(made), mx.nd.NDArray)
    np.testing.assert_array_equal(np.sort(made), np.sort(plain))
    order = np.argsort(made, axis=1)
    assert order.dtype == np.int64 and (order == 2).dtype == np.bool_
    assert np.take(made, 2) == 2 and np.clip(made, 2, None).min() == 2
    assert np.greater(made, 3).dtype == np.bool_
    assert made[np.greater(made, 3)].asnumpy().tolist() == [6, 5, 4]
    out = mx.nd.zeros(3)
    np.sum(made, axis=0, out=out)
    assert out.asnumpy().tolist() == [9, 6, 6]
    assert np.shares_memory(np.asarray(made), made)


def test_reshape_shares_memory_and_takes_numpys_options() -> None:
    made = mx.nd.zeros((2, 3))
    made.reshape((0, -1))[...] = 9
    made.reshape(-1)[0] = 8
    assert made.asnumpy().tolist() == [[8, 9, 9], [9, 9, 9]]
    assert made.reshape((3, 2), order="F").asnumpy().tolist() == [[8, 9], [9, 9], [9, 9]]
    assert np.reshape(made, (3, 2)).shape == (3, 2)
    assert made.reshape((-1, 0), reverse=True).shape == (2, 3)
    assert made.reshape(shape=(0, 0)).shape == (2, 3)


def test_every_cpu_is_the_same() -> None:
    made = mx.nd.array([1, 2])
    assert made.as_in_context(mx.cpu(1)) is made


def test_copyto_keeps_the_targets_dtype(ctx: mx.Context) -> None:
    target = mx.nd.zeros((2,), ctx, "int32")
    mx.nd.array([1.7, 2], ctx).copyto(target)
    assert target.dtype == np.int32 and target.asnumpy().tolist() == [1, 2]
    mx.nd.array([3, 4], ctx).copyto(target[:])
    assert target.asnumpy().tolist() == [3, 4]


def test_astype_and_copy_are_new_memory() -> None:
    made = mx.nd.array([1, 2])
    for again in (made.copy(), made.astype("float32"), made.copyto("cpu")):
        assert isinstance(again, mx.nd.NDArray) and not np.shares_memory(again, made)
    assert made.astype("float32", copy=False) is made and made.astype("float32", False) is made
