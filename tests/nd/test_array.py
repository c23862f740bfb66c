"""NDArray: MXNet's methods on NumPy's and CuPy's arrays."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable

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


def test_the_package_names_what_it_has() -> None:
    assert set(mx.nd.__all__) <= set(dir(mx.nd))
    for name in mx.nd.__all__:
        assert getattr(mx.nd, name) is not None
    with pytest.raises(AttributeError, match=r"'gpuio\.nd' has no attribute 'nothing'"):
        mx.nd.nothing  # type: ignore[attr-defined]  # noqa: B018


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
        with pytest.raises(ArgumentError, match="whole numbers"):
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


def test_concat_and_stack(ctx: mx.Context) -> None:
    one, two = mx.nd.array([[1, 2], [3, 4]], ctx), mx.nd.array([[5, 6]], ctx)
    for made, wanted in (
        (mx.nd.concat(one, two, dim=0), [[1, 2], [3, 4], [5, 6]]),
        (mx.nd.concat(one, two, dim=-2), [[1, 2], [3, 4], [5, 6]]),
        (mx.nd.concat(one, one), [[1, 2, 1, 2], [3, 4, 3, 4]]),
        (mx.nd.concat(one), [[1, 2], [3, 4]]),
        (mx.nd.stack(one, one), [[[1, 2], [3, 4]], [[1, 2], [3, 4]]]),
        (mx.nd.stack(two, two, axis=-1), [[[5, 5], [6, 6]]]),
    ):
        assert isinstance(made, mx.nd.NDArray) and made.context == ctx and made.dtype == np.float32
        np.testing.assert_array_equal(made.asnumpy(), wanted)


@pytest.mark.parametrize("join", [mx.nd.concat, mx.nd.stack])
def test_what_does_not_fit_is_not_joined(join: Callable[..., mx.nd.NDArray]) -> None:
    one = mx.nd.array([[1, 2], [3, 4]])
    for arrays, text in (
        ((), "none"),
        (([one, one],), "list"),
        ((one, np.ones((2, 2))), "ndarray"),
        ((one, one.astype("int32")), "float32 on cpu.*int32 on cpu"),
        ((one, mx.nd.ones((3, 4))), r"\(2, 2\), \(3, 4\)"),
    ):
        with pytest.raises(ArgumentError, match=text):
            join(*arrays)
    with pytest.raises(ArgumentError, match="axis 5"):
        join(one, one, **{"dim" if join is mx.nd.concat else "axis": 5})


@pytest.mark.gpu
def test_arrays_on_two_devices_are_not_joined() -> None:
    with pytest.raises(ArgumentError, match=r"on cpu.*on gpu"):
        mx.nd.stack(mx.nd.ones(2), mx.nd.ones(2, mx.gpu(0)))


@pytest.mark.parametrize(
    "source", [["a", "b"], [[1], [1, 2]], {}, (x for x in [1]), [1j], object()], ids=repr
)
def test_array_of_what_is_not_numbers(source: object) -> None:
    with pytest.raises(ArgumentError, match="an array is numbers"):
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


def test_one_value_is_an_ndarray(ctx: mx.Context) -> None:
    made = mx.nd.array([[1, 2], [3, 4]], ctx)
    for one in (made[1, 0], made[1][0], made[-1, -2], made[[1, 0]][0, 0]):
        assert isinstance(one, mx.nd.NDArray) and one.shape == () and one.context == ctx
        assert one.asscalar() == 3 and float(one) == 3 and type(one.asscalar()) is np.float32
    one = made[0, 0]
    one[...] = 9
    assert made.asnumpy()[0, 0] == 9
    assert [value.asscalar() for value in made[1]] == [3, 4]
    assert mx.nd.array(5, ctx).asscalar() == mx.nd.array([[5]], ctx).asscalar() == 5
    with pytest.raises(IndexError):
        made[2]
    with pytest.raises(ValueError, match="not a scalar"):
        mx.nd.zeros(0, ctx).asscalar()


def test_one_value_formats_and_indexes_as_a_number() -> None:
    made = mx.nd.array([1, 2], dtype="int32")
    assert made.sum().asscalar() == 3 and (made[1] + 1).asscalar() == 3
    assert f"{made[1]:.2f}" == "2.00" and "abc"[made[1]] == "c" and made[1] == 2


@pytest.mark.parametrize(
    ("old", "wanted", "new"),
    [
        ((2, 3, 4), (-1,), (24,)),
        ((2, 3, 4), (4, -1), (4, 6)),
        ((2, 3, 4), (0, -1), (2, 12)),
        ((2, 3, 4), (4, 0, 2), (4, 3, 2)),
        ((2, 3, 4), (-2,), (2, 3, 4)),
        ((2, 3, 4), (2, -2), (2, 3, 4)),
        ((2, 3, 4), (-2, 1, 1), (2, 3, 4, 1, 1)),
        ((2, 3, 4), (-3, 4), (6, 4)),
        ((2, 3, 4, 5), (-3, -3), (6, 20)),
        ((2, 3, 4), (0, -3), (2, 12)),
        ((2, 3, 4), (-3, -2), (6, 4)),
        ((2, 3, 4), (-4, 1, 2, -2), (1, 2, 3, 4)),
        ((2, 3, 4), (2, -4, -1, 3, -2), (2, 1, 3, 4)),
        ((2, 3, 4), (2, -4, 3, -1, -2), (2, 3, 1, 4)),
        ((0, 3), (3, 0), (3, 0)),
        ((1,), (), ()),
    ],
)
def test_reshape(
    ctx: mx.Context, old: tuple[int, ...], wanted: tuple[int, ...], new: tuple[int, ...]
) -> None:
    made = mx.nd.array(np.arange(np.prod(old)).reshape(old), ctx)
    for again in (
        made.reshape(wanted),
        made.reshape(*wanted),
        made.reshape(list(wanted)),
        made.reshape(shape=wanted),
    ):
        assert isinstance(again, mx.nd.NDArray) and again.shape == new and again.context == ctx
        np.testing.assert_array_equal(again.asnumpy().ravel(), made.asnumpy().ravel())


def test_reshape_shares_memory_and_takes_numpys_options() -> None:
    made = mx.nd.zeros((2, 3))
    made.reshape((0, -1))[...] = 9
    made.reshape(-1)[0] = 8
    assert made.asnumpy().tolist() == [[8, 9, 9], [9, 9, 9]]
    assert made.reshape((3, 2), order="F").asnumpy().tolist() == [[8, 9], [9, 9], [9, 9]]
    assert np.reshape(made, (3, 2)).shape == (3, 2)


@pytest.mark.parametrize(
    ("old", "wanted"),
    [
        ((4,), (3,)),
        ((4,), (2,)),
        ((2, 3), (-1, -1)),
        ((2, 3), (0, 0, 0)),
        ((2, 3), (-3, -3)),
        ((2, 3), (-4, 3, 2, 0)),
        ((2, 3), (-4, -1, -1, 0)),
        ((2, 3), (-4, 2)),
        ((2, 3), (-5,)),
        ((2, 3, 4), (6, 1, 1, -2)),
    ],
)
def test_reshape_to_what_does_not_fit(old: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"reshape|unknown dimension"):
        mx.nd.zeros(old).reshape(wanted)


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
    assert made.astype("float32", copy=False) is made
