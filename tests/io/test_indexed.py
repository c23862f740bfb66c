"""IndexedIter: people's own iterators over numbered rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import gpuio as mx
from gpuio.errors import ArgumentError, StateError

TABLE = np.arange(30, dtype=np.float32).reshape(10, 3)


class Loads(mx.io.IndexedIter):
    """Loads by a function."""

    def __init__(self, function: Callable[[np.ndarray], Any], **options: Any) -> None:
        self.function = function
        self.fingerprint = options.pop("fingerprint", "")
        super().__init__(10, 4, **options)

    def load(self, rows: np.ndarray) -> Any:
        return self.function(rows)


def names(function: Callable[[np.ndarray], Any], **options: Any) -> tuple[list[str], list[str]]:
    iterator = Loads(function, **options)
    batch = iterator.next()
    assert [tuple(array.shape) for array in batch.data] == [d.shape for d in iterator.provide_data]
    return [d.name for d in iterator.provide_data], [d.name for d in iterator.provide_label]


def test_what_load_may_give() -> None:
    assert names(lambda rows: TABLE[rows]) == (["data"], [])
    assert names(lambda rows: (TABLE[rows], rows)) == (["data"], ["softmax_label"])
    assert names(lambda rows: (TABLE[rows], None)) == (["data"], [])
    assert names(lambda rows: ([TABLE[rows], rows], [rows])) == (
        ["_0_data", "_1_data"],
        ["softmax_label"],
    )
    assert names(lambda rows: ({"b": rows, "a": rows}, {"c": rows})) == (["b", "a"], ["c"])
    assert names(lambda rows: rows, data_name="x") == (["x"], [])


def test_arrays_of_all_kinds(ctx: mx.Context) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    kinds: dict[str, Callable[[np.ndarray], Any]] = {
        "numpy": lambda rows: TABLE[rows],
        "ndarray": lambda rows: mx.nd.array(TABLE[rows]),
        "there": lambda rows: mx.nd.array(TABLE[rows], ctx),
        "torch": lambda rows: torch.from_numpy(TABLE)[torch.from_numpy(rows.copy())],
        "csr": lambda rows: scipy.sparse.csr_matrix(TABLE[rows]),
    }
    with Loads(
        lambda rows: {name: kind(rows) for name, kind in kinds.items()}, ctx=ctx, shuffle=True
    ) as iterator:
        for batch in iterator:
            for array in batch.data:
                assert array.context == ctx and array.dtype == np.float32
                np.testing.assert_array_equal(array.asnumpy(), TABLE[batch.index.astype(int)])


def test_types_stay_as_they_are() -> None:
    for dtype in ("float64", "int64", "uint8", "bool"):
        with Loads(lambda rows, dtype=dtype: TABLE[rows].astype(dtype)) as iterator:
            assert iterator.next().data[0].dtype == dtype
            assert iterator.provide_data[0].dtype is np.dtype(dtype).type


@pytest.mark.parametrize("ahead", [0, 2])
def test_what_load_raises_comes_at_its_batch(ahead: int) -> None:
    failing = [True]

    def load(rows: np.ndarray) -> Any:
        if 5 in rows and failing:
            failing.clear()
            raise OSError("the disk is gone")
        return rows

    with Loads(load, prefetch_buffer=ahead) as iterator:
        assert iterator.next().data[0].tolist() == [0, 1, 2, 3]
        with pytest.raises(OSError, match="the disk is gone"):
            iterator.next()
        assert iterator.next().data[0].tolist() == [4, 5, 6, 7]  # asking again tries again


@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        (lambda rows: TABLE, ArgumentError, r"shape \(10, 3\) for 4 rows"),
        (lambda rows: (rows, rows[:2]), ArgumentError, r"'softmax_label' of shape \(2,\)"),
        (lambda rows: np.float32(3), TypeError, "'data' is float32"),
        (lambda rows: "text", TypeError, "'data' is str"),
        (lambda rows: np.array(5), ArgumentError, r"shape \(\)"),
    ],
    ids=["too many rows", "too few labels", "a number", "text", "no rows"],
)
def test_what_load_may_not_give(function: Any, error: type[Exception], text: str) -> None:
    with Loads(function) as iterator, pytest.raises(error, match=text):
        iterator.next()


def test_mistakes() -> None:
    with pytest.raises(NotImplementedError, match="IndexedIter has no load"):
        mx.io.IndexedIter(4, 2).next()
    for options, text in (
        ({"size": 0}, "no records"),
        ({"batch_size": 0}, "batch_size"),
        ({"shuffle": 2}, "shuffle"),
        ({"last_batch_handle": "wrap"}, "last_batch_handle"),
        ({"prefetch_buffer": -1}, "prefetch_buffer"),
        ({"seed": None}, "seed"),
    ):
        with pytest.raises(ArgumentError, match=text):
            mx.io.IndexedIter(**{"size": 4, "batch_size": 2, **options})


def test_a_fingerprint_tells_data_apart() -> None:
    state = Loads(lambda rows: rows, fingerprint="one").state_dict()
    Loads(lambda rows: rows, fingerprint="one").load_state_dict(state)
    with pytest.raises(StateError, match="data='one'"):
        Loads(lambda rows: rows, fingerprint="two").load_state_dict(state)


def test_batches_are_the_callers_whatever_load_returns(ctx: mx.Context) -> None:
    table, buffer = mx.nd.array(TABLE, ctx), mx.nd.zeros((4, 3), ctx)
    matrix = mx.nd.sparse.csr_matrix(TABLE[:4], ctx=ctx)

    def load(rows: np.ndarray) -> Any:
        buffer[:] = float(rows[0])
        return {"view": table[:4], "buffer": buffer, "matrix": matrix}

    for ahead in (0, 2):
        held = list(Loads(load, ctx=ctx, prefetch_buffer=ahead, last_batch_handle="discard"))
        assert [float(batch.data[1].asnumpy()[0, 0]) for batch in held] == [0, 4]
        for batch in held:
            batch.data[2].data[...] = -1
            for array in batch.data[:2]:
                array[:] = -1
        np.testing.assert_array_equal(table.asnumpy(), TABLE)
        np.testing.assert_array_equal(matrix.asnumpy(), TABLE[:4])


def test_copying_can_be_left_out() -> None:
    kept = mx.nd.array(TABLE[:4])
    (batch, *_) = Loads(lambda rows: kept, copy=False)
    assert np.shares_memory(batch.data[0], kept)
    (batch, *_) = Loads(lambda rows: kept)
    assert not np.shares_memory(batch.data[0], kept)


def test_descriptions_are_made_once_and_can_be_assigned() -> None:
    calls = []

    def load(rows: np.ndarray) -> Any:
        calls.append(rows)
        return TABLE[rows], rows

    iterator = Loads(load)
    assert not calls
    assert iterator.provide_data == [("data", (4, 3))]
    assert iterator.provide_label == [("softmax_label", (4,))] and len(calls) == 1

    class Assigns(mx.io.IndexedIter):
        def __init__(self) -> None:
            self.provide_data = [mx.io.DataDesc("x", (4,))]
            super().__init__(10, 4)
            self.provide_label = []

        load = Loads.load

    assert Assigns().provide_data == [("x", (4,))] and Assigns().provide_label == []
