"""Batches as PyTorch tensors, and record files as a dataset for PyTorch's own DataLoader.

>>> for images, labels in gpuio.torch.loader(train):
...     loss = criterion(model(images), labels)
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gpuio.context import Module
from gpuio.io import DataIter
from gpuio.io.array_sources import is_csr
from gpuio.nd.device_memory import as_stream
from gpuio.tensor_loader import Batch as BaseBatch
from gpuio.tensor_loader import BatchArray, Tensor, TensorLoader, exportable

if TYPE_CHECKING:
    from gpuio.torch_records import RecordDataset

__all__ = ["Batch", "RecordDataset", "loader"]


def __getattr__(name: str) -> Any:
    # It is a class of PyTorch's, which is imported when one of the names is used.
    if name == "RecordDataset":
        _import_torch()
        return importlib.import_module("gpuio.torch_records").RecordDataset
    raise AttributeError(f"module 'gpuio.torch' has no attribute {name!r}")


class Batch(BaseBatch):
    """One batch in tensors: `gpuio.tensor_loader.Batch` with methods that move all of them.

    Lightning and others move a batch with these methods.
    """

    def to(self, device: Any, non_blocking: bool = False) -> Batch:
        """The batch on a device.

        Parameters
        ----------
        device : a torch.device, or its name
        non_blocking : return before the copy is complete, if the tensors are in pinned memory
        """
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """The batch in pinned memory, from which a GPU copies while the CPU goes on.

        Raises
        ------
        RuntimeError : this PyTorch, or this machine, has no GPU.
        """
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        def of_part(part: Tensor | dict[str, Tensor] | None) -> Tensor | dict[str, Tensor] | None:
            if isinstance(part, dict):
                return {name: function(tensor) for name, tensor in part.items()}
            return None if part is None else function(part)

        moved = type(self)(of_part(self.data), of_part(self.label))
        vars(moved).update(vars(self))
        return moved


def loader(iterator: DataIter, *, drop_pad: bool = False) -> TensorLoader:
    """Loop over an iterator in torch tensors that share the memory of its batches.

    Each ``for`` loop is an epoch: the first continues where the iterator is, each later one begins
    the next epoch. On a GPU the tensors are ready for PyTorch's current stream, and their memory is
    reused once the work is done that was queued there when they were dropped. PyTorch's
    ``record_stream`` has no effect on them: before dropping a tensor that another stream works on,
    let the current stream wait for that one (``current_stream.wait_stream(other)``).

    Parameters
    ----------
    iterator : any DataIter. Read-only batches, such as those of ``NDArrayIter(copy=False)``, are
        copied: PyTorch has no read-only tensors
    drop_pad : drop the rows that only fill a batch, which is then shorter

    Returns
    -------
    an iterable of `Batch`: ``data, label = batch``, each a tensor, or a dict of tensors by name if
    the iterator has several; with `pad`, `index` and `bucket_key`. CSR batches are sparse CSR
    tensors. It also has the iterator's ``len``, `batch_size`, `state_dict` and `load_state_dict`,
    `set_epoch`, and a `dataset` whose length is the rows of an epoch

    Raises
    ------
    ImportError : PyTorch is not installed.
    """
    _import_torch()
    return TensorLoader(iterator, _convert, drop_pad, _on_stream, Batch)


def _import_torch() -> Module:
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise ImportError(
            "gpuio.torch needs PyTorch; run: pip install torch (pytorch.org has the version for "
            "your GPU)"
        ) from error


def _convert(array: BatchArray) -> Tensor:
    """A tensor that shares an array's memory."""
    torch = _import_torch()
    if not is_csr(array):
        return torch.from_dlpack(exportable(array))
    parts = (array.indptr, array.indices, array.data)
    # The iterators' matrices are valid; checking them costs a pass over the indices.
    return torch.sparse_csr_tensor(
        *(torch.from_dlpack(exportable(part)) for part in parts),
        size=array.shape,
        check_invariants=False,
    )


def _on_stream(device_id: int) -> contextlib.ExitStack:
    """A context manager that makes PyTorch's current stream on a GPU CuPy's."""
    import cupy

    stream = _import_torch().cuda.current_stream(device_id)
    stack = contextlib.ExitStack()
    stack.enter_context(cupy.cuda.Device(device_id))
    stack.enter_context(as_stream(stream))
    return stack
