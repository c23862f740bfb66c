"""Batches as PyTorch tensors; what they share with JAX's arrays is in test_tensor_loader.py."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import gpuio as mx
import gpuio.torch
from tests.one_batch import OneBatch

TABLE = np.arange(30, dtype=np.float32).reshape(10, 3)
NUMBERS = np.arange(10, dtype=np.float32)

ON_GPU = [pytest.mark.gpu, pytest.mark.real_gpu("needs PyTorch's CUDA build")]


@pytest.mark.parametrize("device", ["cpu", pytest.param("gpu", marks=ON_GPU)])
def test_torch_copies_nothing(device: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ctx = mx.Context(device)
    source = mx.nd.array(TABLE, ctx)
    ((data, _),) = gpuio.torch.loader(OneBatch(source))
    pointer = source.ctypes.data if ctx == mx.cpu() else source.data.ptr
    assert data.data_ptr() == pointer and data.is_cuda == (ctx != mx.cpu())
    assert data.dtype == torch.float32


def test_tensors_of_read_only_batches_are_copies() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    table = TABLE.copy()
    for _ in range(2):
        for data, _ in gpuio.torch.loader(mx.io.NDArrayIter(table, None, 5, copy=False)):
            data.div_(255)
    np.testing.assert_array_equal(table, TABLE)


@pytest.mark.gpu
@pytest.mark.real_gpu("needs PyTorch's CUDA build")
def test_torchs_stream_waits_for_the_batch() -> None:
    """Batches are right on a stream of PyTorch's own while earlier work keeps it busy."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    table = np.arange(64 * 100_000, dtype=np.float32).reshape(64, -1)
    busy = torch.zeros(4000, 4000, device="cuda")
    with torch.cuda.stream(torch.cuda.Stream()):
        for options in ({"device_memory": 0}, {}):
            for epoch in range(3):
                sums = []
                train = mx.io.NDArrayIter(table, batch_size=4, ctx="gpu", **options)
                for data, _ in gpuio.torch.loader(train):
                    busy = busy @ busy
                    sums.append(data.double().sum())
                    del data
                found = torch.stack(sums).cpu().numpy()
                expected = table.astype(np.float64).reshape(16, -1).sum(1)
                np.testing.assert_allclose(found, expected, rtol=1e-9, err_msg=str(epoch))


def test_a_sparse_batch_shares_memory_with_its_tensor() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    matrix = mx.nd.sparse.csr_matrix(TABLE)

    class Sparse(mx.io.IndexedIter):
        def load(self, rows: np.ndarray) -> mx.nd.sparse.CSRNDArray:
            return matrix

    ((tensor, label),) = gpuio.torch.loader(Sparse(10, 10, copy=False))
    assert tensor.layout == torch.sparse_csr and label is None
    assert tensor.values().data_ptr() == matrix.data.ctypes.data
    assert tensor.col_indices().data_ptr() == matrix.indices.ctypes.data


def test_a_batch_moves_as_a_whole() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    rows = {"image": TABLE, "length": NUMBERS}
    for data, label in ((rows, NUMBERS), (TABLE, None)):
        *_, batch = gpuio.torch.loader(mx.io.NDArrayIter(data, label, 4))
        moved = batch.to("meta", non_blocking=True)
        assert type(moved) is gpuio.torch.Batch and moved.pad == batch.pad == 2
        assert moved.index is batch.index and moved.bucket_key is None
        first = moved.data["image"] if isinstance(data, dict) else moved.data
        assert first.device.type == "meta" and first.shape == (4, 3)
        assert moved.label is None if label is None else moved.label.device.type == "meta"
        assert not isinstance(data, dict) or list(moved.data) == ["image", "length"]
    if torch.accelerator.is_available():
        assert batch.pin_memory().data.is_pinned()
    else:
        with pytest.raises(RuntimeError):
            batch.pin_memory()


def test_names_of_the_module() -> None:
    with pytest.raises(AttributeError, match=r"module 'gpuio.torch' has no attribute 'Dataset'"):
        gpuio.torch.Dataset  # noqa: B018


def test_record_dataset_needs_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module itself does not."""
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"gpuio.torch needs PyTorch; run: pip install torch"):
        gpuio.torch.RecordDataset  # noqa: B018


class OnItsStream(mx.io.NDArrayIter):
    """Draws batches on a GPU, and gives them on the host; notes the stream that is current."""

    def __init__(self) -> None:
        super().__init__(TABLE, None, 5, ctx="gpu")
        self.streams: list[int] = []

    def next(self) -> mx.io.DataBatch:
        import cupy

        self.streams.append(cupy.cuda.get_current_stream(0).ptr)
        batch = super().next()
        return mx.io.DataBatch([each.as_in_context("cpu") for each in batch.data], [])


@pytest.mark.gpu
def test_batches_are_drawn_on_torchs_current_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch names the stream, whether or not it has been built for CUDA."""
    import cupy

    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    with cupy.cuda.Device(0):
        own = cupy.cuda.Stream(non_blocking=True)
    torchs = SimpleNamespace(cuda_stream=own.ptr)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device_id: torchs)
    train = OnItsStream()
    before = cupy.cuda.get_current_stream(0).ptr
    assert len(list(gpuio.torch.loader(train))) == 2
    assert set(train.streams) == {own.ptr} != {before}
