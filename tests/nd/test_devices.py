"""Everything public in mx.nd, on every device: on a second GPU while the first is current, too.

Each function and method is called; those that need more than one array have their call here. What
is missing here and cannot be called with one array fails.
"""

import copy
import inspect
import operator
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError
from gpuio.nd.placement import plain
from tests.devices import assert_alike

VALUES = np.array([[0.5, 0.25, 0.75], [0.125, 1, 0.5]], np.float32)
HOST = mx.cpu()


def at(x: mx.nd.NDArray) -> mx.nd.NDArray:
    """Indices of columns, on the device of x."""
    return mx.nd.array([2, 0], x.context)


# What a method is called with besides the array.
METHODS: dict[str, Callable[[Any], Any]] = {
    "arccosh": lambda x: (x + 1).arccosh(),
    "arctanh": lambda x: (x / 2).arctanh(),
    "argpartition": lambda x: x.argpartition(1).shape,
    "as_in_context": lambda x: x.as_in_context("cpu").as_in_context(x.context),
    "as_in_ctx": lambda x: x.as_in_ctx(str(x.context)),
    "asscalar": lambda x: x[1, 1].asscalar(),
    "astype": lambda x: [x.astype("int32"), x.astype("float32", copy=False), x.astype("f8", "F")],
    "broadcast_axes": lambda x: x[:1].broadcast_axes(axis=0, size=3),
    "broadcast_like": lambda x: x[:1].broadcast_like(x),
    "broadcast_to": lambda x: x[:1].broadcast_to((4, 3)),
    "choose": lambda x: x.astype("int32").choose([x + 1, x + 2]),
    "clip": lambda x: [x.clip(0.25, 0.5), x.clip(np.float32(0.25), None)],
    "compress": lambda x: x.compress([True, False], axis=0),
    "copyto": lambda x: [x.copyto(x.context), x.copyto(mx.nd.zeros((2, 3), x.context, "int32"))],
    "dot": lambda x: x.dot(x.T),
    "expand_dims": lambda x: x.expand_dims(1),
    "flip": lambda x: x.flip(1),
    "item": lambda x: x[1, 1].item(),
    "one_hot": lambda x: at(x).one_hot(3),
    "pad": lambda x: x.reshape(1, 1, 2, 3).pad("edge", (0, 0, 0, 0, 1, 1, 2, 2)),
    "pick": lambda x: x.pick(at(x)),
    "put": lambda x: in_place(x, "put", [0, 1], np.array([7, 8])),
    "fill": lambda x: in_place(x, "fill", 7),
    "partition": lambda x: in_place(x, "partition", 1).max(),
    "repeat": lambda x: x.repeat(2, axis=1),
    "reshape": lambda x: [x.reshape(3, 2), x.T.reshape((0, -1)), x.reshape((3, 2), order="F")],
    "reshape_like": lambda x: x.reshape_like(mx.nd.zeros((3, 2), x.context)),
    "searchsorted": lambda x: x[1, :2].searchsorted(np.array([0.5, 2], np.float32)),
    "slice": lambda x: x.slice((0, 1), (2, 3)),
    "slice_axis": lambda x: x.slice_axis(1, 0, 2),
    "slice_like": lambda x: x.slice_like(mx.nd.zeros((1, 2), x.context)),
    "split": lambda x: x.split(3),
    "split_v2": lambda x: x.split_v2((1,), axis=1),
    "std": lambda x: [x.std(), x.std(axis=0)],
    "sum": lambda x: [x.sum(), x.sum(axis=0, dtype="float64"), x.sum(0, None, None, True)],
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "take": lambda x: [x.take(at(x), axis=1), x.take(np.array([1])), x.take([0, 1])],
    "tile": lambda x: x.tile((2, 1)),
    "tobytes": lambda x: x.tobytes(),
    "topk": lambda x: x.topk(k=2, ret_typ="both"),
    "tostype": lambda x: [x.tostype("default"), x.tostype("csr")],
    "trace": lambda x: [x.trace(), x.diagonal()],
    "view": lambda x: x.view("int32"),
    "wait_to_read": lambda x: x.wait_to_read(),
}
# Attributes; what the host does not have, or what is about memory; and what is refused.
NOT_COMPARED = {
    *("T", "base", "context", "cstruct", "ctx", "data", "device", "dtype", "flags", "flat", "imag"),
    *("is_mask", "itemsize", "mT", "nbytes", "ndim", "real", "shape", "size", "strides", "stype"),
    *(
        "asnumpy",
        "byteswap",
        "dump",
        "dumps",
        "get",
        "mdspan",
        "ptp",
        "reduced_view",
        "scatter_add",
    ),
    *("scatter_max", "scatter_min", "set", "to_dlpack_for_read", "to_dlpack_for_write"),
    *("toDlpack", "tofile", "attach_grad", "backward", "record_stream"),
}


def in_place(x: mx.nd.NDArray, name: str, *args: Any) -> mx.nd.NDArray:
    assert getattr(x, name)(*args) is None
    return x


def test_every_method(ctx: mx.Context) -> None:
    there, here = (mx.nd.array(VALUES, each) for each in (ctx, HOST))
    kind = mx.nd.NDArray if ctx == HOST else type(there)  # NumPy's own methods are not wrapped
    names = {name for name in dir(kind) if not name.startswith("_")} - NOT_COMPARED
    assert len(names) > 80
    for name in sorted(names):
        call = METHODS.get(name, operator.methodcaller(name))
        assert_alike(call(there.copy()), call(here.copy()), ctx)
    assert_alike(there, here, ctx)


def test_methods_for_the_host_alone(ctx: mx.Context) -> None:
    made = mx.nd.array(VALUES, ctx)
    if ctx != HOST:
        assert made.get().tolist() == VALUES.tolist()
        made.set(VALUES + 1)
        made -= 1
    assert made.asnumpy().tolist() == made.tolist() == VALUES.tolist()
    assert made.T.context == made.real.context == ctx and isinstance(made.T, mx.nd.NDArray)
    assert f"@{ctx}>" in repr(made) and "0.125" in str(made)
    assert 0.75 in made and 7 not in made and made[0] in made
    assert bool(made[0, 0]) and not (made[0] > 5).any() and float(made[1, 1]) == 1


# Functions that take other arguments than one array.
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "add_n": lambda x: mx.nd.add_n(x, x, x),
    "arccosh": lambda x: mx.nd.arccosh(x + 1),
    "arctanh": lambda x: mx.nd.arctanh(x / 2),
    "batch_dot": lambda x: mx.nd.batch_dot(x.reshape(1, 2, 3), x.reshape(1, 3, 2)),
    "batch_take": lambda x: mx.nd.batch_take(x, at(x)),
    "broadcast_axes": lambda x: mx.nd.broadcast_axes(x[:1], axis=0, size=3),
    "broadcast_like": lambda x: mx.nd.broadcast_like(x[:1], x),
    "broadcast_to": lambda x: mx.nd.broadcast_to(x[:1], (0, 3)),
    "cast": lambda x: mx.nd.cast(x, "int8"),
    "cast_storage": lambda x: mx.nd.cast_storage(x, "csr"),
    "clip": lambda x: mx.nd.clip(x, 0.25, 0.5),
    "concat": lambda x: mx.nd.concat(x, x, dim=0),
    "concatenate": lambda x: mx.nd.concatenate([x, x]),
    "dot": lambda x: [mx.nd.dot(x, x.T), mx.nd.dot(x.tostype("csr"), x.T)],
    "expand_dims": lambda x: mx.nd.expand_dims(x, 0),
    "flip": lambda x: mx.nd.flip(x, 0),
    "gather_nd": lambda x: mx.nd.gather_nd(x, mx.nd.array([[0, 1], [2, 0]], x.context)),
    "imdecode": lambda x: mx.nd.imdecode(mx.image.imencode(np.zeros((4, 5, 3), np.uint8))),
    "moveaxis": lambda x: mx.nd.moveaxis(x, 0, 1),
    "one_hot": lambda x: mx.nd.one_hot(at(x), 3),
    "onehot_encode": lambda x: mx.nd.onehot_encode(at(x), mx.nd.zeros((2, 3), x.context)),
    "pad": lambda x: mx.nd.pad(x.reshape(1, 1, 2, 3), "constant", (0, 0, 0, 0, 1, 1, 2, 2), 5),
    "pick": lambda x: mx.nd.pick(x, at(x)),
    "ravel_multi_index": lambda x: mx.nd.ravel_multi_index(mx.nd.ones((2, 2), x.context), (2, 3)),
    "repeat": lambda x: mx.nd.repeat(x, 2),
    "reshape": lambda x: mx.nd.reshape(x, (3, -1)),
    "reshape_like": lambda x: mx.nd.reshape_like(x, x.T),
    "sample_multinomial": lambda x: mx.nd.sample_multinomial(x, 3).shape,
    "scatter_nd": lambda x: mx.nd.scatter_nd(x[0, :2], mx.nd.array([[2, 0]], x.context), (4,)),
    "shuffle": lambda x: mx.nd.shuffle(x).sum(),
    "slice": lambda x: mx.nd.slice(x, (0, 1), (2, 3)),
    "slice_axis": lambda x: mx.nd.slice_axis(x, 1, 0, 2),
    "slice_like": lambda x: mx.nd.slice_like(x, x[:1]),
    "split": lambda x: mx.nd.split(x, 3),
    "split_v2": lambda x: mx.nd.split_v2(x, 2),
    "stack": lambda x: mx.nd.stack(x, x),
    "swapaxes": lambda x: mx.nd.swapaxes(x, 0, 1),
    "take": lambda x: mx.nd.take(x, at(x), axis=1),
    "tile": lambda x: mx.nd.tile(x, 2),
    "topk": lambda x: mx.nd.topk(x, ret_typ="mask"),
    "unravel_index": lambda x: mx.nd.unravel_index(at(x), (2, 3)),
    "where": lambda x: mx.nd.where(x > 0.5, x, x * 2),
}
ALIASES = {
    *("BlockGrad", "Cast", "Concat", "ElementWiseSum", "Flatten", "Pad", "Reshape"),
    *("SliceChannel", "SwapAxis", "broadcast_axis", "choose_element_0index", "crop", "reverse"),
}
# Tested elsewhere, below or in test_creation, test_files and test_random.
CREATE = {
    *("NDArray", "arange", "array", "empty", "eye", "from_dlpack", "from_numpy", "full"),
    *("linspace", "load", "load_frombuffer", "normal", "ones", "random", "save", "sparse"),
    *("to_dlpack_for_read", "to_dlpack_for_write", "uniform", "waitall", "wrap", "zeros"),
    *(name for name in mx.nd.__all__ if name.startswith("random_")),
}


def test_every_function(ctx: mx.Context) -> None:
    there, here = (mx.nd.array(VALUES, each) for each in (ctx, HOST))
    names = {*mx.nd.__all__} - CREATE - ALIASES
    assert len(names) > 100 and names >= FUNCTIONS.keys() - {"imdecode"}
    for name in sorted(names):
        function = getattr(mx.nd, name)
        parameters = [*inspect.signature(function).parameters]
        two = parameters[:2] in (["lhs", "rhs"], ["base", "exp"])
        call = FUNCTIONS.get(name, (lambda x, f=function: f(x, x)) if two else function)
        assert_alike(call(there), call(here), ctx)


CREATED: dict[str, Callable[[mx.Context], Any]] = {
    "arange": lambda ctx: mx.nd.arange(5, ctx=ctx),
    "array": lambda ctx: [mx.nd.array(VALUES, ctx), mx.nd.array([[1, 2]], ctx, "int8")],
    "array of arrays": lambda ctx: mx.nd.array([mx.nd.ones(2, ctx), mx.nd.zeros(2, ctx)], ctx),
    "empty": lambda ctx: mx.nd.empty((2, 0), ctx),
    "eye": lambda ctx: mx.nd.eye(3, ctx=ctx),
    "full": lambda ctx: [mx.nd.full((2, 3), 5, ctx), mx.nd.full((2, 3), VALUES[0], ctx)],
    "linspace": lambda ctx: mx.nd.linspace(0, 1, 5, ctx=ctx),
    "ones": lambda ctx: mx.nd.ones((2, 3), ctx, "float16"),
    "zeros": lambda ctx: [mx.nd.zeros((2, 3), ctx), mx.nd.zeros((2, 3), ctx, stype="csr")],
    "uniform": lambda ctx: mx.nd.random.uniform(0, 1, 5, ctx=ctx),
    "of arrays": lambda ctx: mx.nd.random.normal(mx.nd.zeros(2, ctx), mx.nd.ones(2, ctx), 3),
    "into": lambda ctx: mx.nd.random.poisson(5, out=mx.nd.zeros((2, 3), ctx)),
    "randint": lambda ctx: mx.nd.random.randint(0, 9, (2, 3), ctx=ctx),
    "multinomial": lambda ctx: mx.nd.random.multinomial(mx.nd.array([0.25, 0.75], ctx), 9),
    "shuffle": lambda ctx: mx.nd.random.shuffle(mx.nd.arange(9, ctx=ctx)),
}


@pytest.mark.parametrize("name", CREATED)
def test_arrays_are_created_on_the_device(name: str, ctx: mx.Context) -> None:
    made = []
    for each in (ctx, HOST):
        mx.random.seed(5)
        made.append(CREATED[name](each))
    with ctx:
        mx.random.seed(5)
        made.append(CREATED[name](None if name in ("uniform", "zeros") else ctx))
    assert_alike(made[0], made[1], ctx)
    assert_alike(made[2], made[1], ctx)


ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
OTHERS: dict[str, Callable[[mx.Context], Any]] = {
    "NDArray": lambda ctx: mx.nd.array(VALUES + 1, ctx),
    "broadcast": lambda ctx: mx.nd.array([1, 2, 3], ctx),
    "number": lambda ctx: 2,
    "NumPy's scalar": lambda ctx: np.float64(0.5),
    "NumPy's array": lambda ctx: VALUES + 1,
    "NumPy's view": lambda ctx: (VALUES.T + 1).T[::-1],
    "NumPy's array of shape ()": lambda ctx: np.array(2, np.float32),
    "list": lambda ctx: [1, 2, 3],
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("name", [*ARITHMETIC, *COMPARISONS])
def test_operators(name: str, other: str, ctx: mx.Context) -> None:
    apply = getattr(operator, name)
    there, here = (mx.nd.array(VALUES, each) for each in (ctx, HOST))
    assert_alike(apply(there, OTHERS[other](ctx)), apply(here, OTHERS[other](HOST)), ctx)
    assert_alike(apply(OTHERS[other](ctx), there), apply(OTHERS[other](HOST), here), ctx)
    if name in ARITHMETIC:
        change = getattr(operator, f"i{name}")
        kept = there
        there, here = (change(x, OTHERS[other](x.context)) for x in (there, here))
        assert there is kept
        assert_alike(there, here, ctx)


def test_operators_of_integers(ctx: mx.Context) -> None:
    there, here = (mx.nd.array([[6, 3, 5]], each, "int32") for each in (ctx, HOST))
    for name in ["and_", "or_", "xor", "lshift", "rshift"]:
        apply = getattr(operator, name)
        for other in (2, np.array([1, 2, 1], np.int32), [1, 2, 1]):
            assert_alike(apply(there, other), apply(here, other), ctx)
            assert_alike(apply(other, there), apply(other, here), ctx)
    for function in (operator.invert, operator.neg, operator.pos, abs):
        assert_alike(function(there), function(here), ctx)
    assert_alike(there @ there.T, here @ here.T, ctx)


def test_numpys_ufuncs(ctx: mx.Context) -> None:
    there, here = (mx.nd.array(VALUES, each) for each in (ctx, HOST))
    other = VALUES[::-1]
    for call in (
        lambda x: np.add(x, other),
        lambda x: np.add(other, x),
        lambda x: np.maximum([1, 0, 0.5], x),
        lambda x: np.multiply(np.float64(2), x),
        np.exp,
        lambda x: np.greater(x, other),
        lambda x: np.add(x, other, out=mx.nd.zeros((2, 3), x.context)),
    ):
        assert_alike(call(there), call(here), ctx)
    out = mx.nd.zeros((2, 3), ctx)
    assert np.add(there, other, out=out) is out
    host = VALUES.copy()
    host += there  # into an array of NumPy
    assert type(host) is np.ndarray and (host == 2 * VALUES).all()


def test_divmod_and_methods_of_ufuncs(ctx: mx.Context) -> None:
    there, here = (mx.nd.array(VALUES, each) for each in (ctx, HOST))
    for call in (
        lambda x: divmod(x, 0.5),
        lambda x: np.add.reduce(x, axis=1),
        lambda x: np.multiply.outer(x[0], x[1]),
    ):
        assert_alike(call(there), call(here), ctx)


def test_numpys_functions_give_plain_arrays_there(ctx: mx.Context) -> None:
    made = mx.nd.array(VALUES, ctx)
    for result, expected in (
        (np.concatenate([made, VALUES]), np.concatenate([VALUES, VALUES])),
        (np.where(made > 0.5, made, 0), np.where(VALUES > 0.5, VALUES, 0)),
        (np.sum(made, axis=0), VALUES.sum(0)),
    ):
        assert not isinstance(result, mx.nd.NDArray)
        assert_alike(mx.nd.wrap(result), mx.nd.array(expected), ctx)


def test_items(ctx: mx.Context) -> None:
    for key in (
        *(0, -1, (1, 2), slice(None), (slice(None), slice(None, None, -2)), ..., None),
        *([1, 0], np.array([1, 0]), np.array([True, False]), VALUES > 0.4, [True, False]),
        *(([0, 1], [2, 0]), (slice(None), np.array([2, 0])), np.array([1.0, 0.0])),
    ):
        there, here = (mx.nd.array(VALUES, each) for each in (ctx, HOST))
        assert_alike(there[key], here[key], ctx)
        for value in (7, np.float32(8), here[key].asnumpy() + 1, here[key] * 3):
            for x in (there, here):
                x[key] = value
            assert_alike(there, here, ctx)
        for x in (there, here):
            x[key] = x[key] * 2
        assert_alike(there, here, ctx)
    for x in (there, here):
        x[x > 5] = 0
        x[mx.nd.array([0], x.context)] += 1
        x[:, 1][:] = mx.nd.array([3, 4])  # from the host
    assert_alike(there, here, ctx)
    assert_alike([*there], [*here], ctx)
    assert_alike([*there[0]], [*here[0]], ctx)
    assert_alike(there[mx.nd.array([1])], here[mx.nd.array([1])], ctx)


def test_copies_and_files(ctx: mx.Context, tmp_path: Path) -> None:
    there, here = (mx.nd.array(VALUES, each)[:, ::2] for each in (ctx, HOST))
    csr = there.tostype("csr")
    mx.nd.save(tmp_path / "arrays", {"x": there, "csr": csr})
    loaded = mx.nd.load(tmp_path / "arrays")
    assert isinstance(loaded, dict)
    assert_alike(loaded["csr"], here.tostype("csr"), ctx)
    for again in (copy.copy(there), copy.deepcopy(there), pickle.loads(pickle.dumps(there))):
        assert_alike(again, here, ctx)
    for made in (there, csr):
        for again in (made.as_in_context("cpu").as_in_context(ctx), made.copyto("cpu")):
            np.testing.assert_array_equal(again.asnumpy(), here.asnumpy())
    assert_alike(loaded["x"], here, ctx)
    mx.nd.waitall()


@pytest.mark.gpu
def test_copies_between_gpus(other_gpu: mx.Context) -> None:
    first = mx.nd.array(VALUES, mx.gpu(0))
    expected = mx.nd.array(VALUES)
    for move in (first.as_in_context, first.copyto, lambda ctx: mx.nd.array(first, ctx)):
        made = move(other_gpu)
        assert_alike(made, expected, other_gpu)
        assert_alike(made.as_in_context(mx.gpu(0)), expected, mx.gpu(0))
    target = mx.nd.zeros((2, 3), other_gpu)
    first.copyto(target)
    assert_alike(target, expected, other_gpu)
    target[:] = first * 2
    target[:, ::2] = first[:, 1:]
    assert target.asnumpy().tolist() == [[0.25, 0.5, 0.75], [1, 2, 0.5]]
    assert_alike(first[mx.nd.array([1, 0], other_gpu)], expected[[1, 0]], mx.gpu(0))
    csr = first.tostype("csr").as_in_context(other_gpu)
    assert_alike(csr, expected.tostype("csr"), other_gpu)
    assert_alike(mx.nd.sparse.array(csr, mx.gpu(0)), expected.tostype("csr"), mx.gpu(0))


MIXED: dict[str, Callable[[Any, Any], Any]] = {
    "x + y": lambda x, y: x + y,
    "x += y": operator.iadd,
    "x == y": lambda x, y: x == y,
    "x @ y": lambda x, y: x @ y,
    "x & y": lambda x, y: (x > 0) & (y > 0),
    "np.add": np.add,
    "np.add out": lambda x, y: np.add(x, 1, out=y),
    "np.concatenate": lambda x, y: np.concatenate([x, y]),
    "add": mx.nd.add,
    "maximum": mx.nd.maximum,
    "concat": mx.nd.concat,
    "stack": mx.nd.stack,
    "add_n": mx.nd.add_n,
    "dot": mx.nd.dot,
    "take": lambda x, y: x.take(y),
    "where": lambda x, y: mx.nd.where(x, x, y),
    "method": lambda x, y: x.dot(y),
    "plain array": lambda x, y: mx.nd.add(x, plain(y)),
    "csr": lambda x, y: x.tostype("csr") @ y.tostype("csr"),
}


@pytest.mark.gpu
@pytest.mark.parametrize("name", MIXED)
def test_devices_are_not_mixed(name: str, other_gpu: mx.Context) -> None:
    x, y = mx.nd.ones((2, 2), mx.gpu(0)), mx.nd.ones((2, 2), other_gpu)
    with pytest.raises(ArgumentError, match=r"gpu\(0\)( and | ?, |.* on )gpu\(1\)"):
        MIXED[name](x, y)
    if name not in ("csr", "method"):
        with pytest.raises(ArgumentError, match=r"cpu\(0\)( and | ?, |.* on )gpu\(0\)"):
            MIXED[name](x.as_in_context("cpu"), x)
