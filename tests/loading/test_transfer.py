"""Batches that are copied to a GPU: the same values, in any order of streams."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse

import gpuio as mx

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
    with There(40, 8, ctx=GPU) as iterator:
        batches = list(iterator)
    addresses = {array.data.ptr for array in made}
    assert all(batch.data[0].data.ptr in addresses for batch in batches)
