"""Batches as PyTorch's and JAX's arrays."""

import builtins
import importlib
import json
import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
import gpuio.jax
import gpuio.torch
from gpuio.nd.device_memory import as_stream
from gpuio.tensor_loader import TensorLoader, exportable
from tests.io.threads import run_in_thread

TABLE = np.arange(30, dtype=np.float32).reshape(10, 3)
NUMBERS = np.arange(10, dtype=np.float32)


@pytest.fixture(params=["torch", "jax"])
def get_array_module(request: pytest.FixtureRequest) -> Any:
    """gpuio's module for each library that is installed."""
    pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    return importlib.import_module(f"gpuio.{request.param}")


@pytest.fixture(
    params=[
        "cpu",
        pytest.param("gpu", marks=[pytest.mark.gpu, pytest.mark.real_gpu("needs these libraries")]),
    ]
)
def ctx(request: pytest.FixtureRequest) -> mx.Context:
    """Each device in turn."""
    return mx.Context(request.param)


def iterator(**options: Any) -> mx.io.NDArrayIter:
    return mx.io.NDArrayIter(TABLE, NUMBERS, 4, **options)


def to_numpy(array: Any) -> np.ndarray:
    return array.cpu().numpy() if hasattr(array, "cpu") else np.asarray(array)


def test_pairs(get_array_module: Any, ctx: mx.Context) -> None:
    loader = get_array_module.loader(iterator(ctx=ctx))
    assert len(loader) == 3
    for _ in range(2):
        pads = []
        for number, batch in enumerate(loader):
            data, label = batch
            assert data is batch.data and label is batch.label
            rows = np.arange(4 * number, 4 * number + 4) % 10
            np.testing.assert_array_equal(to_numpy(data), TABLE[rows])
            np.testing.assert_array_equal(to_numpy(label), NUMBERS[rows])
            pads.append(batch.pad)
            assert batch.index is None and batch.bucket_key is None
        assert pads == [0, 0, 2]


def test_rows_that_only_fill_can_be_left_out(get_array_module: Any) -> None:
    batches = list(get_array_module.loader(iterator(), drop_pad=True))
    assert [len(batch.label) for batch in batches] == [4, 4, 2]
    assert [batch.pad for batch in batches] == [0, 0, 0]

    class Rows(mx.io.IndexedIter):
        def load(self, rows: np.ndarray) -> Any:
            return rows

    (*_, last) = get_array_module.loader(Rows(5, 4), drop_pad=True)
    assert last.index.tolist() == to_numpy(last.data).tolist() == [4] and last.label is None


def test_names_are_kept(get_array_module: Any) -> None:
    data = {"image": TABLE, "length": NUMBERS}
    (first, *_) = get_array_module.loader(mx.io.NDArrayIter(data, [NUMBERS, -NUMBERS], 5))
    assert list(first.data) == ["image", "length"]
    assert list(first.label) == ["_0_softmax_label", "_1_softmax_label"]
    np.testing.assert_array_equal(to_numpy(first.data["length"]), NUMBERS[:5])
    inputs, label = next(iter(get_array_module.loader(mx.io.NDArrayIter(data, None, 5))))
    assert label is None and set(inputs) == set(data)


def test_sparse_batches(get_array_module: Any, ctx: mx.Context) -> None:
    dense = np.where(TABLE % 2 == 0, TABLE, 0)
    matrix = mx.nd.sparse.csr_matrix(dense)
    for number, (data, label) in enumerate(
        get_array_module.loader(mx.io.NDArrayIter(matrix, NUMBERS, 5, ctx=ctx))
    ):
        rows = slice(5 * number, 5 * number + 5)
        found = data.to_dense() if hasattr(data, "to_dense") else data.todense()
        np.testing.assert_array_equal(to_numpy(found), dense[rows])
        np.testing.assert_array_equal(to_numpy(label), NUMBERS[rows])


def test_each_loop_is_an_epoch(get_array_module: Any) -> None:
    train = iterator(shuffle=True, seed=1)
    loader = get_array_module.loader(train)
    orders = [np.concatenate([to_numpy(label) for _, label in loader]).tolist() for _ in range(3)]
    assert len(set(map(str, orders))) == 3
    for _, label in loader:  # a loop that is broken off
        first = to_numpy(label).tolist()
        break
    assert train.epoch == 3
    again = [to_numpy(label).tolist() for _, label in loader]
    assert train.epoch == 4 and len(again) == 3 and again[0] != first


def test_a_state_goes_on_in_the_middle(get_array_module: Any) -> None:
    loader = get_array_module.loader(iterator(shuffle=True, seed=1))
    for _ in loader:
        state = json.loads(json.dumps(loader.state_dict()))
        break
    rest = [to_numpy(label).tolist() for _, label in loader]  # a new epoch
    loader.load_state_dict(state)
    resumed = [to_numpy(label).tolist() for _, label in loader]
    assert len(resumed) == 2 and len(rest) == 3
    fresh = get_array_module.loader(iterator(shuffle=True, seed=1))
    assert [to_numpy(label).tolist() for _, label in fresh][1:] == resumed
    # A state from the very end of an epoch begins the next.
    ended = fresh.state_dict()
    other = get_array_module.loader(iterator(shuffle=True, seed=1))
    other.load_state_dict(ended)
    assert [to_numpy(label).tolist() for _, label in other] == rest


def test_the_users_arrays_never_change(get_array_module: Any, ctx: mx.Context) -> None:
    torch = get_array_module is gpuio.torch
    for copy in (True, False) if ctx == mx.cpu() else (True,):
        table = mx.nd.array(TABLE, ctx)
        train = mx.io.NDArrayIter(table, NUMBERS, 5, copy=copy)
        held = []
        for _ in range(2):
            for data, label in get_array_module.loader(train):
                held.append((np.array(to_numpy(data)), data))
                if torch:
                    data.div_(255)
                    label.fill_(-1)
        np.testing.assert_array_equal(table.asnumpy(), TABLE)
        np.testing.assert_array_equal(np.stack([before for before, _ in held]).reshape(20, 3),
                                      np.concatenate([TABLE, TABLE]))  # fmt: skip


def test_only_rows_that_fill_a_batch_are_dropped(get_array_module: Any) -> None:
    train = iterator(last_batch_handle="roll_over")
    loader = get_array_module.loader(train, drop_pad=True)
    seen = [[to_numpy(label).tolist() for _, label in loader] for _ in range(2)]
    assert seen == [[[0, 1, 2, 3], [4, 5, 6, 7]], [[8, 9, 0, 1], [2, 3, 4, 5], [6, 7, 8, 9]]]
    for wrap in (
        mx.io.PrefetchingIter,
        lambda inner: mx.io.ResizeIter(inner, 3),
        lambda inner: pickle.loads(pickle.dumps(inner)),
    ):
        with wrap(iterator(last_batch_handle="roll_over")) as wrapped:
            next_epoch = [to_numpy(label).tolist() for _, label in
                          (*get_array_module.loader(wrapped, drop_pad=True),
                           *get_array_module.loader(wrapped, drop_pad=True))]  # fmt: skip
        assert [8, 9, 0, 1] in next_epoch
        assert all(len(rows) == 4 for rows in next_epoch)


def test_a_users_batches_may_have_a_pad_alone(get_array_module: Any) -> None:
    class Own(mx.io.DataIter):
        def __init__(self, make: Any) -> None:
            self.provide_data, self.provide_label = [("x", (4, 3))], []
            self.left, self.make = 2, make

        def next(self) -> Any:
            if not self.left:
                raise StopIteration
            self.left -= 1
            return self.make(mx.nd.array(TABLE[:4]))

    class Bare:
        def __init__(self, array: Any) -> None:
            self.data, self.pad = [array], 3

    class NoInit(mx.io.DataBatch):
        def __init__(self, array: Any) -> None:
            self.data, self.label, self.pad = [array], [], 3
            self.index = self.bucket_key = None

    for make in (lambda array: mx.io.DataBatch([array], pad=3), Bare, NoInit):
        for source in (Own(make), mx.io.PrefetchingIter(Own(make))):
            found = list(get_array_module.loader(source, drop_pad=True))
            assert [tuple(batch.data.shape) for batch in found] == [(1, 3), (1, 3)]
            assert [batch.pad for batch in found] == [0, 0]


def labels_of(loader: Any) -> list[list[float]]:
    """What a worker does: loop over the loader that it was sent."""
    return [to_numpy(label).tolist() for _, label in loader]


def test_a_loader_sent_to_a_spawned_worker(get_array_module: Any, tmp_path: Path) -> None:
    csv = tmp_path / "x.csv"
    np.savetxt(csv, NUMBERS[:, None], "%d")
    loader = get_array_module.loader(iterator(shuffle=True, seed=3), drop_pad=True)
    of_files = get_array_module.loader(
        mx.io.PrefetchingIter(
            mx.io.CSVIter(data_csv=csv, data_shape=(1,), label_csv=csv, batch_size=5)
        )
    )
    next(iter(loader))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found, found_of_files = pool.map(labels_of, [loader, of_files])
    # The copy continues; the original's next loop is a new epoch.
    assert found == labels_of(pickle.loads(pickle.dumps(loader))) and len(found) == 2
    assert [len(label) for label in found] == [4, 2]
    assert found_of_files == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_a_copy_after_the_end_begins_the_next_epoch(get_array_module: Any) -> None:
    loader = get_array_module.loader(iterator(shuffle=True, seed=3))
    first = labels_of(loader)
    copy = pickle.loads(pickle.dumps(loader))
    second = labels_of(copy)
    assert sorted(np.concatenate(second)[:10]) == list(range(10)) and second != first
    assert labels_of(loader) == second


def orders_of(loader: Any, epochs: list[int]) -> list[list[list[float]]]:
    """The labels of some epochs, chosen by `set_epoch`."""
    found = []
    for epoch in epochs:
        loader.set_epoch(epoch)
        found.append(labels_of(loader))
    return found


def test_epochs_by_number(get_array_module: Any) -> None:
    def loader() -> Any:
        return get_array_module.loader(iterator(shuffle=True, seed=1))

    expected = [labels_of(each) for each in [loader()] * 5]
    assert orders_of(loader(), [0, 1, 2, 3, 4]) == expected
    assert orders_of(loader(), [3, 4]) == expected[3:]
    assert orders_of(loader(), [2, 2, 0, 1, 4]) == [expected[each] for each in (2, 2, 0, 1, 4)]
    train = loader()
    next(iter(train))  # a loop that is broken off
    assert orders_of(train, [1, 2]) == expected[1:3]
    next(iter(train))
    assert orders_of(train, [3]) == expected[3:4]
    next(iter(train))
    assert orders_of(train, [4]) == expected[4:]  # of which a batch had been given


def test_the_epoch_of_a_state_continues(get_array_module: Any) -> None:
    def loader(state: Any = None) -> Any:
        train = get_array_module.loader(iterator(shuffle=True, seed=1))
        if state is not None:
            train.load_state_dict(state)
        return train

    train, states = loader(), []
    expected = [labels_of(each) for each in [loader()] * 3]
    train.set_epoch(0)
    list(train)
    train.set_epoch(1)
    for _ in train:
        states.append(train.state_dict())
    for given, state in enumerate(states, 1):
        # At its end nothing is left: no batch is given twice.
        assert orders_of(loader(state), [1, 2]) == [expected[1][given:], expected[2]]
        assert orders_of(loader(state), [0]) == expected[:1]
        assert orders_of(loader(state), [2]) == expected[2:]
        copy = loader(state)
        for epoch in (1, 2, 1, 1):
            copy.set_epoch(epoch)
        assert labels_of(copy) == (expected[1] if given < 3 else [])
        copy = loader(state)
        copy.set_epoch(1)
        copy.set_epoch(2)
        assert labels_of(copy) == expected[2]


def test_epochs_of_an_iterator_that_knows_only_the_next(
    get_array_module: Any, tmp_path: Path
) -> None:
    np.savetxt(tmp_path / "x.csv", NUMBERS[:, None], "%d")

    def files() -> mx.io.CSVIter:
        return mx.io.CSVIter(
            data_csv=tmp_path / "x.csv",
            data_shape=(1,),
            label_csv=tmp_path / "x.csv",
            batch_size=4,
        )

    loader, other = (get_array_module.loader(files()) for _ in range(2))
    expected = [labels_of(other), labels_of(other)]
    state = other.state_dict()
    assert orders_of(loader, [0, 7]) == expected
    assert orders_of(loader, [2]) == [labels_of(other)]
    loader.load_state_dict(state)
    assert orders_of(loader, [1]) == [[]]  # the epoch of the state, which has ended
    for wrong in (-1, 1.5, "x", True):
        with pytest.raises(mx.MXNetError, match="epoch must be"):
            loader.set_epoch(wrong)


def test_an_iterator_of_ones_own_chooses_its_epochs(get_array_module: Any) -> None:
    class Own(mx.io.DataIter):
        provide_data: Any = [("data", (2, 3))]
        provide_label: Any = []
        epochs: list[int] = []

        def next(self) -> mx.io.DataBatch:
            raise StopIteration

    class Chooses(Own):
        def set_epoch(self, epoch: int) -> None:
            self.epochs.append(epoch)

    class ChoosesRows(mx.io.IndexedIter):
        epochs: list[int] = []

        def load(self, rows: np.ndarray) -> Any:
            return rows

        def set_epoch(self, epoch: int) -> None:
            self.epochs.append(epoch)

    rows = get_array_module.loader(ChoosesRows(5, 4))
    rows.set_epoch(2)
    assert ChoosesRows.epochs == [2] and len(list(rows)) == 2
    for own in (Own(), Chooses()):
        loader = get_array_module.loader(own)
        loader.set_epoch(3)
        assert list(loader) == [] and loader.batch_size == 2
        with pytest.raises(TypeError, match="does not know"):
            len(loader.dataset)
    assert Own.epochs == [3]


def test_what_training_loops_ask_a_loader_for(get_array_module: Any) -> None:
    train = iterator()
    loader = get_array_module.loader(train)
    assert (loader.batch_size, len(loader), len(loader.dataset)) == (4, 3, 10)
    assert loader.iterator is loader.dataset.iterator is train
    # Lightning would want to replace a sampler; it sets the epoch there.
    assert not hasattr(loader, "sampler")
    assert loader.batch_sampler.sampler is loader and loader.batch_sampler.batch_size == 4


def test_what_a_loader_is(get_array_module: Any) -> None:
    train = iterator()
    assert repr(get_array_module.loader(train, drop_pad=True)) == (
        f"<{get_array_module.__name__}.loader over {train!r}, drop_pad=True>"
    )


def test_odd_memory(get_array_module: Any) -> None:
    table = TABLE.copy()
    table.flags.writeable = False
    for source in (table, TABLE[::-1], TABLE[:, ::-1], np.asfortranarray(TABLE), TABLE[:, 1:]):
        (first, *_) = get_array_module.loader(mx.io.NDArrayIter(source, batch_size=4))
        np.testing.assert_array_equal(to_numpy(first.data), source[:4])


class Gives(mx.io.DataIter):
    """A user's own iterator, all of whose batches are one value."""

    provide_data: Any = [("data", (2,))]
    provide_label: Any = []

    def __init__(self, value: Any) -> None:
        super().__init__(2)
        self.value = value

    def next(self) -> mx.io.DataBatch:
        return mx.io.DataBatch([self.value])


def test_batches_in_the_other_byte_order(get_array_module: Any) -> None:
    swapped = np.array([1.5, 2.5], np.dtype(np.float32).newbyteorder("S"))
    batch = next(iter(get_array_module.loader(Gives(swapped))))
    assert to_numpy(batch.data).tolist() == [1.5, 2.5]


@pytest.mark.parametrize("value", [[1, 2], 3, np.float32(3)])
def test_batches_without_arrays(value: Any, get_array_module: Any) -> None:
    with pytest.raises(mx.MXNetError, match=f"gave {type(value).__name__} in place of an array"):
        next(iter(get_array_module.loader(Gives(value))))


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_what_is_missing_is_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(wanted: str, *rest: Any) -> Any:
        if wanted.partition(".")[0] == name:
            raise ImportError(f"No module named {wanted!r}")
        return real(wanted, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    module = {"torch": gpuio.torch, "jax": gpuio.jax}[name]
    with pytest.raises(ImportError, match="pip install"):
        module.loader(iterator())


def test_what_is_no_iterator(get_array_module: Any) -> None:
    with pytest.raises(TypeError, match="takes an iterator, not list"):
        get_array_module.loader([1, 2])
    with pytest.raises(mx.MXNetError, match="drop_pad"):
        get_array_module.loader(iterator(), drop_pad=5)


def test_an_iterator_that_describes_other_than_it_gives(get_array_module: Any) -> None:
    class Wrong(mx.io.DataIter):
        provide_data: Any = [("a", (2,)), ("b", (2,))]
        provide_label: Any = []

        def next(self) -> mx.io.DataBatch:
            return mx.io.DataBatch([mx.nd.zeros(2)])

    with pytest.raises(mx.MXNetError, match="gave 1 arrays, but describes a, b"):
        next(iter(get_array_module.loader(Wrong(2))))


@pytest.mark.gpu
@pytest.mark.real_gpu("needs these libraries")
@pytest.mark.parametrize("held", [0, 1, 3])
def test_queued_work_is_not_disturbed(held: int, get_array_module: Any) -> None:
    """Whatever the library does with memory that Python has dropped."""
    table = (np.arange(64 * 200_000) % 251).astype(np.float32).reshape(64, -1)
    expected = table.reshape(16, -1).mean(1)
    for options in ({"device_memory": 0}, {}):
        train = mx.io.NDArrayIter(table, batch_size=4, ctx="gpu", **options)
        busy, means, waiting = None, [], []
        for _ in range(4):
            for data, _ in get_array_module.loader(train):
                square = data[:, :4096].reshape(128, 128)
                busy = square if busy is None else busy
                for _ in range(50):  # the GPU falls behind
                    busy = busy @ square * 1e-6
                waiting.append(data)
                if len(waiting) > held:
                    means.append(waiting.pop(0).mean() + 0 * busy[0, 0])
                del data, square
            while waiting:
                means.append(waiting.pop(0).mean())
            train.reset()
        found = np.array([float(to_numpy(mean)) for mean in means])
        np.testing.assert_allclose(found, np.tile(expected, 4), rtol=1e-4)


class Drawn:
    """A stand-in for a library: which GPUs batches are drawn for, on which of CuPy's streams."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.devices: list[int] = []

    def __call__(self, device_id: int) -> Any:
        self.devices.append(device_id)
        return self.stream


@pytest.mark.gpu
def test_batches_are_drawn_on_the_librarys_stream_from_the_first_on(tmp_path: Path) -> None:
    import cupy

    with cupy.cuda.Device(0):
        stream = as_stream(own := cupy.cuda.Stream(non_blocking=True))
    values = np.arange(8000, dtype=np.float32).reshape(8, 1000)

    def arrays() -> mx.io.NDArrayIter:
        return mx.io.NDArrayIter(values, None, 4, ctx="gpu")

    for train in (arrays(), mx.io.PrefetchingIter(arrays()), mx.io.ResizeIter(arrays(), 2)):
        drawn = Drawn(stream)
        results = []
        for batch in TensorLoader(train, lambda array: array, False, drawn):
            with own:  # which waits for no other
                results.append(cupy.array(batch.data.view(type=cupy.ndarray)))
            del batch
        assert drawn.devices == [0, 0, 0]
        own.synchronize()
        np.testing.assert_array_equal(np.concatenate([each.get() for each in results]), values)
    on_host = Drawn(stream)
    list(TensorLoader(iterator(), lambda array: array, False, on_host))
    assert on_host.devices == []


@pytest.mark.gpu
def test_copies_for_a_library_are_kept_for_its_stream() -> None:
    import cupy

    with cupy.cuda.Device(0):
        stream = cupy.cuda.Stream(non_blocking=True)
    values = np.arange(32000, dtype=np.float32).reshape(32, 1000)
    table = mx.nd.array(values, "gpu")[:, ::-1]
    # Leaving `with stream` makes the default stream CuPy's current one, whichever was before.
    cupy.cuda.get_current_stream().synchronize()
    results = []
    for row in range(0, 32, 4):
        copy = exportable(table[row : row + 4])
        assert copy.flags.c_contiguous
        copy.__dlpack__(stream=stream.ptr)
        with stream:
            results.append(cupy.array(copy.view(type=cupy.ndarray)))  # type: ignore[attr-defined]
        del copy  # on CuPy's stream, as a library does
    stream.synchronize()
    np.testing.assert_array_equal(np.concatenate([each.get() for each in results]), values[:, ::-1])


@pytest.mark.parametrize("own", [False, True], ids=["gpuio's", "a user's"])
def test_threads_share_a_loop(own: bool) -> None:
    class Counts(mx.io.DataIter):
        """A user's own iterator, which only one thread may use."""

        provide_data = [("data", (2,))]  # type: ignore[assignment]
        provide_label: Any = []

        def __init__(self) -> None:
            super().__init__(2)
            self.at, self.busy = 0, False

        def reset(self) -> None:
            self.at = 0

        def next(self) -> mx.io.DataBatch:
            assert not self.busy
            self.busy = True
            number, self.at = self.at, self.at + 1
            self.busy = False
            if number >= 300:
                raise StopIteration
            return mx.io.DataBatch([mx.nd.array([number] * 2)], [], 0)

    iterator = Counts() if own else mx.io.NDArrayIter(np.arange(300).repeat(2), batch_size=2)
    loader = TensorLoader(iterator, lambda array: array, False)
    for _ in range(2):
        batches = iter(loader)
        found: list[int] = []

        def draw(batches: Any = batches, found: list[int] = found) -> None:
            for data, _ in batches:
                found.append(int(data.asnumpy()[0]))

        threads = [run_in_thread(draw) for _ in range(4)]
        for thread, raised in threads:
            thread.join(20)
            assert not thread.is_alive() and raised == []
        assert sorted(found) == list(range(300))


def test_a_loop_goes_on_after_an_exception() -> None:
    """As a signal handler may raise anywhere; a generator would be at its end."""
    failing = iter([False, True, False, False, False])

    def convert(array: Any) -> Any:
        if next(failing):
            raise KeyboardInterrupt
        return array

    batches = iter(TensorLoader(mx.io.NDArrayIter(np.arange(8), batch_size=2), convert, False))
    assert next(batches).data.tolist() == [0, 1]
    with pytest.raises(KeyboardInterrupt):
        next(batches)
    assert [batch.data.tolist() for batch in batches] == [[4, 5], [6, 7]]
