"""NDArrayIter: MXNet's results, sources of all kinds, mistakes."""

import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import gpuio as mx
from gpuio.errors import ArgumentError, ContextError, StateError
from tests.io.conformance import trace
from tests.io.golden import CASES, arrays, assert_described, assert_epoch, tables

TABLE = np.arange(30, dtype=np.float64).reshape(10, 3)
NUMBERS = np.arange(10)


@pytest.mark.parametrize("handle", ["pad", "discard", "roll_over"])
@pytest.mark.parametrize("batch_size", [4, 5, 11])
def test_golden_endings(handle: str, batch_size: int, ctx: mx.Context) -> None:
    expected = arrays(f"ndarray_{handle}_{batch_size}")
    with mx.io.NDArrayIter(*tables(), batch_size, last_batch_handle=handle, ctx=ctx) as iterator:
        assert_described(iterator, f"NDArrayIter_{handle}_bs{batch_size}")
        for epoch in range(3):
            count = len(iterator)
            batches = list(iterator)
            assert len(batches) == count
            assert_epoch(batches, expected, epoch)
            if handle == "roll_over":  # MXNet counts the rows that rolled over, which are valid
                assert [batch.padding for batch in batches] == [0] * count
            else:
                assert all(batch.padding == batch.pad for batch in batches)
            assert all(batch.index is None for batch in batches)
            iterator.reset()


def test_golden_batch_larger_than_the_data(ctx: mx.Context) -> None:
    with mx.io.NDArrayIter(*tables(), 25, ctx=ctx) as iterator:
        for epoch in range(2):
            assert_epoch(list(iterator), arrays("ndarray_pad_25"), epoch)
            iterator.reset()


def test_golden_dict_and_list(ctx: mx.Context) -> None:
    x, y = tables()
    for name, data, label in (
        ("dict", {"b": x, "a": x[:, 0]}, {"z": y, "l": x}),
        ("list", [x, x + 1], [y, y + 1]),
    ):
        with mx.io.NDArrayIter(data, label, 4, ctx=ctx) as iterator:
            assert_described(iterator, f"NDArrayIter_{name}")
            assert_epoch(list(iterator), arrays(f"ndarray_{name}"), 0)


def test_golden_layout(ctx: mx.Context) -> None:
    data = np.tile(np.arange(60, dtype=np.float32).reshape(3, 10, 2), (4, 1, 1))[:10]
    with mx.io.NDArrayIter(data, batch_size=4, layout="TNC", ctx=ctx) as iterator:
        assert_described(iterator, "NDArrayIter_TNC")
        assert_epoch(list(iterator), arrays("ndarray_tnc"), 0)
        iterator.reset()
    with mx.io.NDArrayIter(data, NUMBERS, 4, True, layout="TNC", ctx=ctx, seed=1) as iterator:
        for batch in iterator:
            rows = batch.label[0].asnumpy().astype(int)
            np.testing.assert_array_equal(batch.data[0].asnumpy(), data[:, rows])


@pytest.mark.parametrize("handle", ["pad", "roll_over"])
def test_golden_shuffled_epochs_have_the_same_rows(handle: str, ctx: mx.Context) -> None:
    expected = arrays(f"ndarray_shuffle_{handle}")
    x, y = tables()
    with mx.io.NDArrayIter(
        x, y, 4, shuffle=True, last_batch_handle=handle, ctx=ctx, seed=3
    ) as iterator:
        for epoch in range(3):
            batches = list(iterator)
            # Two random orders: what they share is how many rows come, and which.
            found = np.concatenate([batch.label[0].asnumpy() for batch in batches])
            theirs = np.concatenate([expected[f"l{epoch}_{b}"] for b in range(len(batches))])
            assert found.shape == theirs.shape
            if handle == "pad":
                assert set(found.tolist()) == set(theirs.tolist()) == set(y.tolist())
            for batch in batches:
                rows = (batch.label[0].asnumpy() / 10).astype(int)
                np.testing.assert_array_equal(batch.data[0].asnumpy(), x[rows])
            iterator.reset()


def test_every_golden_case_is_looked_at() -> None:
    looked_at = {
        f"NDArrayIter_{h}_bs{b}" for h in ("pad", "discard", "roll_over") for b in (4, 5, 11)
    }
    looked_at |= {f"NDArrayIter_{name}" for name in ("pad_bs25", "dict", "list", "TNC")}
    looked_at |= {f"NDArrayIter_shuffle_{h}" for h in ("pad", "roll_over")}
    assert {name for name in CASES if name.startswith("NDArrayIter")} == looked_at


def sources_of_one_memory(ctx: mx.Context) -> dict[str, Any]:
    """Arrays of every kind whose memory an iterator uses as it is, by name."""
    table = TABLE.astype(np.float32)
    found: dict[str, Any] = {
        "array": mx.nd.array(table, ctx),
        "axis": mx.nd.array(np.ascontiguousarray(table.T), ctx),
        "sparse": mx.nd.sparse.csr_matrix(table, ctx=ctx),
    }
    if ctx == mx.cpu():
        found["numpy"] = table
        found["fortran"] = np.asfortranarray(table)
    return found


@pytest.mark.parametrize(
    ("batch_size", "options"),
    [
        (4, {}),
        (10, {}),
        (15, {}),
        (4, {"shuffle": True}),
        (4, {"last_batch_handle": "roll_over"}),
        (10, {"last_batch_handle": "discard"}),
    ],
)
def test_the_users_arrays_never_change(
    batch_size: int, options: dict[str, Any], ctx: mx.Context
) -> None:
    for kind, source in sources_of_one_memory(ctx).items():
        layout = "CN" if kind == "axis" else "NC"
        label = mx.nd.array(NUMBERS, ctx)
        before = host(source)
        with mx.io.NDArrayIter(source, label, batch_size, layout=layout, **options) as iterator:
            for _ in range(3):
                for batch in iterator:
                    for array in (*batch.data, *batch.label):
                        values = array.data if hasattr(array, "indptr") else array
                        values += 1
                        values[...] = -1
                iterator.reset()
        np.testing.assert_array_equal(host(source), before, err_msg=kind)
        np.testing.assert_array_equal(label.asnumpy(), NUMBERS)


def host(array: Any) -> np.ndarray:
    """A copy on the host."""
    return np.array(array.asnumpy() if hasattr(array, "asnumpy") else array)


def test_normalizing_a_batch_does_so_once(ctx: mx.Context) -> None:
    table = mx.nd.array(TABLE + 255.0, ctx)
    with mx.io.NDArrayIter(table, None, 5) as iterator:
        found = []
        for _ in range(2):
            for batch in iterator:
                pixels = batch.data[0]
                pixels /= 255
                found.append(pixels.asnumpy())
            iterator.reset()
    np.testing.assert_array_equal(found[:2], found[2:])


def test_without_a_copy_batches_are_read_only_views() -> None:
    table = TABLE.astype(np.float32)
    with mx.io.NDArrayIter(table, NUMBERS, 4, copy=False) as iterator:
        first = iterator.next()
        assert np.shares_memory(first.data[0], table)
        with pytest.raises(ValueError, match="read-only"):
            first.data[0][0] = -1
        with pytest.raises(ValueError, match="read-only"):
            first.data[0] /= 255
        assert table.flags.writeable
        iterator.next()
        last = iterator.next().data[0]  # rows from both ends
        assert not np.shares_memory(last, table)
        last[:] = -1
    np.testing.assert_array_equal(table, TABLE)
    for options in ({"shuffle": True}, {"copy": True}):
        with mx.io.NDArrayIter(table, None, 4, **{"copy": False, **options}) as iterator:
            batch = iterator.next()
            assert not np.shares_memory(batch.data[0], table) and batch.data[0].flags.writeable
    with pytest.raises(ArgumentError, match="copy must be True or False, not 2"):
        mx.io.NDArrayIter(table, copy=2)  # type: ignore[arg-type]


def test_without_a_copy_it_gives_the_same() -> None:
    for data in (TABLE.astype(np.float32), mx.nd.sparse.csr_matrix(TABLE)):
        with (
            mx.io.NDArrayIter(data, NUMBERS, 4) as copies,
            mx.io.NDArrayIter(data, NUMBERS, 4, copy=False) as views,
        ):
            assert trace(copies, 9) == trace(views, 9)
        with pickle.loads(pickle.dumps(views)) as again:
            assert trace(again, 1)[0] != "end"


def test_changes_of_the_users_arrays_show_in_later_batches() -> None:
    table = TABLE.astype(np.float32)
    with mx.io.NDArrayIter(table, None, 4) as iterator:
        first = iterator.next().data[0]
        table[:] = -1
        assert (iterator.next().data[0] == -1).all()
        np.testing.assert_array_equal(first, TABLE[:4])


@pytest.mark.gpu
def test_data_goes_to_the_gpu_once() -> None:
    with mx.io.NDArrayIter(TABLE, None, 4, ctx="gpu", copy=False) as iterator:
        first, second = iterator.next().data[0], iterator.next().data[0]
        assert second.data.ptr - first.data.ptr == first.nbytes  # views of one array
    with mx.io.NDArrayIter(
        TABLE, None, 4, ctx="gpu", device_memory=TABLE.nbytes // 2 - 1
    ) as iterator:
        first, second = iterator.next().data[0], iterator.next().data[0]
        assert second.data.ptr - first.data.ptr != first.nbytes


@pytest.mark.gpu
def test_pinned_memory_may_be_changed_after_the_copy() -> None:
    """CuPy copies from it later, when the stream does."""
    import cupyx

    table = cupyx.empty_pinned(TABLE.shape, np.float32)
    table[:] = TABLE
    with mx.io.NDArrayIter(table, None, 4, ctx="gpu") as iterator:
        first = iterator.next().data[0]
        table[:] = -1
        np.testing.assert_array_equal(first.asnumpy(), TABLE[:4])
        np.testing.assert_array_equal(iterator.next().data[0].asnumpy(), TABLE[4:8])


@pytest.mark.gpu
def test_arrays_of_a_gpu_stay_there() -> None:
    import cupy

    with mx.io.NDArrayIter(cupy.asarray(TABLE), NUMBERS, 4) as iterator:
        batch = iterator.next()
        assert batch.data[0].context == batch.label[0].context == mx.gpu(0)
    with mx.io.NDArrayIter(cupy.asarray(TABLE), NUMBERS, 4, ctx="cpu") as iterator:
        assert iterator.next().data[0].context == mx.cpu()


@pytest.mark.parametrize("dtype", ["float64", "int32", "uint8", "bool", "float16"])
def test_types(dtype: str, ctx: mx.Context) -> None:
    table = TABLE.astype(dtype)
    for data, asked, expected in (
        (table, "auto", "float32"),
        (mx.nd.array(table, dtype=dtype), "auto", dtype),
        (table, None, dtype),
        (table, "float16", "float16"),
        (mx.nd.array(table, dtype=dtype), "float32", "float32"),
    ):
        with mx.io.NDArrayIter(data, batch_size=4, dtype=asked, ctx=ctx) as iterator:
            assert iterator.provide_data[0].dtype == np.dtype(expected)
            batch = iterator.next().data[0]
            assert batch.dtype == expected
            np.testing.assert_array_equal(batch.asnumpy(), table[:4].astype(expected))


def test_other_byte_orders_become_this_machines() -> None:
    for dtype in (None, "auto"):
        with mx.io.NDArrayIter(TABLE.astype(">f4"), batch_size=4, dtype=dtype) as iterator:
            batch = iterator.next().data[0]
            assert batch.dtype == np.float32 and batch.dtype.isnative
            np.testing.assert_array_equal(batch, TABLE[:4])


def test_sparse_types_that_scipy_lacks() -> None:
    with pytest.raises(ArgumentError, match="cannot be a sparse matrix of float16"):
        mx.io.NDArrayIter(scipy.sparse.csr_matrix(TABLE), dtype="float16")


def test_names() -> None:
    def names(data: Any, label: Any = None, **options: Any) -> tuple[list[str], list[str]]:
        iterator = mx.io.NDArrayIter(data, label, **options)
        return [d.name for d in iterator.provide_data], [d.name for d in iterator.provide_label]

    assert names(TABLE) == (["data"], [])
    assert names(TABLE, []) == names(TABLE, {}) == (["data"], [])
    assert names([TABLE], [NUMBERS]) == (["data"], ["softmax_label"])
    assert names(TABLE, NUMBERS, data_name="x", label_name="y") == (["x"], ["y"])
    many = [TABLE] * 11
    assert names(many)[0] == [f"_{number}_data" for number in range(11)]  # in their order
    assert names({"b": TABLE, "a": TABLE})[0] == ["a", "b"]
    assert names([[1, 2], [3, 4]])[0] == ["_0_data", "_1_data"]  # two arrays


def test_idx_tells_the_order(ctx: mx.Context) -> None:
    with mx.io.NDArrayIter(TABLE, NUMBERS, 5, shuffle=True, ctx=ctx) as iterator:
        assert iterator.num_data == 10
        seen = []
        for _ in range(3):
            idx = iterator.idx
            assert idx.dtype == np.int64
            rows = np.concatenate([batch.label[0].asnumpy() for batch in iterator])
            np.testing.assert_array_equal(rows, idx)
            seen.append(idx.tolist())
            iterator.reset()
        assert len(set(map(str, seen))) == 3
    with mx.io.NDArrayIter(TABLE, None, 5) as iterator:
        assert iterator.idx.tolist() == list(range(10))


def test_numpys_seed_decides_the_order_as_in_mxnet() -> None:
    def order() -> list[int]:
        return mx.io.NDArrayIter(TABLE, None, 5, shuffle=True).idx.tolist()

    np.random.seed(3)
    first, second = order(), order()
    np.random.seed(3)
    assert (order(), order()) == (first, second) and first != second
    np.random.seed(3)
    before = np.random.get_state()[1].tolist()  # type: ignore[union-attr]
    mx.io.NDArrayIter(TABLE, None, 5)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[union-attr]


def test_a_state_brings_its_seed() -> None:
    with (
        mx.io.NDArrayIter(TABLE, NUMBERS, 4, shuffle=True) as left,
        mx.io.NDArrayIter(TABLE, NUMBERS, 4, shuffle=True) as right,
        mx.io.NDArrayIter(TABLE, NUMBERS, 4, shuffle=True, seed=1) as other,
    ):
        left.next()
        right.load_state_dict(left.state_dict())
        for _ in range(2):
            np.testing.assert_array_equal(left.next().label[0], right.next().label[0])
        with pytest.raises(StateError, match="seed"):
            other.load_state_dict({**other.state_dict(), "seed": 2})


def test_a_state_of_other_data_is_refused() -> None:
    state = mx.io.NDArrayIter(TABLE, NUMBERS, 4).state_dict()
    for data, label in (
        (TABLE + 1, NUMBERS),
        (TABLE, NUMBERS[::-1].copy()),
        (TABLE[:, :2], NUMBERS),
    ):
        with pytest.raises(StateError, match="data"):
            mx.io.NDArrayIter(data, label, 4).load_state_dict(state)


def test_hard_reset_drops_what_rolled_over(ctx: mx.Context) -> None:
    with mx.io.NDArrayIter(TABLE, NUMBERS, 4, last_batch_handle="roll_over", ctx=ctx) as iterator:
        for after, first in ((iterator.reset, 8), (iterator.hard_reset, 0), (iterator.reset, 8)):
            list(iterator)
            after()
            assert iterator.next().label[0].asnumpy()[0] == first
            iterator.hard_reset()
            assert iterator.next().label[0].asnumpy()[0] == 0
            iterator.hard_reset()
            iterator.hard_reset()  # at the beginning there is nothing to do
            assert iterator.next().label[0].asnumpy()[0] == 0
            iterator.reset()


def test_rolling_over_survives_asking_once_more() -> None:
    with mx.io.NDArrayIter(TABLE, NUMBERS, 4, last_batch_handle="roll_over") as iterator:
        list(iterator)
        assert list(iterator) == []
        iterator.reset()
        assert iterator.next().label[0].tolist() == [8, 9, 0, 1]


CONVERTED: dict[str, Callable[[], Any]] = {
    "array": lambda: np.array(TABLE),
    "byte order": lambda: TABLE.astype(">f4"),
    "list": lambda: [TABLE.copy(), TABLE.astype(np.uint8)],
    "list of one": lambda: [TABLE.copy()],
    "list of lists": lambda: [TABLE[:, 0].tolist(), TABLE.tolist()],
    "dict": lambda: {"b": TABLE.copy(), "a": mx.nd.array(TABLE, dtype="float64")},
    "csr": lambda: scipy.sparse.csr_matrix(TABLE),
    "coordinates": lambda: {"x": scipy.sparse.coo_matrix(TABLE)},
    "ndarray": lambda: mx.nd.array(TABLE, dtype="int32"),
}


@pytest.mark.parametrize("dtype", ["auto", None, "float32", "float64"])
@pytest.mark.parametrize("kind", CONVERTED)
def test_a_pickle_goes_on_bit_for_bit_with_converted_data(
    kind: str, dtype: str | None, ctx: mx.Context
) -> None:
    for shuffle, handle in ((False, "pad"), (True, "roll_over")):
        iterator = mx.io.NDArrayIter(
            CONVERTED[kind](), [NUMBERS, -NUMBERS], 4, shuffle, handle, ctx=ctx, dtype=dtype
        )
        trace(iterator, 2)
        copies = [
            pickle.loads(pickle.dumps(iterator)),
            copy.copy(iterator),
            pickle.loads(pickle.dumps(copy.deepcopy(iterator))),
        ]
        expected = trace(iterator, 6)
        for again in copies:
            for mine, theirs in (
                (again.provide_data, iterator.provide_data),
                (again.provide_label, iterator.provide_label),
            ):
                assert [repr(desc) for desc in mine] == [repr(desc) for desc in theirs]
            assert trace(again, 6) == expected
            assert again.next().data[0].context == ctx


def _arrays_in(data: Any) -> list[Any]:
    values = data.values() if isinstance(data, dict) else data if isinstance(data, list) else [data]
    return [value for value in values if not isinstance(value, list)]


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(
    "kind", ["array", "byte order", "list", "list of one", "dict", "csr", "coordinates"]
)
def test_what_had_to_be_converted_is_not_kept(kind: str, named: bool) -> None:
    data, label = CONVERTED[kind](), TABLE[:, 0].copy()
    originals = [weakref.ref(array) for array in (*_arrays_in(data), label)]
    if named:
        iterator = mx.io.NDArrayIter(data=data, label={"y": label}, batch_size=4, dtype="float32")
    else:
        iterator = mx.io.NDArrayIter(data, label, 4, dtype="float32")
    with iterator:
        before = trace(copy.copy(iterator), 4)
        del data, label
        gc.collect()
        assert not any(reference() is not None for reference in originals)
        again = pickle.loads(pickle.dumps(iterator))
        assert trace(again, 4) == trace(iterator, 4) == before


def test_the_same_array_may_be_data_and_label() -> None:
    table = TABLE.copy()
    original = weakref.ref(table)
    iterator = mx.io.NDArrayIter(table, table, 4)
    del table
    assert original() is None
    for again in (iterator, pickle.loads(pickle.dumps(iterator))):
        for batch in again:
            np.testing.assert_array_equal(batch.data[0], batch.label[0])


class Standardized(mx.io.NDArrayIter):
    """An iterator whose constructor needs the data as they were given."""

    def __init__(self, data: np.ndarray, **options: Any) -> None:
        assert data.dtype == np.float64
        self.mean = data.mean()
        super().__init__(data, **options)


class Renamed(mx.io.NDArrayIter):
    """A subclass with the same constructor."""


def test_subclasses_can_be_copied() -> None:
    iterator = Standardized(TABLE, batch_size=4)
    trace(iterator, 1)
    for again in (pickle.loads(pickle.dumps(iterator)), copy.deepcopy(iterator)):
        assert type(again) is Standardized and again.mean == iterator.mean
        assert trace(again, 3) == trace(copy.copy(iterator), 3)
    table = TABLE.copy()
    original = weakref.ref(table)
    renamed = Renamed(table, NUMBERS, 4)
    del table
    assert original() is None
    again = pickle.loads(pickle.dumps(renamed))
    assert type(again) is Renamed and trace(again, 4) == trace(renamed, 4)


def test_stored_data_stay_where_they_are(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", TABLE)
    stored = np.load(tmp_path / "x.npy", mmap_mode="r")
    reference = weakref.ref(stored)
    iterator = mx.io.NDArrayIter([stored], NUMBERS, 4)
    del stored
    gc.collect()
    assert isinstance(reference(), np.memmap)
    trace(iterator, 1)
    again = pickle.loads(pickle.dumps(iterator))
    assert trace(again, 4) == trace(iterator, 4)


def test_what_it_holds_has_mxnets_names(ctx: mx.Context) -> None:
    iterator = mx.io.NDArrayIter({"b": TABLE, "a": TABLE + 1}, TABLE[:, 0], 4, ctx=ctx)
    assert [name for name, _ in iterator.data] == ["a", "b"]
    np.testing.assert_array_equal(iterator.data[0][1].asnumpy(), TABLE + 1)
    ((name, label),) = iterator.label
    assert name == "softmax_label" and label.context == ctx
    np.testing.assert_array_equal(label.asnumpy(), TABLE[:, 0])
    assert mx.io.NDArrayIter(TABLE).label == []


@pytest.mark.parametrize("shuffle", [False, True])
def test_sparse_sources(shuffle: bool, ctx: mx.Context) -> None:
    dense = np.where(TABLE % 2 == 0, TABLE, 0)
    for matrix in (
        scipy.sparse.csr_matrix(dense),
        scipy.sparse.csr_array(dense),
        scipy.sparse.coo_matrix(dense),
        mx.nd.sparse.csr_matrix(dense),
    ):
        with mx.io.NDArrayIter(
            {"x": matrix, "dense": dense}, matrix, 4, shuffle=shuffle, ctx=ctx
        ) as iterator:
            assert iterator.provide_label[0].shape == (4, 3)
            for batch in iterator:
                (plain, sparse), (label,) = batch.data, batch.label
                assert isinstance(sparse, mx.nd.sparse.CSRNDArray)
                own = isinstance(matrix, mx.nd.sparse.CSRNDArray)
                assert sparse.dtype == (np.float64 if own else np.float32)
                assert sparse.context == ctx
                np.testing.assert_array_equal(sparse.asnumpy(), plain.asnumpy())
                np.testing.assert_array_equal(label.asnumpy(), plain.asnumpy())


@pytest.mark.parametrize("shuffle", [False, True])
def test_h5py_sources_stay_on_disk(shuffle: bool, tmp_path: Path, ctx: mx.Context) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        stored = file.create_dataset("x", data=TABLE)
        with mx.io.NDArrayIter(stored, NUMBERS, 4, shuffle=shuffle, ctx=ctx, seed=2) as iterator:
            assert iterator.provide_data[0].dtype == np.float32  # what batches are
            for batch in iterator:
                rows = batch.label[0].asnumpy().astype(int)
                np.testing.assert_array_equal(batch.data[0].asnumpy(), TABLE[rows])
        with mx.io.NDArrayIter(stored, batch_size=4, dtype=None, ctx=ctx) as iterator:
            assert iterator.next().data[0].dtype == np.float64
        with mx.io.NDArrayIter(stored, batch_size=4, ctx=ctx, device_memory=0) as iterator:
            iterator.next()
            stored[4] = 99
            iterator.reset()
            if ctx == mx.cpu():
                iterator.next()
                assert iterator.next().data[0].asnumpy()[0, 0] == 99


def test_torch_sources(ctx: mx.Context) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    tensor = torch.arange(30, dtype=torch.float32).reshape(10, 3)
    with mx.io.NDArrayIter(tensor, torch.arange(10), 4, dtype=None, ctx=ctx) as iterator:
        batch = iterator.next()
        assert batch.label[0].dtype == np.int64
        np.testing.assert_array_equal(batch.data[0].asnumpy(), tensor[:4].numpy())
    with mx.io.NDArrayIter(tensor, None, 4, copy=False) as iterator:
        assert np.shares_memory(iterator.next().data[0], tensor.numpy())
    with pytest.raises(ArgumentError, match="grad"):
        mx.io.NDArrayIter(tensor.requires_grad_())


def test_jax_sources() -> None:
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    with mx.io.NDArrayIter(jax.numpy.asarray(TABLE), jax.numpy.arange(10), 4) as iterator:
        batch = iterator.next()
        assert batch.data[0].context == mx.cpu()
        np.testing.assert_array_equal(batch.data[0], TABLE[:4])
        np.testing.assert_array_equal(batch.label[0], NUMBERS[:4])


@pytest.mark.parametrize(
    ("data", "label", "error", "text"),
    [
        (None, None, ArgumentError, "data is empty"),
        ([], None, ArgumentError, "data is empty"),
        ({}, None, ArgumentError, "data is empty"),
        ((TABLE, TABLE), None, TypeError, "tuple"),
        ("table.csv", None, TypeError, "str"),
        (5, None, TypeError, "int"),
        ({"x": "text"}, None, TypeError, "'x' is str"),
        ({1: TABLE}, None, TypeError, "names in data must be strings, not 1"),
        ([TABLE, None], None, TypeError, "'_1_data' is NoneType"),
        (np.array(5.0), None, ArgumentError, "single number"),
        (np.array(["a", "b"]), None, ArgumentError, "expected numbers"),
        (np.array([{}, {}]), None, ArgumentError, "expected numbers"),
        (np.zeros((0, 3)), None, ArgumentError, "no rows"),
        (np.zeros((3, 3), "c8"), None, ArgumentError, "complex numbers"),
        (np.ma.masked_array(TABLE, TABLE > 5), None, ArgumentError, "fill it first"),
        (TABLE, NUMBERS[:9], ArgumentError, "data: 10, softmax_label: 9"),
        ({"a": TABLE, "b": TABLE[:3]}, None, ArgumentError, "a: 10, b: 3"),
    ],
    ids=str,
)
def test_data_that_cannot_be(data: Any, label: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        mx.io.NDArrayIter(data, label)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"batch_size": 2.5}, "batch_size must be an integer"),
        ({"shuffle": 3}, "shuffle must be True or False"),
        ({"last_batch_handle": "rollover"}, "'pad', 'discard' or 'roll_over', not 'rollover'"),
        ({"layout": "CHW"}, "layout must have an 'N'"),
        ({"seed": "x"}, "seed must be an integer"),
        ({"batch_size": 11, "last_batch_handle": "discard"}, "never full with 10"),
        ({"batch_size": 11, "last_batch_handle": "roll_over"}, "never full with 10"),
        ({"device_memory": -1}, "device_memory"),
    ],
    ids=str,
)
def test_options_that_cannot_be(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ArgumentError, match=text):
        mx.io.NDArrayIter(TABLE, NUMBERS, **options)


def test_no_gpu_is_said() -> None:
    if not mx.num_gpus():
        with pytest.raises(ContextError):
            mx.io.NDArrayIter(TABLE, ctx=mx.gpu(0))
        with mx.gpu(0), pytest.raises(ContextError):
            mx.io.NDArrayIter(TABLE)
