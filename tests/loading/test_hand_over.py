"""Batches on a GPU go from one thread and stream to another."""

from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse

import gpuio as mx
from gpuio.loading.hand_over import change_arrays, hand_over_arrays, share_arrays
from gpuio.nd.device_memory import usage_of

Pair = namedtuple("Pair", ["data", "label"])


class OneBatch(mx.io.DataIter):
    """Gives a batch as it is."""

    def __init__(self, batch: object) -> None:
        super().__init__(3)
        self.provide_data, self.provide_label = [mx.io.DataDesc("data", (3,))], []
        self._batch = batch

    def next(self) -> object:  # type: ignore[override]
        return self._batch


HOST = [np.arange(6.0), mx.nd.ones((2, 3)), scipy.sparse.csr_matrix(np.eye(3)), "anything"]


def test_what_is_on_the_host_stays_as_it_is() -> None:
    for change in (share_arrays, hand_over_arrays):
        assert all(new is old for new, old in zip(change(HOST), HOST, strict=True))
        assert change(None) == []
        batch = SimpleNamespace(data=tuple(HOST), label=None)
        change_arrays(batch, change)
        assert isinstance(batch.data, tuple) and batch.label is None
        assert change_arrays("no batch at all", change) == "no batch at all"


@pytest.mark.gpu
def test_arrays_and_the_parts_of_matrices_get_owners() -> None:
    gpu = mx.gpu(0)
    dense = mx.nd.ones((2, 3), ctx=gpu)
    matrix = mx.nd.sparse.csr_matrix(np.eye(3, dtype=np.float32), ctx=gpu)
    for change in (share_arrays, hand_over_arrays):
        batch = SimpleNamespace(data=[dense, matrix], label=(dense,))
        assert change_arrays(batch, change) is batch
        parts = [batch.data[0], batch.label[0]]
        parts += [getattr(batch.data[1], name) for name in ("data", "indices", "indptr")]
        assert all(usage_of(each) is not None for each in parts)
        assert usage_of(matrix.data) is None  # the given one is as it was
        assert type(batch.data[1]) is type(matrix)
        np.testing.assert_array_equal(batch.data[1].asnumpy(), np.eye(3))


@pytest.mark.gpu
def test_batches_of_a_users_iterator_may_be_namedtuples() -> None:
    given = Pair([mx.nd.ones(3, ctx="gpu")], [mx.nd.ones(3)])
    (batch,) = mx.io.ResizeIter(OneBatch(given), 1)
    assert type(batch) is Pair and batch.label is given.label
    assert usage_of(batch.data[0]) is not None
    np.testing.assert_array_equal(batch.data[0].asnumpy(), [1, 1, 1])


@pytest.mark.gpu
def test_an_array_is_complete_behind_the_makers_work() -> None:
    import cupy

    with cupy.cuda.Device(0):
        making, using = (cupy.cuda.Stream(non_blocking=True) for _ in range(2))
        with making:
            array = mx.nd.wrap(cupy.zeros(1 << 18, np.float32))
            for _ in range(20):
                array += 1
            (shared,) = share_arrays([array])
            shared += 1  # later work needs a later event
            (shared,) = share_arrays([shared])
        with using:
            (handed,) = hand_over_arrays([shared])
            doubled = handed * 2
        using.synchronize()
        assert (doubled.get() == 42).all()
