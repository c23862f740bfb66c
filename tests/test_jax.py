"""Batches as JAX arrays; what they share with PyTorch's tensors is in test_tensor_loader.py."""

from typing import Any

import numpy as np
import pytest

import gpuio as mx
import gpuio.jax
from tests.one_batch import OneBatch


def test_jax_takes_aligned_memory_over(tmp_path: Any) -> None:
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    from tests.io.records import jpeg, write_records

    files = write_records(tmp_path / "x", [jpeg(number) for number in range(4)])
    with mx.io.ImageRecordIter(**files, data_shape=(3, 16, 16), batch_size=4) as images:
        pixels = images.next().data[0]
        images.reset()
        loader = gpuio.jax.loader(images)
        seen = [batch.data for batch in loader]
    assert isinstance(seen[0], jax.Array)
    np.testing.assert_array_equal(np.asarray(seen[0]), pixels)
    aligned = np.frombuffer(bytearray(4 * 64 + 64), np.uint8)
    aligned = aligned[-aligned.ctypes.data % 64 :][: 4 * 64].view(np.float32).reshape(4, 16)
    (batch,) = gpuio.jax.loader(OneBatch(aligned))
    assert batch.data.unsafe_buffer_pointer() == aligned.ctypes.data
    aligned.flags.writeable = False
    (batch,) = gpuio.jax.loader(OneBatch(aligned))
    np.testing.assert_array_equal(batch.data, aligned)


def test_a_sparse_batch_becomes_bcsr() -> None:
    pytest.importorskip("jax", reason="JAX is not installed")
    from jax.experimental import sparse

    dense = np.eye(4, 6, dtype=np.float32)
    ((matrix, _),) = gpuio.jax.loader(mx.io.NDArrayIter(mx.nd.sparse.csr_matrix(dense), None, 4))
    assert isinstance(matrix, sparse.BCSR) and matrix.shape == (4, 6)
    np.testing.assert_array_equal(np.asarray(matrix.todense()), dense)
