"""Substitute for cupyx: pinned memory; `cupyx.scipy.sparse`."""

import numpy as np
from cupy.cuda import alloc_pinned_memory


def empty_pinned(shape, dtype=float, order="C"):
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = alloc_pinned_memory(size)
    return np.ndarray(shape, dtype, memory._bytes, order=order)


def empty_like_pinned(a, dtype=None, order="K", subok=None, shape=None):
    return empty_pinned(a.shape if shape is None else shape, a.dtype if dtype is None else dtype)


def zeros_pinned(shape, dtype=float, order="C"):
    made = empty_pinned(shape, dtype, order)
    made.fill(0)
    return made
