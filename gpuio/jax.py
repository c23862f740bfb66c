"""Batches as JAX arrays.

>>> for images, labels in gpuio.jax.loader(train):
...     state = step(state, images, labels)
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from gpuio.handover import Batch, TensorLoader
from gpuio.io import DataIter
from gpuio.io.array_sources import is_csr

__all__ = ["Batch", "loader"]


def loader(iterator: DataIter, *, drop_pad: bool = False) -> TensorLoader:
    """An iterator as a loop over JAX arrays, on the iterator's device.

    On a GPU nothing is copied. On the CPU JAX takes over memory that is aligned to 64 bytes, which
    the batches of ImageRecordIter are, and copies other; it makes 32-bit numbers of 64-bit ones
    unless ``jax_enable_x64`` is set.

    Parameters
    ----------
    iterator : any DataIter. What is written later into memory that JAX took over is seen there, so
        leave the arrays of an unshuffled NDArrayIter as they are
    drop_pad : leave out the rows that only fill a batch, which is then shorter

    Returns
    -------
    an iterable of `Batch`, as `gpuio.torch.loader` gives it; CSR batches are BCSR matrices of
    jax.experimental.sparse

    Raises
    ------
    ImportError : JAX is not installed.
    """
    try:
        jax = importlib.import_module("jax")
    except ImportError as error:
        raise ImportError(
            "gpuio.jax needs JAX; run: pip install jax (or 'jax[cuda13]' for a GPU)"
        ) from error
    return TensorLoader(iterator, _Convert(jax), drop_pad)


class _Convert:
    """Arrays as JAX arrays: the same memory where JAX can."""

    def __init__(self, jax: Any) -> None:
        self._from_dlpack = jax.dlpack.from_dlpack
        self._asarray = jax.numpy.asarray

    def __call__(self, array: Any) -> Any:
        if is_csr(array):
            sparse = importlib.import_module("jax.experimental.sparse")
            parts = (array.data, array.indices, array.indptr)
            return sparse.BCSR(tuple(map(self._taken, parts)), shape=array.shape)
        return self._taken(array)

    def _taken(self, array: Any) -> Any:
        if isinstance(array, np.ndarray) and not array.flags.writeable:
            return self._asarray(array)  # NumPy does not hand read-only memory over
        if not array.flags.c_contiguous:
            array = array.copy()  # JAX takes dense arrays only
        return self._from_dlpack(array)
