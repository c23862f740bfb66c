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


def test_batches_on_one_device_of_a_sharding() -> None:
    """Several devices are in tests/scale, as their number is fixed when JAX begins."""
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    mesh = jax.make_mesh((1,), ("data",))
    by_rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    values = np.arange(30, dtype=np.float32).reshape(10, 3)
    train = mx.io.NDArrayIter({"a": values, "b": -values}, values[:, 0], 4)
    loader = gpuio.jax.loader(train, sharding=by_rows)
    assert repr(loader).startswith("<gpuio.jax.loader over")
    *_, (data, label) = batches = list(loader)
    assert data["a"].sharding == label.sharding == by_rows
    rows = [8, 9, 0, 1]
    np.testing.assert_array_equal(data["b"], -values[rows])
    np.testing.assert_array_equal(label, values[rows, 0])
    assert [batch.pad for batch in batches] == [0, 0, 2]


def test_what_cannot_be_sharded() -> None:
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    mesh = jax.make_mesh((1,), ("data",))
    spec = jax.sharding.PartitionSpec
    rows = mx.io.NDArrayIter(np.arange(12), np.arange(12), 4)
    with pytest.raises(mx.MXNetError, match=r"must be a jax.sharding.Sharding, such as .*'data'"):
        gpuio.jax.loader(rows, sharding=spec("data"))
    by_rows = jax.sharding.NamedSharding(mesh, spec("data"))
    with pytest.raises(mx.MXNetError, match=r"drop_pad=True cannot .*'discard'"):
        gpuio.jax.loader(rows, sharding=by_rows, drop_pad=True)
    by_columns = jax.sharding.NamedSharding(mesh, spec("data", None))
    with pytest.raises(mx.MXNetError, match=r"shape \(4,\) .* no more axes than data and labels"):
        next(iter(gpuio.jax.loader(rows, sharding=by_columns)))
    sparse = mx.io.NDArrayIter(mx.nd.sparse.csr_matrix(np.eye(4, 6)), None, 4)
    with pytest.raises(NotImplementedError, match="sharding is for dense batches"):
        next(iter(gpuio.jax.loader(sparse, sharding=by_rows)))


def test_a_sparse_batch_becomes_bcsr() -> None:
    pytest.importorskip("jax", reason="JAX is not installed")
    from jax.experimental import sparse

    dense = np.eye(4, 6, dtype=np.float32)
    ((matrix, _),) = gpuio.jax.loader(mx.io.NDArrayIter(mx.nd.sparse.csr_matrix(dense), None, 4))
    assert isinstance(matrix, sparse.BCSR) and matrix.shape == (4, 6)
    np.testing.assert_array_equal(np.asarray(matrix.todense()), dense)
