"""Batches as PyTorch tensors.

>>> for images, labels in gpuio.torch.loader(train):
...     loss = criterion(model(images), labels)
"""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

from gpuio.handover import Batch, Context, TensorLoader, exportable
from gpuio.io import DataIter
from gpuio.io.array_sources import is_csr

__all__ = ["Batch", "loader"]


def loader(iterator: DataIter, *, drop_pad: bool = False) -> TensorLoader:
    """An iterator as a loop over torch tensors, on the iterator's device, without a copy.

    Each ``for`` loop is an epoch: the first goes on where the iterator is, each later one begins
    the next epoch. On a GPU the tensors are in the order of PyTorch's current stream.

    Parameters
    ----------
    iterator : any DataIter. On the CPU an unshuffled NDArrayIter's tensors are views of its arrays
    drop_pad : leave out the rows that only fill a batch, which is then shorter

    Returns
    -------
    an iterable of `Batch`: ``data, label = batch``, each a tensor, or a dict of tensors by name
    where the iterator has several; with `pad`, `index` and `bucket_key`. CSR batches are sparse CSR
    tensors. It also has ``len``, `state_dict` and `load_state_dict`, which are the iterator's

    Raises
    ------
    ImportError : PyTorch is not installed.
    """
    torch = _torch()
    return TensorLoader(iterator, _Convert(torch), drop_pad, _OnStream(torch))


def _torch() -> Any:
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise ImportError(
            "gpuio.torch needs PyTorch; run: pip install torch (pytorch.org says which one goes "
            "with your GPU)"
        ) from error


class _Convert:
    """Arrays as tensors: the same memory."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch

    def __call__(self, array: Any) -> Any:
        if is_csr(array):
            rows, columns, values = (
                self._torch.from_dlpack(part) for part in (array.indptr, array.indices, array.data)
            )
            # The matrices of the iterators are sound; looking again costs a pass over them.
            return self._torch.sparse_csr_tensor(
                rows, columns, values, size=array.shape, check_invariants=False
            )
        return self._torch.from_dlpack(exportable(array))


class _OnStream:
    """PyTorch's current stream on a GPU, as CuPy's."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch

    def __call__(self, number: int) -> Context:
        import cupy

        stream = self._torch.cuda.current_stream(number).cuda_stream
        stack = contextlib.ExitStack()
        stack.enter_context(cupy.cuda.Device(number))
        stack.enter_context(cupy.cuda.ExternalStream(stream, number))
        return stack
