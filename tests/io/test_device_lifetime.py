"""A batch on a GPU stays what it is as long as anybody holds it, however it is used.

Each way to use batches is tried with each kind of iterator, on streams of its own and of others.
The work on a batch is queued, and the batch dropped; later batches must not disturb it.
"""

import functools
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.in_flight import kept_count
from gpuio.nd.device_memory import usage_of
from gpuio.tensor_loader import TensorLoader
from tests.io.device_iterators import BATCH, KINDS, ROWS, TABLE, Loop, Users, is_on_gpu, parts
from tests.io.threads import run_in_thread

pytestmark = pytest.mark.gpu

EPOCHS = 2

# The number of dimensions of a batch of images; and what a GPU's decoder may differ by from the
# host's, in pixel values. Another batch's images differ by far more.
IMAGES = 4
DECODERS_DIFFER = 2

# What has been queued for each batch: a function that gives the values once all work is done.
Results = list[list[Callable[[], np.ndarray]]]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def on_host(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[list[np.ndarray]]]:
    """The batches of all epochs of a kind of iterator, on the host."""

    @functools.cache
    def batches(kind: str) -> list[list[np.ndarray]]:
        iterator = KINDS[kind](mx.cpu(), tmp_path_factory.mktemp("host"))
        return [[np.array(part) for part in parts(batch)] for batch in epochs(iterator)]

    return batches


@pytest.fixture
def expected(kind: str, on_host: Callable[[str], list[list[np.ndarray]]]) -> list[list[np.ndarray]]:
    return on_host(kind)


@pytest.fixture
def make(kind: str, tmp_path: Path) -> Callable[..., Any]:
    """Creates an iterator with its batches on a GPU."""

    def create(device_id: int = 0) -> Any:
        return KINDS[kind](mx.gpu(device_id), tmp_path)

    return create


@pytest.fixture
def stream() -> Any:
    """A stream that waits for no other unless it is told to."""
    return new_stream()


def new_stream(device_id: int = 0) -> Any:
    import cupy

    with cupy.cuda.Device(device_id):
        return cupy.cuda.Stream(non_blocking=True)


def epochs(iterator: Any, count: int = EPOCHS) -> Iterator[Any]:
    for _ in range(count):
        yield from iterator
        iterator.reset()


def work_on(array: Any) -> Callable[[], np.ndarray]:
    """Queue work on an array, on the current stream of its device."""
    import cupy

    if not is_on_gpu(array):
        values = np.array(array)
        return lambda: values
    with array.device:
        # Not by methods of NDArrays: what gpuio does not see is the harder case.
        plain = array.view(type=cupy.ndarray) if array.size else array
        first = cupy.array(plain)
        again = cupy.array(plain)  # another kernel, later
        stream = cupy.cuda.get_current_stream()

    def values() -> np.ndarray:
        with first.device:
            stream.synchronize()
            found = first.get(), again.get()
        np.testing.assert_array_equal(*found)
        return found[0]  # type: ignore[no-any-return]

    return values


def queued(batch: Any) -> list[Callable[[], np.ndarray]]:
    return [work_on(part) for part in parts(batch)]


def check(results: Results, expected: list[list[np.ndarray]]) -> None:
    found = [[values() for values in batch] for batch in results]
    assert len(found) == len(expected)
    for number, (each, want) in enumerate(zip(found, expected, strict=True)):
        for values, wanted in zip(each, want, strict=True):
            atol = DECODERS_DIFFER if wanted.ndim == IMAGES else 0
            np.testing.assert_allclose(values, wanted, 0, atol, err_msg=f"batch {number}")


def test_usual_loop(make: Callable[..., Any], expected: list[list[np.ndarray]]) -> None:
    check([queued(batch) for batch in epochs(make())], expected)


@pytest.mark.parametrize("held", [1, 3])
def test_batches_are_used_later(
    held: int, make: Callable[..., Any], expected: list[list[np.ndarray]]
) -> None:
    waiting: list[Any] = []
    results: Results = []
    for batch in epochs(make()):
        waiting.append(batch)
        if len(waiting) > held:
            results.append(queued(waiting.pop(0)))
    del batch
    while waiting:
        results.append(queued(waiting.pop(0)))
    check(results, expected)


def test_all_batches_are_held(make: Callable[..., Any], expected: list[list[np.ndarray]]) -> None:
    batches = list(epochs(make()))
    for _ in range(2):
        check([queued(batch) for batch in batches], expected)


def test_own_stream_is_the_current_one(
    make: Callable[..., Any], stream: Any, expected: list[list[np.ndarray]]
) -> None:
    with stream:
        results = [queued(batch) for batch in epochs(make())]
    check(results, expected)


def test_own_stream_is_not_the_current_one(
    make: Callable[..., Any], stream: Any, expected: list[list[np.ndarray]]
) -> None:
    """It is named with the batch, and the batch is dropped on the stream that got it."""
    results: Results = []
    for batch in epochs(make()):
        for part in parts(batch):
            if is_on_gpu(part):
                mx.nd.wrap(part).record_stream(stream)
        with stream:
            results.append(queued(batch))
        del batch
    check(results, expected)


def test_operations_on_another_stream(
    make: Callable[..., Any], stream: Any, expected: list[list[np.ndarray]]
) -> None:
    """NDArrays' own operations need no notice of the stream."""
    results: Results = []
    for batch in epochs(make()):
        with stream:
            results.append([work_on(mx.nd.negative(mx.nd.wrap(part))) for part in parts(batch)])
        del batch
    check(results, [[-part for part in batch] for batch in expected])


@pytest.mark.parametrize(
    "operate",
    [
        mx.nd.array,
        lambda array: array + 0,
        lambda array: 0 + array,
        lambda array: array[:],
        lambda array: array.astype(np.float64),
        lambda array: array.copy(),
        lambda array: mx.nd.zeros_like(array).copyto(array.context) + array,
        lambda array: mx.nd.concat(array, array, dim=0)[: len(array)],
        lambda array: mx.nd.wrap(array.asnumpy()),
    ],
)
def test_each_kind_of_operation_on_another_stream(
    operate: Callable[[Any], Any], stream: Any
) -> None:
    """Before anything else of gpuio's has been done on that stream."""
    values = np.arange(8000, dtype=np.float32).reshape(8, 1000)
    results: Results = []
    for batch in epochs(mx.io.NDArrayIter(values, None, 4, ctx="gpu", device_memory=0)):
        with stream:
            results.append([work_on(operate(batch.data[0]))])
        del batch
    check(results, [[values[:4]], [values[4:]]] * EPOCHS)


class Import:
    """An array as a library with streams of its own imports it."""

    def __init__(self, array: Any, stream: Any) -> None:
        self._array, self._stream = array, stream

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**{**options, "stream": self._stream.ptr})

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()


def imported(array: Any, stream: Any) -> Any:
    import cupy

    if not is_on_gpu(array):
        return array
    with array.device:
        return cupy.from_dlpack(Import(mx.nd.wrap(array), stream))


def test_like_torch(
    make: Callable[..., Any], stream: Any, expected: list[list[np.ndarray]]
) -> None:
    """Arrays are imported for a stream, and dropped when the work there is queued."""
    results: Results = []
    for batch in epochs(make()):
        tensors = [imported(part, stream) for part in parts(batch)]
        del batch
        with stream:
            results.append([work_on(tensor) for tensor in tensors])
        del tensors
    check(results, expected)


def test_a_dropped_iterator_leaves_its_batches(
    make: Callable[..., Any], expected: list[list[np.ndarray]]
) -> None:
    """Also one that was asked for a few batches only, and has made others ahead."""
    for count in (1, 3):
        iterator = make()
        batches = [iterator.next() for _ in range(count)]
        del iterator
        gc.collect()
        other = make()
        disturbing = [queued(batch) for batch in epochs(other, 1)]
        results = [queued(batch) for batch in batches]
        del batches
        check(results, expected[:count])
        check(disturbing, expected[: len(disturbing)])


@pytest.mark.parametrize("how", ["close", "reset", "drop"])
def test_work_is_queued_when_the_iterator_goes(
    how: str, make: Callable[..., Any], stream: Any, expected: list[list[np.ndarray]]
) -> None:
    results: Results = []
    for _ in range(3):
        iterator = make()
        with stream:
            results += [queued(iterator.next()) for _ in range(2)]
        if how == "drop":
            del iterator
        elif hasattr(iterator, how):
            getattr(iterator, how)()
    check(results, expected[:2] * 3)


def test_iterators_of_several_threads(
    make: Callable[..., Any], expected: list[list[np.ndarray]]
) -> None:
    found: dict[int, Results] = {}

    def work(number: int) -> None:
        with new_stream():
            found[number] = [queued(batch) for batch in epochs(iterators[number])]

    iterators = [make() for _ in range(3)]
    threads = [run_in_thread(lambda number=number: work(number)) for number in range(3)]  # type: ignore[misc]
    for thread, raised in threads:
        thread.join()
        assert not raised, raised
    for results in found.values():
        check(results, expected)
    assert len(found) == 3


def test_two_iterators_take_turns(
    make: Callable[..., Any], stream: Any, expected: list[list[np.ndarray]]
) -> None:
    results: tuple[Results, Results] = ([], [])
    iterators = [epochs(make()), epochs(make())]
    for _ in expected:
        for number, iterator in enumerate(iterators):
            with stream if number else new_stream():
                results[number].append(queued(next(iterator)))
    for each in results:
        check(each, expected)


def test_an_iterator_moves_between_threads(
    make: Callable[..., Any], expected: list[list[np.ndarray]]
) -> None:
    """Each batch is drawn by another thread than the one before, and used by a third."""
    iterator = epochs(make())
    results: Results = []
    drawn: list[Any] = []

    def draw() -> None:
        with new_stream():
            drawn.append(next(iterator))
            results.append(queued(drawn[0]))

    for _ in expected:
        thread, raised = run_in_thread(draw)
        thread.join()
        assert not raised, raised
        drawn.clear()
    check(results, expected)


def test_the_second_gpu(make: Callable[..., Any], expected: list[list[np.ndarray]]) -> None:
    if mx.num_gpus() < 2:
        pytest.skip("needs two GPUs")
    results = []
    for batch in epochs(make(1)):
        for part in parts(batch):
            assert not is_on_gpu(part) or part.device.id == 1
        results.append(queued(batch))
        del batch
    check(results, expected)


@pytest.mark.parametrize("name", ["NDArrayIter, copied", "PrefetchingIter", "MNISTIter"])
def test_memory_is_reused(name: str, tmp_path: Path) -> None:
    """A long loop needs no more memory than a short one, and none once it has ended."""
    import cupy

    ctx = mx.gpu(0)
    ctx.empty_cache()
    iterator = KINDS[name](ctx, tmp_path)
    sizes = []
    for _ in range(2):
        for batch in epochs(iterator, 10):
            queued(batch)
            cupy.cuda.get_current_stream().synchronize()
        size = sum(part.nbytes for part in parts(batch))
        del batch
        with cupy.cuda.Device(0):
            sizes.append(cupy.get_default_memory_pool().total_bytes())
    assert sizes[1] - sizes[0] < 20 * size  # of 50 batches and more
    assert kept_count(0) < 50
    ctx.empty_cache()
    assert kept_count(0) == 0


@pytest.mark.parametrize("users", [False, True])
def test_a_consumer_that_computes_on_a_stream_that_it_does_not_name(
    users: bool, stream: Any
) -> None:
    """JAX's way: memory is dropped as soon as Python drops the array, and the work is known to be
    done when that of a later mark is."""
    marks: list[Any] = []

    class Mark:
        event: Any = None

        @property
        def done(self) -> bool:
            return self.event is not None and bool(self.event.done)

        def synchronize(self) -> None:
            """Nothing: the device has been waited for, and nothing else queues work."""

    def record() -> Mark:
        marks.append(Mark())
        return marks[-1]

    ready = new_stream()

    def convert(array: Any) -> Any:
        made = imported(array, ready)
        usage = usage_of(array)
        assert usage is not None
        usage.note_work(record)
        return made

    def between_batches(device_id: int) -> Any:
        import cupy

        for mark in marks:
            mark.event = mark.event or stream.record()
        return cupy.cuda.Device(device_id)

    def create(ctx: mx.Context) -> Any:
        if users:
            return Users(ctx)
        return mx.io.NDArrayIter(TABLE, TABLE[:, 0], BATCH, ctx=ctx, device_memory=0)

    train = create(mx.gpu())
    results: Results = []
    for _ in range(EPOCHS):
        for data, label in TensorLoader(train, convert, False, between_batches):
            stream.wait_event(ready.record())
            with stream:
                results.append([work_on(data), work_on(label)])
            del data, label
        train.reset()
    check(
        results, [[np.array(part) for part in parts(batch)] for batch in epochs(create(mx.cpu()))]
    )


def _loader(table: Any) -> Any:
    samples = mx.gluon.data.ArrayDataset(table, table)
    return mx.gluon.data.DataLoader(samples, BATCH, num_workers=2)


class Loading(mx.io.IndexedIter):
    """Rows of an array on a GPU, selected by a thread."""

    def __init__(self, table: Any) -> None:
        self.table = table
        super().__init__(ROWS, BATCH, ctx="gpu", prefetch_buffer=2)

    def load(self, rows: np.ndarray) -> Any:
        return self.table[rows] * 1


class Changing(mx.io.DataIter):
    """A user's own iterator: rows of an array on a GPU, which `reset` replaces by another, made of
    what `next` has counted.
    """

    def __init__(self, table: Any) -> None:
        super().__init__(BATCH)
        self.provide_data, self.provide_label = [mx.io.DataDesc("data", (BATCH, 500))], []
        self._table, self._row = table, 0
        self._count = mx.nd.zeros(1, ctx="gpu")

    def next(self) -> mx.io.DataBatch:
        if self._row == ROWS:
            raise StopIteration
        self._row += BATCH
        self._count = self._count + 1
        return mx.io.DataBatch([self._table[self._row - BATCH : self._row] * 1])

    def reset(self) -> None:
        self._table = self._table + (self._count - self._row // BATCH)
        self._row, self._count = 0, mx.nd.zeros(1, ctx="gpu")


@pytest.mark.parametrize(
    "over",
    [
        Loading,
        lambda table: mx.io.PrefetchingIter(Changing(table)),
        lambda table: Loop(_loader(table)),
        lambda table: mx.io.NDArrayIter(table, None, BATCH),
        lambda table: mx.io.PrefetchingIter(mx.io.NDArrayIter(table, None, BATCH, copy=False)),
    ],
    ids=["IndexedIter", "PrefetchingIter", "DataLoader", "NDArrayIter", "views"],
)
@pytest.mark.parametrize("taken", [1, ROWS // BATCH])
def test_threads_work_on_the_callers_streams(
    over: Callable[[Any], Any], taken: int, stream: Any
) -> None:
    """A user's own iterator may work in either."""
    results: Results = []
    with stream:
        table = mx.nd.array(TABLE, "gpu")
        for _ in range(5):
            table = table + 1
        iterator = over(table)
        del table
        for _ in range(EPOCHS):
            for _ in range(taken):
                results.append([work_on(next(iterator).data[0])])
            iterator.reset()
    want = [[TABLE[row : row + BATCH] + 5] for row in range(0, taken * BATCH, BATCH)]
    check(results, want * EPOCHS)
