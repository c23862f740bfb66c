"""DataLoader: batches in order, from one thread or several."""

import gc
import logging
import random
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import gpuio as mx
from gpuio.errors import ArgumentError, DecodeError
from gpuio.gluon.data import (
    ArrayDataset,
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    SequentialSampler,
    batchify,
)
from gpuio.gluon.data.vision import transforms
from tests.interruptions import Interruption
from tests.io.threads import run_in_thread

WAIT = 30
WORKERS = pytest.mark.parametrize("workers", [0, 1, 3])


def threads() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name.startswith("gpuio-data")}


def values(loader: DataLoader) -> list[Any]:
    return [batch.tolist() for batch in loader]


@WORKERS
@pytest.mark.parametrize(
    ("last_batch", "expected"),
    [
        (None, [[0, 1], [2, 3], [4]]),
        ("keep", [[0, 1], [2, 3], [4]]),
        ("discard", [[0, 1], [2, 3]]),
        ("rollover", [[0, 1], [2, 3]]),
    ],
)
def test_last_batches(workers: int, last_batch: str | None, expected: list[Any]) -> None:
    loader = DataLoader(list(range(5)), 2, last_batch=last_batch, num_workers=workers)
    assert len(loader) == len(expected) and values(loader) == expected
    if last_batch == "rollover":
        assert len(loader) == 3 and values(loader) == [[4, 0], [1, 2], [3, 4]]


@WORKERS
def test_the_order_does_not_depend_on_threads(workers: int) -> None:
    np.random.seed(3)
    expected = [np.random.permutation(20).tolist() for _ in range(2)]
    np.random.seed(3)
    loader = DataLoader(list(range(20)), 7, shuffle=True, num_workers=workers)
    for epoch in expected:
        assert [index for batch in values(loader) for index in batch] == epoch


@WORKERS
def test_random_transforms_do_not_depend_on_threads(workers: int) -> None:
    """Given random.seed, and whatever else draws from the generators meanwhile."""
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    augment = transforms.Compose(
        [
            transforms.RandomResizedCrop(8),
            transforms.RandomFlipLeftRight(),
            transforms.RandomColorJitter(0.4, 0.4, 0.4, 0.1),
            transforms.RandomLighting(0.1),
            transforms.ToTensor(),
            transforms.RandomRotation((-9, 9)),
        ]
    )
    dataset = ArrayDataset([image] * 12).transform(augment)

    def epochs(count: int, workers: int, noise: bool) -> list[np.ndarray]:
        random.seed(8)
        loader = DataLoader(dataset, 5, num_workers=workers)
        found = []
        for _ in range(count):
            for batch in loader:
                found.append(np.array(batch))
                if noise:
                    np.random.random()
        return found

    expected, found = epochs(2, 0, False), epochs(2, workers, True)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)
    images = np.concatenate(expected)
    assert len(np.unique(images.reshape(24, -1), axis=0)) == 24


class Slow(Dataset):
    """Its sample 0 is ready after sample 9 has begun."""

    def __init__(self) -> None:
        self.ninth = threading.Event()

    def __len__(self) -> int:
        return 10

    def __getitem__(self, idx: int) -> int:
        if idx == 0:
            assert self.ninth.wait(WAIT)
        if idx == 9:
            self.ninth.set()
        return idx


def test_threads_work_at_the_same_time() -> None:
    assert values(DataLoader(Slow(), 5, num_workers=2)) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


@WORKERS
def test_an_error_comes_in_place_of_its_batch(workers: int) -> None:
    def decode(number: int) -> int:
        if number == 5:
            raise DecodeError("number 5")
        return number

    dataset = ArrayDataset(range(10)).transform(decode)
    epoch = iter(DataLoader(dataset, 2, num_workers=workers))
    assert next(epoch).tolist() == [0, 1] and next(epoch).tolist() == [2, 3]
    with pytest.raises(DecodeError, match="number 5"):
        next(epoch)
    assert list(epoch) == [] and not threads()


@WORKERS
def test_several_loops_at_a_time(workers: int) -> None:
    loader = DataLoader(list(range(6)), 2, num_workers=workers)
    pairs = [(one.tolist(), other.tolist()) for one, other in zip(loader, loader, strict=True)]
    assert pairs == [([0, 1],) * 2, ([2, 3],) * 2, ([4, 5],) * 2]
    first, second = iter(loader), iter(loader)
    assert next(first).tolist() == next(second).tolist() == [0, 1]
    assert next(second).tolist() == [2, 3] and next(first).tolist() == [2, 3]


def test_leaving_a_loop_ends_its_threads() -> None:
    loader = DataLoader(list(range(1000)), 2, num_workers=3)
    for _ in loader:
        assert len(threads()) == 3
        break
    gc.collect()
    assert not threads()
    for _ in loader:
        pass
    assert not threads()


def test_an_iterator_outlives_its_loader() -> None:
    epoch = iter(DataLoader(list(range(6)), 2, num_workers=2))
    gc.collect()
    assert [batch.tolist() for batch in epoch] == [[0, 1], [2, 3], [4, 5]]


def test_prefetch_bounds_what_is_loaded() -> None:
    loaded: list[int] = []
    dataset = ArrayDataset(range(100)).transform(lambda number: loaded.append(number) or number)
    epoch = iter(DataLoader(dataset, 1, num_workers=1, prefetch=0))
    assert next(epoch).tolist() == [0] and loaded == [0]
    assert next(epoch).tolist() == [1] and loaded == [0, 1]


def test_auto_reload_begins_the_next_epoch() -> None:
    begun = threading.Semaphore(0)

    def load(number: int) -> int:
        begun.release()
        return number

    dataset = ArrayDataset(range(4)).transform(load)
    loader = DataLoader(dataset, 2, num_workers=1, auto_reload=True)
    for _ in range(3):
        for _ in range(4):  # before anybody asks
            assert begun.acquire(timeout=WAIT)
        assert values(loader) == [[0, 1], [2, 3]]
    loader.clean()
    gc.collect()
    assert not threads()
    assert values(DataLoader([1, 2], 2, auto_reload=True)) == [[1, 2]]


@WORKERS
def test_batch_sampler_and_batchify(workers: int) -> None:
    sampler = BatchSampler(SequentialSampler(3), 2)
    dataset = [(np.arange(number), str(number)) for number in range(3)]
    loader = DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        batchify_fn=batchify.Group(batchify.Pad(), batchify.AsList()),
    )
    assert len(loader) == 2
    (_, second) = loader
    assert second[0].tolist() == [[0, 1]] and second[1] == ["2"]
    loader = DataLoader([5, 6, 7], batch_sampler=[(0, 2), [1]], num_workers=workers)
    assert values(loader) == [[5, 7], [6]]


def test_a_sampler_in_place_of_shuffle() -> None:
    assert values(DataLoader([5, 6, 7], 2, sampler=[2, 0, 1])) == [[7, 5], [6]]


@WORKERS
def test_arrays_are_datasets(workers: int, ctx: mx.Context) -> None:
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    (first, _) = DataLoader(mx.nd.array(table, ctx), 2, num_workers=workers)
    assert first.context == ctx and first.asnumpy().tolist() == [[0, 1], [2, 3]]
    (first, _) = DataLoader(table, 2, num_workers=workers)
    assert first.context == mx.cpu() and first.dtype == np.float32
    assert values(DataLoader([], 2, num_workers=workers)) == []


def test_pin_memory_without_a_gpu_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("gpuio.gluon.data.dataloader.num_gpus", lambda: 0)
    with caplog.at_level(logging.INFO, "gpuio"):
        loader = DataLoader([1, 2], 1, pin_memory=True, pin_device_id=1)
        assert values(loader) == values(loader) == [[1], [2]]
    assert caplog.messages == ["DataLoader: pin_memory has no effect because there is no GPU"]


@pytest.mark.gpu
def test_pinned_batches_are_host_arrays() -> None:
    (batch,) = DataLoader([(np.ones(2), 1)], 1, pin_memory=True)
    data, label = batch
    assert data.context == mx.cpu() and data.tolist() == [[1, 1]] and label.tolist() == [1]
    assert data.as_in_context(mx.gpu()).asnumpy().tolist() == [[1, 1]]


class Users(Dataset):
    """Samples are rows of an array that only the user knows, made on the current stream."""

    def __init__(self) -> None:
        import cupy

        self.rows = cupy.arange(40, dtype=np.float32).reshape(20, 2) * 3

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, idx: int) -> Any:
        return mx.nd.wrap(self.rows[idx] + 1)


@pytest.mark.gpu
@WORKERS
def test_samples_are_made_on_the_callers_stream(workers: int) -> None:
    import cupy

    with cupy.cuda.Device(0), cupy.cuda.Stream(non_blocking=True):
        made = [batch.asnumpy() for batch in DataLoader(Users(), 5, num_workers=workers)]
    np.testing.assert_array_equal(np.concatenate(made).ravel(), np.arange(40) * 3 + 1)


def test_options_that_change_nothing() -> None:
    loader = DataLoader([1], 1, thread_pool=True, try_nopython=False, num_workers=-1)
    assert values(loader) == [[1]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "batch_size must be specified unless"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"batch_size": 1, "last_batch": "drop"}, "'keep', 'discard' or 'rollover'"),
        ({"batch_size": 1, "shuffle": True, "sampler": RandomSampler(1)}, "shuffle must not be"),
        ({"batch_size": 1, "batch_sampler": [[0]]}, "must not be specified if batch_sampler"),
        ({"batch_size": 1, "shuffle": "blocks"}, "'blocks' is for the iterators over record files"),
        ({"batch_size": 1, "timeout": 0}, "timeout must be above 0"),
        ({"batch_size": 1, "num_workers": 1.5}, "num_workers must be an integer"),
        ({"batch_size": 1, "num_workers": 10**8}, "num_workers must be at most"),
        ({"batch_size": 1, "prefetch": "x"}, "prefetch must be an integer"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        DataLoader([1, 2], **options)


def test_a_batch_that_takes_too_long() -> None:
    release = threading.Event()
    dataset = ArrayDataset([0]).transform(lambda number: release.wait(WAIT))
    with pytest.raises(TimeoutError, match=r"not ready after 0\.01 seconds"):
        next(iter(DataLoader(dataset, 1, num_workers=1, timeout=0.01)))
    release.set()
    for thread in threads():
        thread.join(WAIT)


def test_a_timeout_of_centuries() -> None:
    assert values(DataLoader([1, 2], 1, num_workers=1, timeout=1e20)) == [[1], [2]]


def test_samplers_of_ones_own() -> None:
    class Backwards(SequentialSampler):
        def __iter__(self) -> Iterator[int]:
            return iter(range(len(self) - 1, -1, -1))

    assert values(DataLoader([5, 6, 7], 2, sampler=Backwards(3))) == [[7, 6], [5]]


@WORKERS
@pytest.mark.parametrize("auto_reload", [False, True])
def test_threads_share_a_loop(workers: int, auto_reload: bool) -> None:
    loader = DataLoader(
        ArrayDataset(np.arange(200)), 2, num_workers=workers, auto_reload=auto_reload
    )
    for _ in range(2):
        batches = iter(loader)
        found: list[int] = []

        def draw(batches: Any = batches, found: list[int] = found) -> None:
            for batch in batches:
                found.append(int(batch.asnumpy()[0]))

        drawing = [run_in_thread(draw) for _ in range(4)]
        for thread, raised in drawing:
            thread.join(WAIT)
            assert not thread.is_alive() and raised == []
        assert sorted(found) == list(range(0, 200, 2))


@WORKERS
def test_ctrl_c_that_is_caught_loses_the_batch_in_hand(workers: int) -> None:
    loader = DataLoader(ArrayDataset(np.arange(12)), 2, num_workers=workers)

    def consume(at: int) -> tuple[list[list[int]], int]:
        batches, found = iter(loader), []
        with Interruption(at) as interruption:
            while True:
                try:
                    found.append(next(batches))
                except KeyboardInterrupt:
                    continue
                except StopIteration:
                    break
        return [batch.asnumpy().tolist() for batch in found], interruption.moments

    whole, moments = consume(sys.maxsize)
    assert [rows[0] for rows in whole] == [0, 2, 4, 6, 8, 10]
    for at in range(0, moments, 7):
        found, _ = consume(at)
        assert len(found) >= 5 and found == [rows for rows in whole if rows in found]
