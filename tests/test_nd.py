"""NDArray: MXNet's methods on NumPy's and CuPy's arrays."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, ContextError


def test_printing_is_mxnets() -> None:
    assert repr(mx.nd.array([[1, 2], [3, 4]])) == "\n[[1. 2.]\n [3. 4.]]\n<NDArray 2x2 @cpu(0)>"
    assert str(mx.nd.array([1, 2])) == "\n[1. 2.]\n<NDArray 2 @cpu(0)>"
    assert repr(mx.nd.zeros((30, 3))).endswith("<NDArray 30x3 @cpu(0)>")
    assert repr(mx.nd.array(3)) == "\n3.0\n<NDArray  @cpu(0)>"


@pytest.mark.parametrize(
    "source",
    [[1, 2], (1, 2), np.arange(2), np.arange(2.0), np.arange(2, dtype=np.uint8), 5],
    ids=repr,
)
def test_array_makes_float32_of_everything_but_ndarrays(source: object) -> None:
    made = mx.nd.array(source)  # type: ignore[arg-type]
    assert (
        made.dtype == np.float32
        and isinstance(made, mx.nd.NDArray)
        and isinstance(made, np.ndarray)
    )
    assert mx.nd.array(source, dtype="int8").dtype == np.int8  # type: ignore[arg-type]
    assert mx.nd.array(mx.nd.array(source, dtype="int32")).dtype == np.int32  # type: ignore[arg-type]


def test_array_copies_and_wrap_does_not() -> None:
    source = np.zeros(3, np.float32)
    made, wrapped = mx.nd.array(source), mx.nd.wrap(source)
    source[0] = 1
    assert made[0] == 0 and wrapped[0] == 1
    assert mx.nd.wrap(wrapped) is wrapped
    again = mx.nd.array(made)
    again[1] = 5
    assert made[1] == 0
    with pytest.raises(ArgumentError, match="wrap takes"):
        mx.nd.wrap([1])


def test_zeros_and_ones(ctx: mx.Context) -> None:
    for make, value in ((mx.nd.zeros, 0), (mx.nd.ones, 1)):
        made = make((2, 3), ctx, "int32")
        assert made.dtype == np.int32 and made.context == ctx and made.ctx == ctx
        np.testing.assert_array_equal(made.asnumpy(), np.full((2, 3), value))
        assert make(4, ctx).dtype == np.float32


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


def test_the_current_context_decides() -> None:
    if not mx.num_gpus():
        with mx.gpu(0), pytest.raises(ContextError):
            mx.nd.zeros(1)
    with mx.cpu(0):
        assert mx.nd.zeros(1).context == mx.cpu()


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


def test_dlpack_with_numpy_shares_memory() -> None:
    made = mx.nd.array([1, 2])
    plain = np.from_dlpack(made)
    assert np.shares_memory(plain, made)
    made[0] = 9
    assert plain[0] == 9
    assert mx.nd.from_dlpack(plain)[0] == 9 and np.shares_memory(mx.nd.from_dlpack(plain), made)


def test_dlpack_with_torch_shares_memory() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    made = mx.nd.array([[1, 2], [3, 4]])
    tensor = torch.from_dlpack(made)
    tensor[0, 0] = 9
    assert made[0, 0] == 9
    back = mx.nd.from_dlpack(tensor)
    assert isinstance(back, mx.nd.NDArray) and np.shares_memory(back, made)


@pytest.mark.gpu
def test_dlpack_on_the_gpu_shares_memory() -> None:
    import cupy

    made = mx.nd.array([1, 2], mx.gpu(0))
    assert isinstance(made, cupy.ndarray)
    other = cupy.from_dlpack(made)
    other[0] = 9
    assert made.asnumpy()[0] == 9
    back = mx.nd.from_dlpack(other)
    assert isinstance(back, mx.nd.NDArray) and back.data.ptr == made.data.ptr
    again = pickle.loads(pickle.dumps(made))
    assert again.context == mx.gpu(0) and again.asnumpy().tolist() == [9, 2]


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
