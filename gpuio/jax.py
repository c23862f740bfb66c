"""Batches as JAX arrays.

>>> for images, labels in gpuio.jax.loader(train):
...     state = step(state, images, labels)
"""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from gpuio.context import Module
from gpuio.io import DataIter
from gpuio.io.array_sources import is_csr
from gpuio.jax_work import mark_all, work_on
from gpuio.nd.device_memory import usage_of
from gpuio.tensor_loader import Batch, BatchArray, Tensor, TensorLoader, copied

__all__ = ["Batch", "loader"]


def loader(iterator: DataIter, *, drop_pad: bool = False) -> TensorLoader:
    """Loop over an iterator in JAX arrays, on the iterator's device.

    On a GPU nothing is copied, and an array's memory is reused once JAX's work on it is done; the
    loader sees that when it gives further batches, and `Context.empty_cache` waits for it. On the
    CPU JAX shares memory that is aligned to 64 bytes, as ImageRecordIter's batches are, and copies
    other memory; it converts 64-bit numbers to 32 bits unless ``jax_enable_x64`` is set.

    Parameters
    ----------
    iterator : any DataIter. JAX sees later writes to memory that it shares: do not write into the
        batches of an iterator of your own after they have been handed over
    drop_pad : drop the rows that only fill a batch, which is then shorter

    Returns
    -------
    an iterable of `Batch`, see `gpuio.torch.loader`; CSR batches are BCSR matrices of
    jax.experimental.sparse

    Raises
    ------
    ImportError : JAX is not installed.
    """
    _import_jax()
    return TensorLoader(iterator, _convert, drop_pad, _drawing)


def _import_jax() -> Module:
    try:
        return importlib.import_module("jax")
    except ImportError as error:
        raise ImportError(
            "gpuio.jax needs JAX; run: pip install jax (or 'jax[cuda13]' for a GPU)"
        ) from error


def _convert(array: BatchArray) -> Tensor:
    """A JAX array, which shares an array's memory if JAX can."""
    if not is_csr(array):
        return _convert_dense(array)
    sparse = importlib.import_module("jax.experimental.sparse")
    parts = (array.data, array.indices, array.indptr)
    return sparse.BCSR(tuple(map(_convert_dense, parts)), shape=array.shape)


def _convert_dense(array: BatchArray) -> Tensor:
    jax = _import_jax()
    if isinstance(array, np.ndarray) and not array.flags.writeable:
        return jax.numpy.asarray(array)  # NumPy does not export read-only memory
    if not array.flags.c_contiguous:
        array = copied(array)  # JAX imports contiguous arrays only
    imported = jax.dlpack.from_dlpack(array)
    usage = usage_of(array)
    if usage is not None:
        (device,) = imported.devices()
        usage.note_work(work_on(device).record)
    return imported


def _drawing(device_id: int) -> AbstractContextManager[object]:
    """Where a batch is drawn: behind the caller's work on those before it."""
    mark_all()
    return nullcontext()
