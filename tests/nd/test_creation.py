"""Creating NDArrays from values, shapes, other arrays and other libraries' memory."""

import pickle
from collections.abc import Callable

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, ContextError


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


def test_the_current_context_decides() -> None:
    if not mx.num_gpus():
        with mx.gpu(0), pytest.raises(ContextError):
            mx.nd.zeros(1)
    with mx.cpu(0):
        assert mx.nd.zeros(1).context == mx.cpu()


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


@pytest.mark.parametrize("make", [mx.nd.zeros, mx.nd.ones, mx.nd.empty])
def test_shapes_and_dtypes_are_looked_at(make: Callable[..., mx.nd.NDArray]) -> None:
    for shape, sides in (
        (3, (3,)),
        ([2, 3], (2, 3)),
        (np.int64(3), (3,)),
        ((), ()),
        ((0, 3), (0, 3)),
    ):
        made = make(shape)
        assert made.shape == sides and made.dtype == np.float32 and made.context == mx.cpu()
    assert make(2, None, None).dtype == np.float32
    assert make(2, "cpu", "bool").dtype == np.bool_
    for shape in ((-1, 3), -2):
        with pytest.raises(ArgumentError, match="negative"):
            make(shape)
    for shape in ((2.0, 3), None, "3"):
        with pytest.raises(ArgumentError, match="integers"):
            make(shape)
    with pytest.raises(ArgumentError, match="no such"):
        make(2, dtype="no such")
    with pytest.raises(ContextError):  # before the shape is looked at
        make((-1, 3), mx.gpu(mx.num_gpus()))


def test_full(ctx: mx.Context) -> None:
    made = mx.nd.full((2, 2), 3.7, ctx, "int32")
    assert made.dtype == np.int32 and made.context == ctx
    np.testing.assert_array_equal(made.asnumpy(), [[3, 3], [3, 3]])
    assert mx.nd.full(2, 3, ctx).dtype == mx.nd.full(2, 3, ctx, None).dtype == np.float32
    for spread in (mx.nd.array([3, 4]), mx.nd.array([3, 4], ctx), [3, 4], np.array([3, 4])):
        made = mx.nd.full((2, 2), spread, ctx)
        np.testing.assert_array_equal(made.asnumpy(), [[3, 4], [3, 4]])
    for value in ([1, 2, 3], "a"):
        with pytest.raises(ArgumentError):
            mx.nd.full((2, 2), value, ctx)


def test_empty(ctx: mx.Context) -> None:
    made = mx.nd.empty((2, 3), ctx, "uint8")
    assert made.shape == (2, 3) and made.dtype == np.uint8 and made.context == ctx


@pytest.mark.parametrize(
    "source",
    [["a", "b"], [[1], [1, 2]], {}, (x for x in [1]), [1j], object()],
    ids=["strings", "ragged", "dict", "generator", "complex", "object"],
)
def test_array_of_what_is_not_numbers(source: object) -> None:
    with pytest.raises(ArgumentError, match="expected a rectangular numeric array"):
        mx.nd.array(source)  # type: ignore[arg-type]


def test_array_of_odd_sources(ctx: mx.Context) -> None:
    def check(source: object, wanted: object, dtype: str | None = None) -> None:
        made = mx.nd.array(source, ctx, dtype)  # type: ignore[arg-type]
        assert made.dtype == (dtype or np.float32) and made.flags.c_contiguous
        assert made.context == ctx
        np.testing.assert_array_equal(made.asnumpy(), wanted)

    frozen = np.arange(3.0, dtype=np.float32)
    frozen.flags.writeable = False
    check(frozen, [0, 1, 2])
    made = mx.nd.array(frozen, ctx)
    made[0] = 5
    assert made.asnumpy()[0] == 5
    check(np.arange(6).reshape(2, 3).T, [[0, 3], [1, 4], [2, 5]])
    check(np.arange(3)[::-1], [2, 1, 0])
    check([True, False], [1, 0])
    check(np.array([True, False]), [1, 0], "bool")
    check(["1", "2"], [1, 2])
    check([], [])
    check(np.zeros((0, 3)), np.zeros((0, 3)))
    check(7, 7)
    check(np.float64(7), 7)
    check([2**40], [2**40], "int64")
    check(range(3), [0, 1, 2])
    rows = [mx.nd.array([1, 2], ctx), mx.nd.array([3, 4], ctx)]
    check(rows, [[1, 2], [3, 4]])
    check(tuple(rows), [[1, 2], [3, 4]], "int32")
    with pytest.raises(ArgumentError, match="no such"):
        mx.nd.array([1], ctx, "no such")


def test_from_numpy_shares_and_protects() -> None:
    values = np.arange(3, dtype=np.int16)
    shared = mx.nd.from_numpy(values)
    assert shared.dtype == np.int16 and not values.flags.writeable
    shared[0] = 7
    assert values[0] == 7
    copied = mx.nd.from_numpy(values, zero_copy=False)
    copied[0] = 1
    assert values[0] == 7
    with pytest.raises(ArgumentError, match="C-contiguous"):
        mx.nd.from_numpy(np.ones((2, 3)).T)
    with pytest.raises(ArgumentError, match="not list"):
        mx.nd.from_numpy([1])  # type: ignore[arg-type]


def test_full_and_zeros_take_mxnets_other_arguments(ctx: mx.Context) -> None:
    out = mx.nd.empty((2, 2), ctx, "int32")
    assert mx.nd.full((2, 2), 3, out=out) is out and out.asnumpy().tolist() == [[3, 3], [3, 3]]
    assert mx.nd.zeros((2, 3), stype="csr").stype == "csr"
    assert mx.nd.zeros((2, 3), stype="default").stype == "default"
    with pytest.raises(ArgumentError, match="step must not be 0"):
        mx.nd.arange(1, 2, 0)


def test_dlpack_capsules() -> None:
    made = mx.nd.ones(3)
    for capsule in (mx.nd.to_dlpack_for_read(made), mx.nd.to_dlpack_for_write(made)):
        assert type(capsule).__name__ == "PyCapsule"
