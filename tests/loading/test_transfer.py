"""Batches that are copied to a GPU: the same values, in any order of streams."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse

import gpuio as mx
from gpuio.in_flight import kept_count
from gpuio.loading.batch import LoadedBatch
from gpuio.loading.hand_over import hand_over_arrays
from gpuio.loading.transfer import DeviceTransfer

pytestmark = pytest.mark.gpu

TABLE = np.arange(240, dtype=np.float32).reshape(40, 6)
GPU = mx.gpu(0)


class Rows(mx.io.IndexedIter):
    """Host arrays, and CSR matrices, for batches on a GPU."""

    def load(self, rows: np.ndarray) -> Any:
        dense = TABLE[rows]
        return {"dense": dense, "sparse": scipy.sparse.csr_matrix(dense)}, rows


def test_values_are_those_of_the_host() -> None:
    with Rows(40, 8, ctx=GPU) as iterator:
        for _ in range(3):
            for number, batch in enumerate(iterator):
                expected = TABLE[8 * number : 8 * number + 8]
                for array in batch.data:
                    assert array.context == GPU
                    np.testing.assert_array_equal(array.asnumpy(), expected)
            iterator.reset()


def test_batches_are_complete_on_the_callers_stream() -> None:
    import cupy

    with cupy.cuda.Device(0), Rows(40, 8, ctx=GPU, prefetch_buffer=4) as iterator:
        stream, results = cupy.cuda.Stream(non_blocking=True), []
        for _ in range(10):
            with stream:
                results += [batch.data[0] * 2 for batch in iterator]
            iterator.reset()
        stream.synchronize()
        for number, result in enumerate(results):
            first = 8 * (number % 5)
            np.testing.assert_array_equal(result.get(), 2 * TABLE[first : first + 8])


def test_held_batches_stay_as_they_were() -> None:
    with Rows(40, 8, ctx=GPU, prefetch_buffer=2) as iterator:
        held = []
        for _ in range(6):
            held += [(batch, batch.label[0].asnumpy()) for batch in iterator]
            iterator.reset()
    for batch, rows in held:
        np.testing.assert_array_equal(batch.data[0].asnumpy(), TABLE[rows.astype(int)])


def test_arrays_that_are_there_already_are_not_copied() -> None:
    import cupy

    class There(mx.io.IndexedIter):
        def load(self, rows: np.ndarray) -> Any:
            made.append(cupy.asarray(TABLE[rows]))
            return made[-1]

    made: list[Any] = []
    with There(40, 8, ctx=GPU, copy=False) as iterator:
        batches = list(iterator)
    addresses = {array.data.ptr for array in made}
    assert all(batch.data[0].data.ptr in addresses for batch in batches)


def test_the_first_batch_is_complete_on_the_stream_that_gets_it() -> None:
    """Before anything has looked whether its copy is done."""
    import cupy

    transfer = DeviceTransfer(GPU)
    batch = transfer.copy_async(LoadedBatch([TABLE], [TABLE[:, 0]], 0))
    del transfer
    with cupy.cuda.Device(0):
        stream = cupy.cuda.Stream(non_blocking=True)
        with stream:
            (data, label) = hand_over_arrays([*batch.data, *batch.label])
            results = [cupy.array(data), cupy.array(label)]
            del batch, data, label
    stream.synchronize()
    np.testing.assert_array_equal(results[0].get(), TABLE)
    np.testing.assert_array_equal(results[1].get(), TABLE[:, 0])


def test_a_copy_that_fails_leaves_the_memory_of_those_before_it() -> None:
    class Unreadable(np.ndarray):
        """An array that cannot be copied."""

        def __array__(self, *args: object, **options: object) -> Any:
            raise OSError("the disk is gone")

        def __array_ufunc__(self, *args: object, **options: object) -> Any:
            raise OSError("the disk is gone")

        __array_function__ = __array_ufunc__

    transfer = DeviceTransfer(GPU)
    for _ in range(3):
        bad = LoadedBatch([TABLE, TABLE.view(Unreadable)], [], 0)
        with pytest.raises(OSError, match="the disk is gone"):
            transfer.copy_async(bad)
    batch = transfer.copy_async(LoadedBatch([TABLE], [], 0))
    (data,) = hand_over_arrays(batch.data)
    np.testing.assert_array_equal(data.asnumpy(), TABLE)


def test_a_stream_that_is_not_needed_any_more_is_kept_for_its_work() -> None:
    """CUDA would give its handle to the next stream, and with it CuPy the memory."""
    mx.gpu(0).empty_cache()
    transfer = DeviceTransfer(GPU)
    assert kept_count(0) == 0
    del transfer
    assert kept_count(0) == 1
    mx.gpu(0).empty_cache()
    assert kept_count(0) == 0
