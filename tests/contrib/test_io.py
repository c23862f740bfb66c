"""DataLoaderIter: a gluon DataLoader as an iterator."""

import numpy as np
import pytest

import gpuio as mx
from gpuio.contrib.io import DataLoaderIter
from gpuio.errors import ArgumentError, Error
from tests.io.threads import run_in_thread


def loader(count: int = 10, batch_size: int = 4) -> mx.gluon.data.DataLoader:
    images = np.arange(count * 6, dtype=np.uint8).reshape(count, 2, 3)
    dataset = mx.gluon.data.ArrayDataset(mx.nd.array(images, dtype="uint8"), np.arange(count))
    return mx.gluon.data.DataLoader(dataset, batch_size=batch_size)


def test_batches_and_descriptions() -> None:
    iterator = DataLoaderIter(loader())
    assert iterator.batch_size == 4
    assert iterator.provide_data == [("data", (4, 2, 3))]
    assert iterator.provide_label == [("softmax_label", (4,))]
    for _ in range(2):
        batches = list(iterator)
        assert [batch.pad for batch in batches] == [0, 0, 2]
        labels = [batch.label[0].asnumpy().tolist() for batch in batches]
        assert labels == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 0]]
        data = np.concatenate([batch.data[0].asnumpy() for batch in batches])
        np.testing.assert_array_equal(data[:10].ravel(), np.arange(60))
        assert (data[10:] == 0).all() and data.dtype == np.float32
        iterator.reset()


def test_names_and_dtype() -> None:
    iterator = DataLoaderIter(loader(), "image", "class", "float16")
    assert iterator.provide_data[0].name == "image" and iterator.provide_data[0].dtype == "float16"
    batch = iterator.next()
    assert batch.data[0].dtype == batch.label[0].dtype == np.float16


def test_other_iterables_and_iterators_around_it(ctx: mx.Context) -> None:
    """On the device of their arrays."""
    pairs = [(mx.nd.ones((2, 3), ctx=ctx) * number, mx.nd.ones((2,), ctx=ctx)) for number in (1, 2)]
    batches = list(mx.io.ResizeIter(DataLoaderIter(pairs), 5))
    assert [float(batch.data[0].asnumpy().max()) for batch in batches] == [1, 2, 1, 2, 1]
    assert batches[0].data[0].context == ctx
    assert len(list(mx.io.PrefetchingIter(DataLoaderIter(pairs)))) == 2


def test_a_loader_without_batches() -> None:
    with pytest.raises(ArgumentError, match="no batches"):
        DataLoaderIter([])


def test_a_failed_batch_does_not_end_the_epoch_in_silence() -> None:
    broken = {5}

    class Numbers(mx.gluon.data.Dataset):
        def __len__(self) -> int:
            return 8

        def __getitem__(self, index: int) -> tuple[float, float]:
            if index in broken:
                raise ValueError("cannot be read")
            return float(index), float(index)

    for workers in (0, 2):
        broken.discard(5)
        iterator = DataLoaderIter(
            mx.gluon.data.DataLoader(Numbers(), batch_size=2, num_workers=workers)
        )
        broken.add(5)
        iterator.reset()
        assert [iterator.next().data[0].tolist() for _ in range(2)] == [[0, 1], [2, 3]]
        with pytest.raises(ValueError, match="cannot be read"):
            iterator.next()
        for _ in range(2):
            with pytest.raises(Error, match=r"has failed.*reset\(\) begins the next epoch"):
                iterator.next()
        broken.clear()
        iterator.reset()
        assert [batch.data[0].tolist() for batch in iterator] == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_threads_share_an_iterator() -> None:
    iterator = DataLoaderIter(loader(400, 4))
    found: list[tuple[int, int]] = []

    def draw() -> None:
        for batch in iterator:
            found.append((int(batch.data[0].asnumpy().flat[0]), int(batch.label[0].asnumpy()[0])))

    threads = [run_in_thread(draw) for _ in range(4)]
    for thread, raised in threads:
        thread.join(20)
        assert not thread.is_alive() and raised == []
    assert sorted(label for _, label in found) == list(range(0, 400, 4))
    assert all(first == label * 6 % 256 for first, label in found)
