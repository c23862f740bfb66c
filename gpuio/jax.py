"""Batches as JAX arrays.

>>> for images, labels in gpuio.jax.loader(train):
...     state = step(state, images, labels)
"""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np

from gpuio.context import Module
from gpuio.errors import ArgumentError, UnsupportedError
from gpuio.io import DataIter
from gpuio.io.array_sources import is_csr
from gpuio.jax_work import mark_all, work_on
from gpuio.nd.device_memory import usage_of
from gpuio.nd.types import Untyped
from gpuio.tensor_loader import Batch, BatchArray, Tensor, TensorLoader, copied

__all__ = ["Batch", "loader"]


def loader(iterator: DataIter, *, drop_pad: bool = False, sharding: Untyped = None) -> TensorLoader:
    """Loop over an iterator in JAX arrays, on the iterator's device or sharded over several.

    On a GPU nothing is copied, and an array's memory is reused once JAX's work on it is done; the
    loader sees that when it gives further batches, and `Context.empty_cache` waits for it. On the
    CPU JAX shares memory that is aligned to 64 bytes, as ImageRecordIter's batches are, and copies
    other memory; it converts 64-bit numbers to 32 bits unless ``jax_enable_x64`` is set.

    Parameters
    ----------
    iterator : any DataIter. JAX sees later writes to memory that it shares: do not write into the
        batches of an iterator of your own after they have been handed over
    drop_pad : drop the rows that only fill a batch, which is then shorter
    sharding : a jax.sharding.Sharding of each array of a batch, such as
        ``NamedSharding(mesh, PartitionSpec("data"))``: the iterator's batch becomes this process's
        rows of a global array. With several processes give the iterator ``num_parts="auto"``: the
        global array is then a global batch, whatever the number of processes. `pad` and `index` of
        a batch are those of this process's rows. Such a loader cannot be pickled, as JAX's devices
        cannot

    Returns
    -------
    an iterable of `Batch`, see `gpuio.torch.loader`; CSR batches are BCSR matrices of
    jax.experimental.sparse

    Raises
    ------
    ImportError : JAX is not installed.
    ArgumentError : `sharding` is not a sharding, or there is one with `drop_pad`. While looping:
        the rows of a batch cannot be divided among the devices.
    UnsupportedError : while looping: the iterator's batches are sparse, and there is a sharding.

    Examples
    --------
    >>> mesh = jax.make_mesh((jax.device_count(),), ("data",))
    >>> train = mx.io.ImageRecordIter(
    ...     path_imgrec="train.rec", path_imgidx="train.idx", data_shape=(3, 224, 224),
    ...     batch_size=256 // jax.process_count(), num_parts="auto",
    ... )
    >>> by_rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    >>> for images, labels in gpuio.jax.loader(train, sharding=by_rows):
    ...     state = step(state, images, labels)
    """
    jax = _import_jax()
    if sharding is None:
        return TensorLoader(iterator, _convert, drop_pad, _drawing)
    if not isinstance(sharding, jax.sharding.Sharding):
        raise ArgumentError(
            f"sharding must be a jax.sharding.Sharding, such as NamedSharding, not {sharding!r}"
        )
    if drop_pad:
        raise ArgumentError(
            "drop_pad=True cannot be combined with sharding, which needs batches of one size; use "
            "last_batch_handle='discard', or leave the rows out that batch.pad counts"
        )
    return TensorLoader(iterator, _Sharded(sharding), False, _drawing)


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


@dataclass(frozen=True)
class _Sharded:
    """Converts arrays to this process's part of global arrays."""

    sharding: Untyped

    def __call__(self, array: BatchArray) -> Tensor:
        if is_csr(array):
            raise UnsupportedError("sharding is for dense batches, and these are CSR matrices")
        local = np.asarray(array) if isinstance(array, np.ndarray) else _convert_dense(array)
        try:
            return _import_jax().make_array_from_process_local_data(self.sharding, local)
        except ValueError as error:
            raise ArgumentError(
                f"an array of shape {array.shape} of a batch cannot be sharded as {self.sharding}: "
                f"{error}; batch_size must be a multiple of the number of devices per process, and "
                "the PartitionSpec have no more axes than data and labels"
            ) from error


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
